import math
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgpt_edge.data.cells import find_date_format, read_days
from modelgpt_edge.data.dates import PATTERNS
from modelgpt_edge.errors import InputError

EPOCH = datetime(1970, 1, 1)


def days(moment: datetime) -> float:
    return float(np.float32((moment - EPOCH) / timedelta(days=1)))


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30)),
    st.sampled_from([p for p in PATTERNS if p != "iso" and "%y" not in p]),
)
def test_agrees_with_strptime(moment: datetime, pattern: str) -> None:
    moment = moment.replace(microsecond=0)
    text = moment.strftime(pattern.replace("%Y", f"{moment.year:04}"))
    assert read_days([text], pattern)[0] == days(datetime.combine(moment.date(), datetime.min.time()))
    assert read_days([text + moment.strftime(" %H:%M:%S")], pattern)[0] == pytest.approx(days(moment), abs=1e-6)
    assert read_days([text + moment.strftime(" %I:%M %p")], pattern)[0] == pytest.approx(
        days(moment.replace(second=0)), abs=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(
        datetime(1, 1, 2),
        datetime(9999, 12, 30),
        timezones=st.just(timezone.utc) | st.just(timezone(timedelta(hours=-5, minutes=-30))),
    )
)
def test_iso_with_zones(moment: datetime) -> None:
    expected = days(moment.astimezone(timezone.utc).replace(tzinfo=None))
    for text in (moment.isoformat(), moment.isoformat(" "), moment.strftime("%Y-%m-%dT%H:%M:%S.%f%z").rjust(31, "0")):
        assert read_days([text], "iso")[0] == pytest.approx(expected, abs=1e-6)
    assert read_days([moment], "%d.%m.%Y")[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        *("2024-03-05T06:07:08", "2024-03-05 06:07:08.000", "2024-03-05T06:07:08Z", " 2024-03-05T06:07:08 "),
        *("2024-03-05T08:07:08+02:00", "2024-03-05 08:07:08 +0200", "2024-03-05 06:07:08 UTC"),
        *("20240305T060708Z", "2024-3-5 6:07:08", "2024-03-05 06:07:08 AM"),
    ],
)
def test_iso_spellings(text: str) -> None:
    assert find_date_format([text]) == ("iso", "")
    assert read_days([text], "iso")[0] == days(datetime(2024, 3, 5, 6, 7, 8))


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        (["2024-01-31"], "iso"),
        (["2024-01", "2023-12"], "iso"),
        (["2024/01/31"], "%Y/%m/%d"),
        (["31.01.2024", "1.2.2024"], "%d.%m.%Y"),
        (["31.01.24"], "%d.%m.%y"),
        (["13/02/2024", "03/04/2024"], "%d/%m/%Y"),
        (["02/13/2024", "03/04/2024"], "%m/%d/%Y"),
        (["02/13/24 10:15", "03/04/24"], "%m/%d/%y"),
        (["31-Jan-2024", "1-sep-2023"], "%d-%b-%Y"),
        (["5 January 2024", "6 Sept 2024"], "%d %b %Y"),
        (["Jan 5, 2024", "February 6, 2023"], "%b %d, %Y"),
        (["Mon, 05 Feb 2024 10:00:00 GMT"], "%d %b %Y"),
        (["13-02-2024", "01-02-2024"], "%d-%m-%Y"),
        (["02-13-2024", "01-02-2024"], "%m-%d-%Y"),
    ],
)
def test_formats_are_found(texts: list[str], pattern: str) -> None:
    assert find_date_format(texts) == (pattern, "")
    assert not np.isnan(read_days(texts, pattern)).any()


def test_doubt_is_said() -> None:
    slash, dash = find_date_format(["01/02/2024", "03/04/2024"]), find_date_format(["01-02-2024"])
    assert slash is not None
    assert slash[0] == "%m/%d/%Y"
    assert "month first" in slash[1]
    assert dash is not None
    assert dash[0] == "%d-%m-%Y"
    assert "day first" in dash[1]


def test_most_cells_decide() -> None:
    texts = [f"{d}/03/2024" for d in range(1, 29)]
    assert find_date_format([*texts, "soon"]) == ("%d/%m/%Y", "")
    assert find_date_format([*texts, "soon", "later", "never"]) is None
    assert find_date_format([*texts, *(f"03/{d}/2024" for d in range(13, 29))]) is None


@pytest.mark.parametrize(
    "texts",
    [[], [""], ["20240101"], ["2024", "2023"], ["1.5"], ["hello"], ["12:30"], ["1.2.3"], ["192.168.1.20"], ["31/02/2024"]],
)
def test_not_dates(texts: list[str]) -> None:
    assert find_date_format(texts) is None


@pytest.mark.parametrize(
    "cell", ["2024-02-30", "2024-01-01 25:00", "2024-01-01 13:00 PM", "20240101", 20240101, 1.5, "x", "13 Mabch 2024", True]
)
def test_unreadable(cell: object) -> None:
    assert math.isnan(read_days([cell], "iso")[0])


def test_objects_and_arrays() -> None:
    moments = pd.DatetimeIndex([datetime(1970, 1, 2, 12), None, datetime(2024, 2, 29)])
    expected = [1.5, math.nan, days(datetime(2024, 2, 29))]
    for cells in (
        moments.to_numpy(),
        list(moments),
        [np.datetime64(m) for m in moments.to_numpy()],
        moments.to_numpy().astype("datetime64[s]"),
    ):
        np.testing.assert_array_equal(read_days(cells, "%d/%m/%Y"), np.array(expected, np.float32))
    zoned = pd.Timestamp("1970-01-02 02:00", tz="Europe/Berlin")
    assert read_days([zoned, date(1970, 1, 3), b"1970-01-04"], "iso") == pytest.approx([1 + 1 / 24, 2, 3])


def test_two_digit_years_follow_posix() -> None:
    assert read_days(["01.01.68", "01.01.69"], "%d.%m.%y").tolist() == [days(datetime(2068, 1, 1)), days(datetime(1969, 1, 1))]


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(InputError, match=r"date format cannot be read.*%Q.*%d"):
        read_days(["1"], "%Q-%m")
