"""The bench of texts: the sets and what is drawn of them, peers that start from the product's encoder, and runs that resume."""

import json
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

stats = pytest.importorskip("scipy.stats")
linear_model = pytest.importorskip("sklearn.linear_model")

import text  # noqa: E402
from text_contenders import CONTENDERS, FLOOR, OURS  # noqa: E402
from text_peers import PENALTIES, choose_c  # noqa: E402
from text_report import interval, less_ours, times_ours, write_page  # noqa: E402
from text_sets import FULL, NOTES, RESTS, Texts, cut_test, draw, load_texts  # noqa: E402
from text_task import Settings, Task, frozen_features, open_encoder  # noqa: E402
from units import installed  # noqa: E402
from wheels import MissingDataError  # noqa: E402

BY_KEY = {c.key: c for c in CONTENDERS}
MACHINE = {"cpu": "made", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11"}
FILMS = ("a good film", "a bad film", "what a lovely story", "a dull story", "great acting", "awful acting", "i loved it")


def loaded(name):
    try:
        return load_texts(name)
    except MissingDataError as reason:
        pytest.skip(str(reason))


def row(contender, shots, seed, accuracy, seconds, **more):
    settings = {"threads": 2, "test_rows": None} | dict.fromkeys(contender.settings, 20)
    scores = {"accuracy": accuracy, "log_loss": 1 - accuracy, "fit_seconds": seconds, "facts": {}}
    known = {"classes": 3, "examples": 3, "test_rows": 90, "versions": {"numpy": "2"}, "machine": MACHINE}
    return {
        "set": "sst2",
        "shots": shots,
        "seed": seed,
        "contender": contender.title,
        "settings": settings,
        **scores,
        **known,
        **more,
    }


@pytest.mark.parametrize(
    ("name", "classes", "train", "test"),
    [("banking77", 77, 10003, 3080), ("clinc150", 150, 15000, 4500), ("clinc150-rest", 75, 7500, 2250),
     ("banking77-rest", 38, 4968, 1520), ("sst2", 2, 6920, 1821), ("mrpc", 2, 3236, 809)],
)  # fmt: skip
def test_sets_have_their_publishers_parts(name, classes, train, test):
    found = loaded(name)
    assert (len(found.classes), len(found.train.texts), len(found.test.texts)) == (classes, train, test)
    assert set(found.train.labels.tolist()) == set(found.test.labels.tolist()) == set(range(classes))
    assert found.paired == (name == "mrpc")


@pytest.mark.parametrize("name", RESTS)
def test_the_rest_is_what_lora_did_not_learn_from(name):
    from modelgpt_edge.training.text.tasks import read_tasks

    whole, rest = loaded(RESTS[name]), loaded(name)
    learnt = {task.name: task.classes for task in read_tasks()[0]}
    assert sorted([*learnt[RESTS[name]], *rest.classes]) == list(whole.classes)
    k = whole.classes.index(rest.classes[3])
    own = {t for t, label in zip(whole.test.texts, whole.test.labels) if label == k}
    assert own == {t for t, label in zip(rest.test.texts, rest.test.labels) if label == 3}


def test_shots_are_drawn_evenly_nested_and_by_the_seed():
    labels = np.repeat(np.arange(3, dtype=np.int32), [30, 5, 40])
    rows = Texts([f"text {i}" for i in range(75)], [f"pair {i}" for i in range(75)], labels)
    drawn = {shots: draw(rows, shots, 0) for shots in ("0", "1", "8", "16", FULL)}
    assert [Counter(d.labels.tolist()) for d in drawn.values()] == [
        {}, {0: 1, 1: 1, 2: 1}, {0: 8, 1: 5, 2: 8}, {0: 16, 1: 5, 2: 16}, {0: 30, 1: 5, 2: 40},
    ]  # fmt: skip
    assert set(drawn["1"].texts) < set(drawn["8"].texts) < set(drawn["16"].texts) < set(drawn[FULL].texts)
    for one in drawn.values():
        numbers = [int(t.split()[1]) for t in one.texts]
        assert one.pairs == [f"pair {i}" for i in numbers]
        assert one.labels.tolist() == labels[numbers].tolist()
    assert draw(rows, "8", 0).texts == drawn["8"].texts
    assert set(draw(rows, "8", 1).texts) != set(drawn["8"].texts)


def test_a_cut_test_part_is_the_same_every_time():
    found = loaded("sst2")
    cut = cut_test(found, 50)
    assert len(set(cut.test.texts)) == 50
    assert cut.test.texts == cut_test(found, 50).test.texts
    assert set(cut.test.texts) <= set(found.test.texts)
    assert cut_test(found, 10_000) is found


def test_intervals_are_student_s():
    values = [0.81, 0.83, 0.8, 0.86, 0.82]
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval(values) == pytest.approx((known.high - known.low) / 2, rel=1e-9)
    assert interval([0.8]) is None


def test_differences_and_times_are_of_the_seeds_that_both_have():
    ours = [row(OURS, "8", seed, 0.8, 2.0 + seed) for seed in range(3)]
    theirs = [row(BY_KEY["setfit"], "8", seed, 0.7 + 0.1 * seed, 100.0) for seed in (0, 1, 7)]
    assert less_ours(theirs, ours, "accuracy").startswith("-0.0500 ± ")
    assert times_ours(theirs, ours) == "40"
    assert (less_ours(theirs[2:], ours, "accuracy"), times_ours(theirs[2:], ours)) == ("", "")


def test_the_page_tells_what_was_not_run():
    rows = [row(OURS, "8", seed, 0.8, 2.0) for seed in range(5)] + [
        row(OURS, "0", 0, 0.6, 1.0),
        row(BY_KEY["lora"], "8", 0, 0.7, 9.0),
    ]
    plain = {"machine": MACHINE, "command": "python bench/text.py"}
    chosen = [OURS, BY_KEY["frozen"], BY_KEY["lora"]]
    page = write_page(
        rows, ["sst2"], chosen, 5, plain, ["mrpc: not here"], {("sst2", "0", BY_KEY["lora"].title): "needs examples"}
    )
    assert "| **modelgpt-edge** | 0.6000 | 0.8000 ± 0.0000 |" in page
    assert "| fine-tuning, LoRA | needs examples | 0.7000 (1 seed) |" in page
    assert "| frozen encoder + logistic regression | not run | not run |" in page
    assert "* Not run: mrpc: not here" in page
    assert "| sst2 | **modelgpt-edge** | 5 | 0.8000 ± 0.0000 |  |  | 2.00 ± 0.00 |  |" in page
    assert "| sst2 | fine-tuning, LoRA | 1 | 0.7000 | -0.1000 |  | 9.00 | 4.50 |" in page
    assert "| fine-tuning, LoRA |  | 9.00 (4.50 x) |" in page
    assert "| 8 | fine-tuning, LoRA | 1 | 3 | 0.7000 | -0.1000 | 0.3000 | +0.1000 | 9.00 | 4.50 |" in page


def test_the_headline_has_ours_without_lora_beside_it():
    rows = [row(OURS, "8", 0, 0.8, 2.0), row(FLOOR, "8", 0, 0.75, 1.0), row(BY_KEY["setfit"], "8", 0, 0.7, 9.0)]
    plain = {"machine": MACHINE, "command": "python bench/text.py"}
    page = write_page(rows, ["sst2"], [OURS, FLOOR, BY_KEY["setfit"]], 1, plain, [], {})
    lines = [line for line in page.split("## sst2")[0].splitlines() if line.startswith("| sst2")]
    assert lines == [
        "| sst2 | **modelgpt-edge** | 1 | 0.8000 |  |  | 2.00 |  |",
        "| sst2 | modelgpt-edge, without LoRA | 1 | 0.7500 | -0.0500 |  | 1.00 | 0.50 |",
        "| sst2 | SetFit | 1 | 0.7000 | -0.1000 | -0.0500 | 9.00 | 4.50 |",
    ]


def test_notes_tell_what_lora_has_seen():
    from modelgpt_edge.training.text.tasks import HALVED, KEPT

    assert all("learnt from training texts of half" in NOTES[name] for name in HALVED)
    assert all("whether LoRA ships" in NOTES[name] for name in (*HALVED, *RESTS, *(set(KEPT) & set(NOTES))))


def test_slow_contenders_can_be_limited_and_reasons_are_told():
    loaded("mrpc")
    chosen = [OURS, BY_KEY["setfit"], BY_KEY["lora"]]
    units, reasons = text.plan(["sst2", "mrpc"], ["0", "1", FULL], 3, chosen, ["0", "1"], 1)
    counts = Counter((unit.set, unit.shots, unit.contender) for unit in units)
    setfit, lora, ours = "SetFit", "fine-tuning, LoRA", OURS.title
    assert counts == {
        ("sst2", "0", ours): 1, ("sst2", "1", ours): 3, ("sst2", FULL, ours): 1,
        ("sst2", "0", setfit): 1, ("sst2", "1", setfit): 1, ("sst2", "1", lora): 1,
        ("mrpc", "1", ours): 3, ("mrpc", FULL, ours): 1, ("mrpc", "1", lora): 1,
    }  # fmt: skip
    assert reasons["sst2", FULL, setfit] == "lists every pair of rows, too many of 6,920"
    assert reasons["mrpc", "1", setfit] == "takes no pairs"
    assert reasons["mrpc", "0", ours] == "words say nothing of pairs"
    assert reasons["sst2", "0", lora] == "needs examples"
    assert reasons["sst2", FULL, lora] == "not run"


def test_what_slow_ones_were_spared_is_told_where_nothing_was_kept():
    loaded("sst2")
    chosen = [OURS, BY_KEY["lora"]]
    every, _ = text.plan(["sst2"], ["8"], 2, chosen, ["8"], 2)
    kept = dict.fromkeys(every)
    assert text._limits(chosen, every, kept) == []
    del kept[text.Unit("sst2", "8", 1, BY_KEY["lora"].title)]
    assert text._limits(chosen, every, kept)[0].startswith("fine-tuning, LoRA: at all shots with all seeds, to save time")


def test_results_of_other_settings_are_not_done():
    setfit = BY_KEY["setfit"]
    rows = [row(OURS, "8", 0, 0.8, 2.0), row(setfit, "8", 0, 0.7, 9.0), row(OURS, "8", 1, 0.8, 2.0)]
    failed = row(OURS, "8", 1, 0.8, 2.0, error="made")
    units = {text.Unit("sst2", "8", 0, c.title) for c in (OURS, setfit)}
    assert set(text.finished([*rows, failed], Settings())) == units
    assert set(text.finished([*rows, failed], Settings(setfit_iterations=5))) == {text.Unit("sst2", "8", 0, OURS.title)}
    assert text.finished(rows, Settings(test_rows=5)) == {}


def test_peers_of_pairs_see_what_two_texts_have_in_common():
    encoder = open_encoder()
    u, v = encoder.embed(FILMS[:3]), encoder.embed(FILMS[3:6])
    found = frozen_features(encoder, Texts(list(FILMS[:3]), list(FILMS[3:6]), np.zeros(3, np.int32)))
    np.testing.assert_allclose(found, np.hstack([abs(u - v), u * v]), atol=1e-6)


def test_c_is_the_one_that_scikit_learn_s_own_search_takes():
    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(3, dtype=np.int32), 12)
    x = 0.3 * np.eye(3)[y] @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(36, 8))
    chosen = set()
    for scale in (0.05, 1.0, 30.0):
        task = Task(("a", "b", "c"), Texts([""] * 36, None, y), 5, Settings())
        cut = pytest.importorskip("sklearn.model_selection").StratifiedKFold(3, shuffle=True, random_state=5)
        options = {"scoring": "neg_log_loss", "max_iter": 1000, "l1_ratios": (0.0,), "use_legacy_attributes": False}
        known = linear_model.LogisticRegressionCV(Cs=list(PENALTIES), cv=cut, **options).fit(scale * x, y)
        assert choose_c(scale * x, task) == known.C_
        chosen.add(known.C_)
    assert len(chosen) > 1


