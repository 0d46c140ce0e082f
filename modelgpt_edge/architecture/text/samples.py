"""Sentences that stand in where the user gave none: short and long, plain and odd, of several languages."""

from __future__ import annotations

# ruff: noqa: RUF001 - marks of other scripts belong to them
SAMPLES = (
    "I am still waiting for my new card, can you tell me when it will arrive?",
    "refund",
    "The film drags in the middle, but the last half hour is among the best I have seen this year.",
    "WHERE IS MY ORDER??? I paid 3 weeks ago!!!",
    "set an alarm for 6:45 tomorrow morning",
    "Dear Sir or Madam, please find attached the invoice no. 2024-0117 over EUR 1,249.50, payable within 30 days.",
    "lol that's soooo good :-) :-)",
    "The committee approved the budget on Tuesday, after a debate of nearly six hours, by nine votes to four.",
    "pH 7.4, 37 °C, 5 % CO2; cells were passaged every 48 h.",
    "def add(a, b):\n    return a + b",
    "Wie lange dauert die Lieferung nach Österreich?",
    "¿Dónde puedo cambiar mi contraseña?",
    "Le train de 8 h 15 pour Lyon est annoncé avec vingt minutes de retard.",
    "请问怎么取消我的订单？",
    "明日の天気を教えてください。",
    "Скажите, пожалуйста, сколько стоит доставка?",
    "What is the capital of Australia, and how many people live there?",
    "Shares fell 3.2 percent in early trading after the company cut its forecast for the second quarter in a row.",
    "not bad at all",
    "http://example.com/index.html?id=42&ref=mail #sale @shop",
    "a",
    "Patients who received the treatment reported less pain after two weeks than those in the control group, "
    "although the difference was no longer significant after three months.",
)
