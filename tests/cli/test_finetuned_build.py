"""`build --finetune`: what ships is what was tuned, and every page says whose score it shows."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

import modelgpt_edge
from modelgpt_edge.child_file import CHILD, read_child
from modelgpt_edge.errors import InputError
from modelgpt_edge.manifest import CARD, MANIFEST
from modelgpt_edge.refit import refit
from modelgpt_edge.requirement.option_quantities import read_seconds

TASK = ("--task", "predict the kind", "--label", "kind", "--draws", 1, "--generator", "floor", "--backend", "onnxruntime")
LONG = 60  # seconds that patience ends long before


@pytest.fixture(autouse=True, scope="module")
def _one_small_size():
    """How sure the untuned score is, and the choice among sizes, aren't the point here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelgpt_edge.parameters.evidence.repeats_for", lambda *_: 1)
        patch.setattr("modelgpt_edge.architecture.architecture.SIZES", (640, 80, 0))
        yield


def rows_of(seed, count=200):
    """Rows whose label is the sign of a product, a little blurred."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        a, b = draw.gauss(0, 1), draw.gauss(0, 1)
        rows.append({"a": round(a, 4), "b": round(b, 4), "kind": "plus" if a * b + draw.gauss(0, 0.2) > 0 else "minus"})
    return rows


def noise(count=60):
    """Rows whose label nothing tells."""
    draw = random.Random(3)
    return [{"a": draw.gauss(0, 1), "b": draw.gauss(0, 1), "kind": draw.choice(["plus", "minus"])} for _ in range(count)]


def built(rows, out, finetune, **options):
    return modelgpt_edge.build(
        "predict the kind",
        rows,
        label="kind",
        out=out,
        draws=1,
        generator="floor",
        backend="onnxruntime",
        finetune=finetune,
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("finetuned")


@pytest.fixture(scope="module")
def plain(folder):
    return built(rows_of(1), folder / "plain.edge", 0)


@pytest.fixture(scope="module")
def tuned(folder):
    return built(rows_of(1), folder / "tuned.edge", LONG)


@pytest.fixture(scope="module")
def tested(folder):
    return built(rows_of(1), folder / "tested.edge", LONG, test=rows_of(2, 300))


@pytest.fixture(scope="module")
def kept(folder):
    return built(noise(), folder / "kept.edge", LONG)


def probabilities(built, rows, variant):
    inputs = [{k: v for k, v in row.items() if k != "kind"} for row in rows]
    return np.array(built.load(variant).predict_proba(inputs))


def reference(built, rows):
    """What the packaged child says, in numpy."""
    child = read_child(built.path / CHILD)
    numbers = {name: np.array([row[name] for row in rows], np.float32) for name in child.encoder.numbers}
    return child.outputs(child.encoder.encode(*child.encoder.pack(numbers, {}, len(rows))))


def text_of(built):
    from modelgpt_edge.commands.build_text import build_text

    return build_text(built.report, ())


def test_every_form_says_what_the_tuned_child_says(plain, tuned):
    fresh = rows_of(5, 50)
    assert np.abs(reference(tuned, fresh) - reference(plain, fresh)).max() > 0.01
    names = [v.name for v in tuned.manifest.variants]
    assert names
    for name in (*names, "model"):
        np.testing.assert_allclose(probabilities(tuned, fresh, name), reference(tuned, fresh), atol=1e-4)
    assert tuned.report["checks"][0]["name"] == "fuse"
    assert all(h["passed"] for h in tuned.report["checks"])


def test_report_and_manifest_have_the_figures(plain, tuned):
    assert plain.report["generator"]["finetune"] is None
    assert json.loads((plain.path / MANIFEST).read_text())["generator"]["finetune"] is None
    figures = tuned.report["generator"]["finetune"]
    assert set(figures) == {"seconds", "steps", "before", "after", "kept"}
    assert figures == json.loads((tuned.path / MANIFEST).read_text())["generator"]["finetune"]
    assert figures["seconds"] == LONG
    assert figures["steps"] > 0
    assert 0 < figures["after"] < figures["before"]
    assert figures["kept"] is False


def test_the_cross_validated_score_is_said_to_be_of_the_model_before(plain, tuned, cli):
    before, after = plain.report["score"], tuned.report["score"]
    assert {**after, "method": before["method"]} == before
    assert after["method"].endswith("in every fold, before fine-tuning")
    figures = tuned.report["generator"]["finetune"]
    told = (
        f"{figures['steps']:,} gradient steps; of a model made without the held-out rows they lowered the log loss "
        f"from {figures['before']:.4f}"
    )
    (note,) = [n for n in tuned.report["notes"] if n.startswith("Fine-tuning")]
    assert told in note
    assert note.endswith("The score is of the model before them; --test FILE scores what ships.")
    assert f"Fine-tuning   {told} to {figures['after']:.4f}\n" in text_of(tuned)
    assert "before fine-tuning (200 rows)" in text_of(tuned)
    card = (tuned.path / CARD).read_text(encoding="utf-8")
    assert f"* Fine-tuning: {told}" in card
    assert "before fine-tuning, on 200 rows" in card
    assert "then all of it was fine-tuned" in card
    assert "nothing was trained" not in card
    assert "Generator     floor, fine-tuned, " in cli("inspect", tuned.path).out


def test_nothing_is_told_of_it_where_it_was_not_asked_for(plain, cli):
    pages = (text_of(plain), (plain.path / CARD).read_text(encoding="utf-8"), cli("inspect", plain.path).out)
    assert [page for page in pages if "ine-tun" in page] == []
    assert "nothing was trained" in pages[1]


def test_the_score_on_the_users_own_rows_is_of_what_ships(tested, tuned):
    rows = rows_of(2, 300)
    truth, said = [row["kind"] for row in rows], probabilities(tested, rows, "model").astype(np.float64)
    score = tested.report["score"]
    classes = np.array(tested.manifest.classes)
    assert score["value"] == pytest.approx(accuracy_score(truth, classes[said.argmax(1)]))
    shares = said / said.sum(1, keepdims=True)
    assert score["others"]["log_loss"] == pytest.approx(log_loss(truth, shares, labels=classes), rel=1e-4)
    assert "before" not in score["method"]
    (note,) = [n for n in tested.report["notes"] if n.startswith("Fine-tuning")]
    assert note.endswith("The score on the test table is of the fine-tuned model.")
    assert (tested.path / CHILD).read_bytes() == (tuned.path / CHILD).read_bytes()


def test_a_model_that_gains_nothing_ships_as_it_was_generated(kept, folder, cli):
    figures = kept.report["generator"]["finetune"]
    assert figures["kept"] is True
    assert figures["steps"] == 0
    assert figures["after"] == figures["before"]
    alone = built(noise(), folder / "alone.edge", 0)
    assert (kept.path / CHILD).read_bytes() == (alone.path / CHILD).read_bytes()
    assert kept.report["score"] == alone.report["score"]
    (note,) = [n for n in kept.report["notes"] if n.startswith("Fine-tuning")]
    assert "no gradient steps lowered the log loss" in note
    assert note.endswith("so the model is as it was generated.")
    card = (kept.path / CARD).read_text(encoding="utf-8")
    assert "nothing was trained" in card
    assert "* Fine-tuning: no gradient steps lowered" in card
    assert "fine-tuned" not in cli("inspect", kept.path).out


def test_values_are_tuned_in_their_own_unit(folder):
    draw = random.Random(0)
    rows = []
    for _ in range(200):
        a, b = draw.gauss(0, 1), draw.gauss(0, 1)
        rows.append({"a": round(a, 4), "b": round(b, 4), "kind": round(5_000 + 100 * (a * b + draw.gauss(0, 0.2)), 2)})
    made = built(rows, folder / "values.edge", LONG)
    figures = made.report["generator"]["finetune"]
    assert not figures["kept"]
    assert 0 < figures["after"] < figures["before"] < 1, "shares of the values' variance"
    truth = np.array([row["kind"] for row in rows])
    said = np.array(made.load("model").predict([{k: v for k, v in row.items() if k != "kind"} for row in rows]))
    np.testing.assert_allclose(said, reference(made, rows)[:, 0], atol=0.01 * truth.std())
    assert np.mean((said - truth) ** 2) < 0.3 * truth.var()
    assert "they lowered the squared error from" in text_of(made)


def test_a_tuned_package_is_verified_and_refitted_without_tuning(tuned, plain, folder, cli):
    assert cli("verify", tuned.path).code == 0
    new = rows_of(6)
    one, other = (refit(package.path, new, out=folder / f"refit-{i}.edge") for i, package in enumerate((tuned, plain)))
    assert (one.path / CHILD).read_bytes() == (other.path / CHILD).read_bytes()
    assert [n for n in one.report["notes"] if n not in other.report["notes"]] == [
        "The package was fine-tuned, and a refit doesn't fine-tune: the new weights are as generated."
    ]
    assert one.report["generator"]["finetune"] is None
    assert "fine-tuned" not in cli("inspect", one.path).out
    assert cli("verify", one.path).code == 0


def test_the_command_line_reads_seconds_and_shows_the_stage(write_csv, tmp_path, cli):
    table = write_csv(tmp_path / "table.csv", rows_of(1, 60))
    ran = cli("build", *TASK, "--data", table, "--out", tmp_path / "t.edge", "--finetune", "500ms", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["generator"]["finetune"]["seconds"] == 0.5
    stages = ran.err.splitlines()
    assert stages.index("cross-validating ...") < stages.index("fine-tuning ...") < stages.index("compiling ...")
    ran = cli("build", *TASK, "--data", table, "--out", tmp_path / "t.edge", "--force", "--finetune", "0")
    assert ran.code == 0, ran.err
    assert "fine-tuning" not in ran.err
    assert "Fine-tuning" not in ran.out


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("0", 0), ("2s", 2), ("1.5 seconds", 1.5), ("250ms", 0.25), ("1e2", 100)]
)
def test_seconds_read_as_people_write_them(text, seconds):
    assert read_seconds("--finetune", text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", " ", "long", "nan", "inf", "-1", "-2s", "1e999", "2 minutes", "5kB", "5 or so"])
def test_what_is_no_time_is_refused_before_any_work(text, write_csv, tmp_path, cli):
    table = write_csv(tmp_path / "table.csv", rows_of(1, 20))
    ran = cli("build", *TASK, "--data", table, "--out", tmp_path / "t.edge", f"--finetune={text}")
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith("error: --finetune: this is no time")
    assert "such as 5 or 500ms" in line
    assert not (tmp_path / "t.edge").exists()


@pytest.mark.parametrize("finetune", [-1, -1e-9, float("nan"), float("inf"), 10**400, "2", None, True, [1]])
def test_what_is_no_number_of_seconds_is_refused_in_python(finetune, tmp_path):
    with pytest.raises(InputError, match="--finetune") as raised:
        built(rows_of(1, 20), tmp_path / "t.edge", finetune)
    assert "number of seconds" in raised.value.cure
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_any_kind_are_seconds(tmp_path):
    made = built(rows_of(1, 30), tmp_path / "t.edge", np.float32(0.25))
    assert made.report["generator"]["finetune"]["seconds"] == 0.25