def test_what_is_fine_tuned_is_the_product_s_encoder():
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from text_tuning import SCALE, _open, _pooled

    read, encoder = _open(low_rank=False)
    encoder.eval()
    with torch.inference_mode():
        found = _pooled(encoder, read(Texts(list(FILMS), None, np.zeros(len(FILMS), np.int32)))).numpy()
    np.testing.assert_allclose(found, SCALE * open_encoder().embed(FILMS), atol=1e-3)


def test_held_out_rows_are_of_every_class_and_apart():
    from text_tuning import _cut

    rows = Texts([f"text {i}" for i in range(40)], None, np.repeat(np.arange(4, dtype=np.int32), [2, 8, 10, 20]))
    learn, held_out = _cut(rows, np.random.default_rng(0))
    assert Counter(held_out.labels.tolist()) == {0: 1, 1: 2, 2: 2, 3: 4}
    assert sorted([*learn.texts, *held_out.texts]) == sorted(rows.texts)
    learn, held_out = _cut(rows.take(np.array([0, 5, 6])), np.random.default_rng(0))
    assert (len(learn.labels), len(held_out.labels)) == (3, 0)


def test_fine_tuning_learns_what_it_is_shown():
    pytest.importorskip("transformers")
    from text_tuning import RATES, fine_tune

    rows = Texts(list(FILMS), None, np.array([1, 0, 1, 0, 1, 0, 1], np.int32))
    tuned = fine_tune(rows, 2, 0, 1, seen=28, low_rank=False)
    p = tuned.probabilities(rows)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert (p.argmax(1) == rows.labels).all()
    assert tuned.rate in RATES
    assert 1 <= tuned.epochs <= 4


