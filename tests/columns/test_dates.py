"""Dates in any notation: what is read without a doubt, what a flag settles, and what a recipe remembers."""

from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tensorize import prepare
from tensorize.columns.dates.notations import check_notation
from tensorize.columns.dates.text import to_instants, to_iso, to_time_of_day, to_times
from tensorize.core.errors import DataError, UsageError

SURE = {
    "2013-01-01T06:00:00Z": "2013-01-01 06:00:00Z",
    "2020-06-01T23:30:00-04:00": "2020-06-01 23:30:00-04:00",
    "2020-06-01 23:30+0530": "2020-06-01 23:30:00+05:30",
    "2020-06-01 00:00:00 UTC": "2020-06-01 00:00:00Z",
    "2013/01/01": "2013-01-01 00:00:00",
    "2013/1/1 5:07": "2013-01-01 05:07:00",
    "20200601": "2020-06-01 00:00:00",
    "20200601T123015": "2020-06-01 12:30:15",
    "2012-366": "2012-12-31 00:00:00",
    "2020-W53-7": "2021-01-03 00:00:00",
    "2011-02": "2011-02-01 00:00:00",
    "2011M12": "2011-12-01 00:00:00",
    "2011-Q3": "2011-07-01 00:00:00",
    "Q4 2011": "2011-10-01 00:00:00",
    "1871": "1871-01-01 00:00:00",
    "01-Jun-2020": "2020-06-01 00:00:00",
    "Sept 3, 2020 1:05 PM": "2020-09-03 13:05:00",
    "Wed, 02 Oct 2002 13:00:00 GMT": "2002-10-02 13:00:00Z",
    "2020-01-01 24:00": "2020-01-02 00:00:00",
    "2020-06-01 1:02:03.5": "2020-06-01 01:02:03.500000",
}


@pytest.mark.parametrize("written", SURE)
def test_what_can_be_read_in_one_way_is_read(written):
    assert pd.Timestamp(to_iso(pa.array([written]), None)[0].as_py()) == pd.Timestamp(SURE[written])


@pytest.mark.parametrize(
    "written", ["2011-02-29", "2011-13", "2011-366", "2021-W53-1", "01/02/2020", "13/06/20", "2020-01-01 25:00", "1e9", "x"]
)
def test_what_cannot_stays_as_it_is(written):
    assert to_iso(pa.array([written]), None)[0].as_py() == written
    if written != "01/02/2020":
        assert to_iso(pa.array([written]), "day-first")[0].as_py() == written


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_time_since_1970_is_exact(unit, factor):
    seconds = np.array([0, 951_782_400, 1_600_000_000, -86_401])
    found = to_times(to_iso(pa.array([str(value * factor) for value in seconds.tolist()]), unit), "t")
    assert found.cast(pa.int64()).to_pylist() == (seconds * 1_000_000).tolist()


def test_fractions_of_a_second_are_exact():
    found = to_times(to_iso(pa.array(["1600000000.000001", "1600000000.5"]), "s"), "t")
    assert found.cast(pa.int64()).to_pylist() == [1_600_000_000_000_001, 1_600_000_000_500_000]


@pytest.mark.parametrize("notation", ["%d.%m.%y", "%m/%d/%Y %I:%M %p", "%j %Y", "%Y-%d-%m", "%d%b%Y:%H:%M:%S", "%T %F"])
def test_formats_are_those_of_strptime(notation):
    times = [datetime(1999, 2, 11, 13, 5, 0), datetime(2004, 12, 31, 0, 0, 0), datetime(2020, 2, 29, 12, 59, 59)]
    texts = [time.strftime(notation) for time in times]
    found = to_times(to_iso(pa.array(texts), notation), "t").to_pylist()
    assert found == [
        pd.to_datetime(text, format=notation.replace("%T", "%H:%M:%S").replace("%F", "%Y-%m-%d")) for text in texts
    ]


@pytest.mark.parametrize("notation", ["day", "%H:%M", "%Y %Y", "%Q %Y"])
def test_what_is_no_notation_is_a_wrong_call(notation):
    with pytest.raises(UsageError):
        check_notation(notation)


