import numpy as np
import pytest

pytest.importorskip("sklearn")

from encoding import Encoding
from peers import fit_peer

COLUMNS = {"size": ["1", "2", "", "4"], "colour": ["red", "", "red", "blue"], "mixed": ["1", "two", "3", "4"]}


def test_columns_are_typed_and_encoded_for_each_learner():
    encoding = Encoding.fit(COLUMNS)
    assert encoding.numbers == ("size",)
    assert encoding.words == ("colour", "mixed")
    new = {"size": ["", "x"], "colour": ["blue", "green"], "mixed": ["two", ""]}
    # size: the median, 2, stands in for a gap; colour: red, "", blue; mixed: 1, 3, 4, two
    standardised = encoding.standardised(new)
    assert standardised.shape == (2, 1 + 1 + 3 + 4)
    np.testing.assert_allclose(standardised[:, 0], (2 - 2.25) / np.std([1, 2, 2, 4]), rtol=1e-6)
    np.testing.assert_array_equal(standardised[:, 1:], [[1, 0, 0, 1, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0]])
    native = encoding.native(new)
    np.testing.assert_array_equal(native, [[np.nan, 2, 3], [np.nan, np.nan, np.nan]])
    assert np.isnan(encoding.gaps_kept(new)[:, 0]).all()


def test_training_statistics_do_not_move_with_the_rows_asked():
    encoding = Encoding.fit(COLUMNS)
    one = {name: cells[:1] for name, cells in COLUMNS.items()}
    np.testing.assert_array_equal(encoding.standardised(COLUMNS)[:1], encoding.standardised(one))


@pytest.mark.parametrize("key", ["majority", "linear", "histgb", "mlp"])
def test_peers_learn_from_words_and_answer_in_the_order_of_their_classes(key):
    rng = np.random.default_rng(0)
    words = rng.choice(["up", "down", ""], 120).tolist()
    columns = {"word": words, "noise": [str(v) for v in rng.normal(size=120)]}
    labels = ["yes" if word == "up" else "no" for word in words]
    fitted = fit_peer(key, columns, labels, "classification", 0)
    p = fitted.outputs({"word": ["up", "down", "never seen"], "noise": ["0", "", "0"]})
    assert fitted.classes == ("no", "yes")
    assert p.shape == (3, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert fitted.model_bytes > 0
    if key != "majority":
        assert p[0, 1] > 0.8
        assert p[1, 0] > 0.8


def test_regression_peer_answers_one_column():
    columns = {"x": [str(i) for i in range(40)]}
    fitted = fit_peer("linear", columns, [str(3 * i + 1) for i in range(40)], "regression", 0)
    np.testing.assert_allclose(fitted.outputs({"x": ["10", "20"]}), [[31], [61]], atol=0.1)
