import json

import numpy as np
import pytest
from report import OURS, collect, duel, latest, ranks, write_report

MACHINE = {"cpu": "made", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11"}


def row(name, seed, contender, auc, **more):
    scores = {"auc": auc, "accuracy": auc, "log_loss": 1 - auc}
    costs = {"fit_seconds": 0.5, "model_bytes": 1000, "versions": {"numpy": "2"}, "machine": MACHINE}
    return {"set": name, "seed": seed, "contender": contender, **scores, **costs, **more}


@pytest.fixture
def results_file(tmp_path):
    rows = [
        row("a", 0, OURS, 0.8), row("a", 1, OURS, 0.9), row("a", 0, "peer", 0.9), row("a", 1, "peer", 0.7),
        row("b", 0, OURS, 0.6), row("b", 1, OURS, 0.6), row("b", 0, "peer", 0.6), row("b", 1, "peer", 0.6),
        row("c", 0, OURS, 0.5), row("c", 1, OURS, 0.5), row("c", 0, "peer", 0.9),
    ]  # fmt: skip
    failed = {"set": "c", "seed": 1, "contender": "peer", "error": "ValueError: made"}
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in [*rows, failed]), encoding="utf-8")
    return path


def test_seeds_are_averaged_first_and_unfinished_sets_left_out(results_file):
    results = collect(results_file, ["a", "b", "c"], range(2), "classification", [OURS, "peer", "never run"])
    assert results.contenders == (OURS, "peer")
    assert results.sets == ("a", "b")
    assert results.left_out == {"c": ["peer"]}
    assert results.absent == ("never run",)
    np.testing.assert_allclose(results.scores["auc"], [[0.85, 0.6], [0.8, 0.6]])
    np.testing.assert_allclose(results.scores["log_loss"], [[0.15, 0.4], [0.2, 0.4]])


def test_a_later_row_replaces_an_earlier_one_and_a_failure_is_not_done():
    first, second = row("a", 0, OURS, 0.1), row("a", 0, OURS, 0.2)
    failed = {"set": "a", "seed": 0, "contender": OURS, "error": "made"}
    assert latest([first, second])["a", 0, OURS]["auc"] == 0.2
    assert latest([first, failed]) == {}


def test_a_report_without_any_result_is_still_written(tmp_path):
    results = collect(tmp_path / "absent.jsonl", ["a"], range(3), "classification", [OURS])
    write_report(tmp_path / "table.md", "Made", results, {})
    assert f"No result at all: {OURS}" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_ranks_share_ties_and_follow_the_direction():
    scores = np.array([[0.9, 0.5], [0.9, 0.7], [0.1, 0.6]])
    np.testing.assert_array_equal(ranks(scores, rises=True), [[1.5, 3], [1.5, 1], [3, 2]])
    np.testing.assert_array_equal(ranks(scores, rises=False), [[2.5, 1], [2.5, 3], [1, 2]])


def test_duel_counts_and_tests():
    ours, theirs = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.5]), np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.5])
    d = duel(ours, theirs, rises=True)
    assert (d.wins, d.losses, d.ties) == (6, 0, 1)
    assert d.p == pytest.approx(2 / 2**6)  # exact: all six signs alike
    worse = duel(ours, theirs, rises=False)
    assert (worse.wins, worse.losses, worse.ties, worse.p) == (0, 6, 1, d.p)
    assert duel(ours, ours, rises=True).p == 1


def test_report_names_machine_winner_and_what_is_missing(results_file, tmp_path):
    results = collect(results_file, ["a", "b", "c"], range(2), "classification", [OURS, "peer"])
    write_report(tmp_path / "table.md", "Made", results, {"uci/adult": "not here"})
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| **modelgpt-edge** | 0.7250 |" in text
    assert "| peer | 0.7000 |" in text
    assert "| peer | 1, 0, 1 |" in text
    assert "made, 2 cores, 8 GB" in text
    assert "Left out, not finished: c (peer)" in text
    assert "Left out, not here: uci/adult (not here)" in text
    assert text.count("<details>") == 3