def test_the_wall_clock_and_the_instant_of_an_offset():
    cells = pa.array(["2020-06-01T23:30:00-04:00", "2020-06-02T00:30:00Z", None])
    assert to_times(cells, "t").to_pylist() == [datetime(2020, 6, 1, 23, 30), datetime(2020, 6, 2, 0, 30), None]
    assert to_instants(cells, "t").to_pylist() == [datetime(2020, 6, 2, 3, 30), datetime(2020, 6, 2, 0, 30), None]


def test_times_of_day():
    micros, ok = to_time_of_day(pa.array(["00:15:00", "7", "1:05 PM", "25:00", "x", None]))
    assert (micros[:3] / 60_000_000).tolist() == [15, 420, 785]
    assert ok.tolist() == [True, True, True, False, False, False]


# in a table --------------------------------------------------------------------------------------------------------


def parts(tmp_path, cells, parts="month,day,hour", **options):
    path = tmp_path / "t.csv"
    path.write_text("d,n\n" + "".join(f'"{cell}",{row}\n' for row, cell in enumerate(cells)))
    return prepare("table", path, time_features=f"d:{parts}", scale="none", **options)


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["2020-06-01T00:00:00Z", "2020-06-13T13:00:00Z"], {}),
        (["2020/06/01", "2020/06/13 13:00"], {}),
        (["01.06.2020", "13.06.2020 13:00"], {}),
        (["06/01/2020 12:00 AM", "06/13/2020 01:00 PM"], {}),
        (["20200601", "20200613T130000"], {}),
        (["1-Jun-2020", "13-Jun-2020 13:00"], {}),
        (["01.06.20 00:00", "13.06.20 13:00"], {"time_format": "%d.%m.%y %H:%M"}),
        (["1590969600", "1592053200"], {"time_format": "d=s"}),
        (["1590969600000", "1592053200000"], {"time_format": "ms"}),
    ],
)
def test_calendar_parts_of_any_notation(tmp_path, cells, options):
    found = parts(tmp_path, cells, **options)["features"][:, :3].tolist()
    assert found == [[6, 1, 0], [6, 13, 13]]


def test_a_question_of_day_or_month_is_asked(tmp_path):
    with pytest.raises(DataError, match="day/month or month/day") as error:
        parts(tmp_path, ["01/02/2020", "03/04/2020"])
    for flag, month in (("d=day-first", 2), ("d=month-first", 1)):
        assert flag in error.value.hint
        assert parts(tmp_path, ["01/02/2020"], time_format=flag)["features"][0, 0] == month
    with pytest.raises(DataError, match="day first and dates with the month first"):
        parts(tmp_path, ["13/02/2020", "02/13/2020"])


def test_the_whole_file_decides(tmp_path):
    cells = ["01/02/2020"] * 70_000 + ["13/02/2020"]
    assert parts(tmp_path, cells)["features"][0, 0] == 2


def test_precision_is_not_mixed(tmp_path):
    with pytest.raises(DataError, match="different precision"):
        parts(tmp_path, ["2011", "2011-03-01"])


def test_the_recipe_knows_which_comes_first(tmp_path):
    made = parts(tmp_path, ["01/02/2020", "13/02/2020"])
    assert made.recipe.schema["d"].notation == "day-first"
    assert made.recipe.apply({"d": "03/04/2020", "n": 1})["features"][0, :2].tolist() == [4, 3]
    plain = parts(tmp_path, ["2020-02-01", "2020-02-13"])
    assert "notation" not in plain.recipe.to_json()
    assert plain.recipe.apply({"d": "2020/02/13", "n": 1})["features"][0, :2].tolist() == [2, 13]


def test_the_way_out_of_an_unknown_form_works(tmp_path):
    with pytest.raises(DataError) as error:
        parts(tmp_path, ["13/06/20", "01/02/20"])
    flag = error.value.hint.partition("--time-format ")[2].strip('"')
    assert parts(tmp_path, ["13/06/20", "01/02/20"], time_format=flag)["features"][:, 1].tolist() == [13, 1]


def test_rows_are_ordered_by_instants(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("d,n\n2020-06-01T23:30:00-04:00,2\n2020-06-02T00:30:00Z,0\n2020-06-02T01:30:00+00:00,1\n")
    made = prepare("table", path, order="d", scale="none", split="0.7,0.3")
    assert made["test/features"].ravel().tolist() == [2]