def run(tmp_path, *arguments):
    files = [
        f"{option}={tmp_path / name}" for option, name in (("--out", "r.jsonl"), ("--table", "t.md"), ("--json", "r.json"))
    ]
    text.main(["--sets", "sst2", "--seeds", "1", "--test-rows", "40", *arguments, *files])
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], (tmp_path / "t.md").read_text(encoding="utf-8")


def test_a_run_resumes_and_its_scores_are_those_of_the_product(tmp_path, capfd):
    found = cut_test(loaded("sst2"), 40)
    rows, page = run(tmp_path, "--shots", "0,4", "--contenders", "ours,frozen,tfidf")
    assert {(r["shots"], r["contender"]) for r in rows} == {
        ("0", OURS.title), ("4", OURS.title), ("4", BY_KEY["frozen"].title), ("4", BY_KEY["tfidf"].title),
    }  # fmt: skip
    assert not [r for r in rows if "error" in r]
    told = f"| **modelgpt-edge** | {rows[0]['accuracy']:.4f} | {rows[1]['accuracy']:.4f} |"
    assert told in page

    drawn, encoder = draw(loaded("sst2").train, "4", 0), open_encoder()
    model = linear_model.LogisticRegression(max_iter=1000).fit(encoder.embed(drawn.texts), drawn.labels)
    p = model.predict_proba(encoder.embed(found.test.texts))
    frozen = next(r for r in rows if r["contender"] == BY_KEY["frozen"].title)
    assert frozen["accuracy"] == (p.argmax(1) == found.test.labels).mean()
    assert frozen["log_loss"] == pytest.approx(-np.log(p[np.arange(40), found.test.labels]).mean(), rel=1e-4)

    again, second = run(tmp_path, "--shots", "0,4", "--contenders", "ours,frozen,tfidf")
    assert again == rows
    kept, third = run(tmp_path, "--shots", "0,4,8", "--contenders", "ours,frozen,tfidf", "--page-only")
    assert kept == rows, "nothing was run"
    assert "| 0 | 4 |" in third
    assert second.split("\n\n", 2)[2] == page.split("\n\n", 2)[2]
    assert "4 units, 4 of them done already" in capfd.readouterr().err


@pytest.mark.skipif(find_spec("setfit") is None, reason="setfit is not installed (pip install -e '.[bench-text]')")
def test_setfit_and_lora_run_beside_ours(tmp_path):
    loaded("sst2")
    rows, page = run(tmp_path, "--shots", "1", "--contenders", "setfit,lora", "--setfit-iterations", "1", "--tuning-rows", "4")
    assert [r.get("error") for r in rows] == [None, None]
    assert "| SetFit |" in page


def test_what_is_not_known_is_refused(capsys):
    for option, value in (("--sets", "imdb"), ("--shots", "3"), ("--contenders", "gpt"), ("--slow-shots", "7")):
        with pytest.raises(SystemExit, match=f"{option}: unknown '{value}'"):
            text.main([option, value])


def test_contenders_without_their_library_are_named():
    absent = replace(BY_KEY["setfit"], needs=("no_such_module",))
    able, unrun = installed([OURS, absent], text.EXTRA)
    assert able == [OURS]
    assert unrun == ["SetFit: no_such_module not installed (pip install -e '.[bench-text]')"]
