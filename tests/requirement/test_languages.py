"""Tasks in German, French, Spanish, Italian and Chinese: limits, devices and columns as in English, and English left alone."""

from __future__ import annotations

import pytest

from modelgpt_edge.limits import Limits
from modelgpt_edge.requirement.devices import find_devices
from modelgpt_edge.requirement.label import find_label
from modelgpt_edge.requirement.languages import english_grammar, english_limits
from modelgpt_edge.requirement.limits import read_limits
from modelgpt_edge.requirement.named import find_mentioned

KB, MB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("task", "limits"),
    [
        ("unter 5 ms", Limits(5)),
        ("in weniger als 3 Millisekunden", Limits(3)),
        ("höchstens 64 kB Flash und 8 kB Arbeitsspeicher", Limits(None, 64 * KB, 8 * KB)),
        ("Flash bis 1 MB, RAM bis zu 512 kB", Limits(None, MB, 512 * KB)),
        ("das Modell darf nicht größer als 10 MB sein", Limits(None, 10 * MB)),
        ("NICHT GRÖSSER ALS 10 MB", Limits(None, 10 * MB)),
        ("maximale Latenz von 2 ms", Limits(2)),
        ("Kinder unter 5 Jahren, Fenster von 20 ms", Limits()),
        ("en moins de 2 ms et moins de 64 ko de mémoire flash", Limits(2, 64 * KB)),
        ("latence inférieure à 12 ms", Limits(12)),
        ("jamais plus de 1 Mo sur le disque", Limits(None, MB)),
        ("au plus 30 ms, mémoire vive de 16 ko", Limits(30, None, 16 * KB)),
        ("jusqu\u2019à 1,5 Mo de mémoire flash", Limits(None, 3 * MB // 2)),
        ("menos de 10 milisegundos", Limits(10)),
        ("con un máximo de 2 MB", Limits(None, 2 * MB)),
        ("memoria RAM de 1 MB como máximo, flash de 2 MB", Limits(None, 2 * MB, MB)),
        ("latencia maxima de 4 ms", Limits(4)),
        ("al massimo 128 kB di memoria flash", Limits(None, 128 * KB)),
        ("entro 10 ms", Limits(10)),
        ("meno di 15 ms e non più di 2 MB", Limits(15, 2 * MB)),
        ("延迟低于5毫秒", Limits(5)),
        ("模型不超过 4 MB\uff0c内存最多256 KB", Limits(None, 4 * MB, 256 * KB)),
        ("50毫秒以内", Limits(50)),
        ("闪存64KB以下", Limits(None, 64 * KB)),
    ],
)
def test_limits(task: str, limits: Limits) -> None:
    assert read_limits(task) == (limits, ())


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("auf einem Raspberry Pi 4", ("raspberry-pi-4",)),
        ("läuft im Browser", ("browser",)),
        ("tourne dans le navigateur", ("browser",)),
        ("se ejecuta en el navegador", ("browser",)),
        ("eseguito nel browser", ("browser",)),
        ("在浏览器中运行", ("browser",)),
        ("运行在树莓派5上", ("raspberry-pi-5",)),
        ("用于Jetson Orin NX设备", ("jetson-orin-nx",)),
        ("sur un PC avec une carte RTX", ("rtx",)),
        ("welcher Browser wird benutzt", ()),
        ("浏览器的种类", ()),
    ],
)
def test_devices(task: str, names: tuple[str, ...]) -> None:
    assert find_devices(task) == (names, ())


@pytest.mark.parametrize(
    ("task", "columns", "named", "refused"),
    [
        (
            "anhand von Einkommen und Laufzeit, nicht nach Wohnort",
            "Einkommen Laufzeit Wohnort",
            "Einkommen Laufzeit",
            "Wohnort",
        ),
        ("à partir de la surface, sans le quartier", "surface quartier", "surface", "quartier"),
        ("según la edad y la antigüedad, sin usar ciudad", "edad antiguedad ciudad", "antiguedad edad", "ciudad"),
        ("dalla pressione e dall'età, senza usare fumatore", "pressione eta fumatore", "eta pressione", "fumatore"),
        ("根据年龄和收入预测流失\uff0c不使用城市", "年龄 收入 城市 流失", "年龄 收入", "城市"),
        ("根据是否流失和年龄", "是否流失 年龄", "年龄 是否流失", ""),
    ],
)
def test_columns(task: str, columns: str, named: str, refused: str) -> None:
    found = find_mentioned(task, columns.split(), "流失")
    assert (found.named, found.refused) == (set(named.split()), set(refused.split()))


@pytest.mark.parametrize(
    ("task", "columns", "label"),
    [
        ("Sage den Preis jedes Hauses voraus", ["Preis", "Zimmer"], "Preis"),
        ("Zustand der Maschine vorhersagen, ohne Alter", ["Zustand", "Alter"], "Zustand"),
        ("prédire le prix", ["prix", "surface"], "prix"),
        ("predecir el abandono de cada cliente según la edad", ["abandono", "edad"], "abandono"),
        ("Estimar el número de alquileres", ["alquileres", "dia"], "alquileres"),
        ("prevedere la diagnosi dall\u2019età", ["diagnosi", "età"], "diagnosi"),
        ("根据年龄预测客户是否流失", ["流失", "年龄"], "流失"),
    ],
)
def test_labels(profiled, task: str, columns: list[str], label: str) -> None:
    table = {name: [place + i % 7 for i in range(30)] for place, name in enumerate(columns)}
    found = find_label(None, task, profiled(table).columns)
    assert (found.profile.name, found.guessed) == (label, False)


ENGLISH = (
    "Predict the sin of pro sage on a jetson, no more than 5 ms, up to 64 kB; the masses know no limits in the ordinary sense. "
    "Die casting, unter den linden, la carte, al dente, con artists, ma and pa, son of a gun, bis repetita, mo and ko."
)


def test_english_stays_as_it_is() -> None:
    assert english_grammar(ENGLISH, ()) == ENGLISH
    assert english_limits(ENGLISH.casefold()) == ENGLISH.casefold()


def test_names_of_columns_stay_as_they_are() -> None:
    task = "predict keine from ob and nicht_ohne, not from oder"
    assert english_grammar(task, ["keine", "ob", "nicht_ohne", "oder"]) == task
    assert english_grammar(task, []) == "predict no from whether and not_without, not from or"
