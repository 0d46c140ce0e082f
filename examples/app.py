"""How an app uses a package: load it once, then ask it row by row. Run `make demo` first, then this."""

from __future__ import annotations

import csv
from pathlib import Path

import modelgpt_edge

HERE = Path(__file__).parent

model = modelgpt_edge.load(HERE.parent / "heart.edge")
with (HERE / "patients.csv").open(encoding="utf-8") as file:
    for patient in csv.DictReader(file):
        (probabilities,) = model.predict_proba(patient)
        risk = probabilities[model.classes.index("1")]
        print(f"{patient['age']} years, {patient['chest pain']}: {risk:.0%}")
