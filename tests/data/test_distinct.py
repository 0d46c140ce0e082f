import numpy as np
import pytest

from modelgpt_edge.data.distinct import Sketch, hash_numbers, hash_words


@pytest.mark.parametrize("distinct", [0, 1, 999, 1000, 50_000])
@pytest.mark.parametrize("times", [1, 3])
def test_counts_what_a_set_counts(distinct: int, times: int) -> None:
    values = np.tile(np.arange(distinct, dtype=np.float64), times)
    np.random.default_rng(0).shuffle(values)
    sketch = Sketch(1000)
    for part in np.array_split(values, 7):
        sketch.add(hash_numbers(part))
    assert sketch.distinct() == pytest.approx(distinct, rel=0.1 if distinct > 1000 else 0)
    assert sketch.unique == (times == 1 or distinct == 0)


def test_one_repeat_in_a_hundred_is_seen() -> None:
    values = np.arange(100_000, dtype=np.float64)
    values[::100] = values[1::100]
    sketch = Sketch(10_000)
    for part in np.array_split(np.random.default_rng(1).permutation(values), 5):
        sketch.add(hash_numbers(part))
    assert not sketch.unique


def test_weights_add_up_to_single_cells() -> None:
    one, other = Sketch(100), Sketch(100)
    words = [f"w{i % 40}" for i in range(400)]
    one.add(hash_words(words))
    other.add(hash_words(words[:40]), np.full(40, 10))
    assert one.distinct() == other.distinct() == 40
    assert not one.unique
    assert not other.unique


def test_hashes_are_the_same_everywhere() -> None:
    assert hash_words(["a", "é", "\ud800"]).tolist()[0] == int.from_bytes(bytes.fromhex("40f89e395b66422f"), "little")
    assert hash_numbers(np.array([0.0, -0.0])).tolist()[0] == hash_numbers(np.array([-0.0])).tolist()[0]
    assert len(set(hash_numbers(np.arange(10_000.0)).tolist())) == 10_000
