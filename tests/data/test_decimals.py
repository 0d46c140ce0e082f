import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgpt_edge.data.decimals import read_decimals

decimals = st.from_regex(r"-?([0-9]{1,8}(\.[0-9]{0,7})?|\.[0-9]{1,12})|", fullmatch=True).filter(str.isascii)


@settings(max_examples=80, deadline=None)
@given(st.lists(decimals, min_size=1, max_size=40))
def test_agrees_with_float(cells: list[str]) -> None:
    expected = np.array([float(cell or "nan") for cell in cells])
    got = read_decimals("\n".join(cells), len(cells), ".")
    assert got is not None
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))
    comma = read_decimals("\n".join(cells).replace(".", ","), len(cells), ",")
    np.testing.assert_array_equal(comma, expected)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789.-+e ,\nx\u0665", max_size=20))
def test_leaves_what_it_cannot_read(cell: str) -> None:
    got = read_decimals(f"1\n{cell}\n2", 3, ".")
    if got is None:
        return
    assert float(cell or "nan") == got[1] or (cell == "" and np.isnan(got[1]))


@pytest.mark.parametrize(
    "cell", ["-", ".", "-.", "1.2.3", "--1", "1-2", "+1", "1e5", " 1", "1234567890123456", "NA", "1,5", "٣"]
)
def test_refuses(cell: str) -> None:
    assert read_decimals(f"1.5\n{cell}", 2, ".") is None
