"""The ablation of named columns: what it compares differs in the names alone, and its sentences name columns that there are."""

import numpy as np
import pytest
from datasets import load
from requirement import CONTEXTS, NAMED, PLAIN, RANDOM, SEED, TASKS, measure
from wheels import MissingDataError

from modelgpt_edge.requirement.named import find_mentioned


def test_a_table_follows_from_its_number():
    found = measure(("prior", 32, 1))
    assert [r["contender"] for r in found] == [PLAIN, NAMED, RANDOM]
    assert found == measure(("prior", 32, 1))
    assert len({r["log_loss"] for r in found}) == 3
    assert all(0 <= r["accuracy"] <= 1 and 0 < r["log_loss"] <= -np.log(0.01) for r in found)


def test_no_table_is_one_of_training():
    ours = {np.random.default_rng([SEED, context, 1]).integers(2**62) for context in CONTEXTS}
    shards = {np.random.default_rng([SEED, number]).integers(2**62) for number in range(2_000)}
    assert not ours & shards


@pytest.mark.parametrize("name", TASKS)
def test_every_sentence_names_columns(name):
    try:
        dataset = load(name)
    except MissingDataError as error:
        pytest.skip(str(error))
    told = TASKS[name].partition(" from ")[2]
    named = find_mentioned(TASKS[name], list(dataset.columns), dataset.label).named
    assert len(named) == told.count(",") + told.count(" and ") + 1
