"""Parquet: types, places, what is refused, files that are damaged or change, and which reader reads what."""

from __future__ import annotations

import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Command

from tensorize import Recipe, prepare
from tensorize.columns.options import TableOptions
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError, UsageError
from tensorize.engine.threads import ThreadEngine
from tensorize.readers.open import open_table


def written(path: Path, rows: int = 1 << 20, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    return written(tmp_path / "h.parquet", 3, area=[1.0, 2.0, 4.0, 5.0, 9.0], city=["a", "b", "a", "b", "a"])


def features(source: Any, **options: Any) -> list[list[float]]:
    found: list[list[float]] = prepare("table", source, scale="none", **options)["features"].tolist()
    return found


# types --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([True, False]), [1, 0]),
        (pa.array([1, 255], pa.uint8()), [1, 255]),
        (pa.array([1, 2**63 - 1], pa.uint64()), [1, 2**63]),
        (pa.array([0.5, -2], pa.float16()), [0.5, -2]),
        (pa.array([Decimal("0.10"), Decimal("-7.25")], pa.decimal128(9, 2)), [0.1, -7.25]),
        (pa.array([Decimal("0.1"), Decimal("12345678901234567890.5")], pa.decimal128(38, 1)), [0.1, 12345678901234567890.5]),
        (pa.array([Decimal("0.1"), Decimal("2")], pa.decimal256(60, 1)), [0.1, 2]),
        (pa.array([3, 4]).dictionary_encode(), [3, 4]),
    ],
)
def test_numbers_of_every_type(tmp_path: Path, cells: pa.Array, expected: list[float]) -> None:
    table = pa.table({"a": cells})
    pq.write_table(table, tmp_path / "d.parquet")
    for source in (tmp_path / "d.parquet", table):
        assert features(source) == [[pytest.approx(value, rel=1e-6)] for value in expected]


def test_dates_and_times_become_calendar_parts(tmp_path: Path) -> None:
    days = pa.array([0, 40], pa.date32())
    for cells in (days, days.cast(pa.date64()), *(days.cast(pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns"))):
        path = written(tmp_path / "d.parquet", at=cells)
        assert features(path, time_features="at:month,day") == [[1, 1], [2, 10]]


def test_missing_is_null_nan_or_an_empty_text(tmp_path: Path) -> None:
    path = written(tmp_path / "d.parquet", a=[1.0, float("nan"), None], b=["x", "", "?"])
    with pytest.raises(DataError, match=r"missing") as caught:
        features(path, na="?")
    said = str(caught.value)
    assert "d.parquet:2" in said
    assert "a" in said
    assert features(path, na="?", missing="drop") == [[1, 1]]


# refusals -----------------------------------------------------------------------------------------------------------


def test_types_without_a_kind_are_refused_all_at_once_unless_they_are_dropped(tmp_path: Path) -> None:
    path = written(tmp_path / "d.parquet", a=[1.0, 2.0], tags=[[1], [2]], raw=[b"x", b"y"], s=[{"x": 1}, {"x": 2}])
    with pytest.raises(DataError) as caught:
        features(path)
    assert "3 columns have types" in caught.value.what
    assert all(name in str(caught.value) for name in ("tags: list", "raw: binary", "s: struct"))
    assert caught.value.hint == "omit them: --drop tags --drop raw --drop s"
    assert features(path, drop=["tags", "raw", "s"]) == [[1], [2]]


def test_a_number_beyond_int64_is_told_with_its_place(tmp_path: Path) -> None:
    path = written(tmp_path / "d.parquet", 2, a=pa.array([1, 2, 3, 2**63], pa.uint64()))
    with pytest.raises(
        DataError, match=r'd\.parquet:4: column "a" of type uint64 cannot be held as int64: 9223372036854775808'
    ):
        features(path)
    with pytest.raises(DataError, match="row 3: "):
        features(pq.read_table(path))


def test_a_time_below_a_microsecond_is_told_with_its_place(tmp_path: Path) -> None:
    path = written(tmp_path / "d.parquet", at=pa.array([1000, 2000, 2001], pa.timestamp("ns")))
    with pytest.raises(DataError, match=r"d\.parquet:3: "):
        features(path, time_features="at")


def test_a_damaged_file_is_named(tmp_path: Path, houses: Path) -> None:
    data = houses.read_bytes()
    for broken in (data[:-9], data[:40], data[:60] + b"\0" * 40 + data[100:]):
        houses.write_bytes(broken)
        with pytest.raises(DataError, match=r"h\.parquet"):
            features(houses)
    houses.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=r"h\.parquet cannot be read as Parquet"):
        features(houses)
    assert features(houses, reader="csv") == [[1, 2]]


def test_a_file_that_changes_as_it_is_read_is_refused(houses: Path) -> None:
    run = Run(ThreadEngine(1), 10)
    rows = open_table(houses, TableOptions(), run)
    written(houses, area=[1.0, 2.0, 3.0, 4.0, 7.0], city=["a", "b", "a", "b", "c"])
    with pytest.raises(DataError, match=r"h\.parquet has changed"):
        rows.read(rows.partitions[0])


def test_files_of_other_columns_or_types_are_refused(tmp_path: Path, houses: Path) -> None:
    written(tmp_path / "i.parquet", area=[1.0], town=["a"])
    with pytest.raises(DataError, match=r"i\.parquet has other columns than .*h\.parquet: city, town"):
        features([houses, tmp_path / "i.parquet"])
    written(tmp_path / "i.parquet", area=[1], city=["a"])
    with pytest.raises(DataError, match="has other types") as caught:
        features([houses, tmp_path / "i.parquet"])
    assert "area: double and int64" in str(caught.value)


def test_several_files_are_one_table(tmp_path: Path, houses: Path) -> None:
    written(tmp_path / "i.parquet", city=["c", None], area=[7.0, 8.0])
    both = str(tmp_path / "*.parquet")
    with pytest.raises(DataError, match="missing") as caught:
        features(both)
    assert "i.parquet:2" in str(caught.value)
    assert features(both, missing="drop")[-1] == [7, 0, 0, 1]


# partitions ---------------------------------------------------------------------------------------------------------


def test_row_groups_are_partitions_and_small_ones_are_joined(houses: Path) -> None:
    for size, rows in ((1, [3, 2]), (1 << 20, [5])):
        found = open_table(houses, TableOptions(), Run(ThreadEngine(1), size))
        assert [part.rows for part in found.partitions] == rows
        again = pickle.loads(pickle.dumps(found))
        part = again.read(again.partitions[-1], ["city"]).unpacked()
        assert part.to_pydict() == {"city": ["a", "b", "a", "b", "a"][-rows[-1] :]}


def test_the_index_that_pandas_writes_is_left_out(tmp_path: Path) -> None:
    index = pa.array(["u", "v"]).to_pandas()  # of whole numbers pandas would make a range, and write no column
    frame = pa.table({"a": [1.0, 2.0]}).to_pandas().set_index(index)
    frame.to_parquet(tmp_path / "d.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "d.parquet").names
    assert features(tmp_path / "d.parquet") == features(frame) == [[1], [2]]


# which reader -------------------------------------------------------------------------------------------------------


def test_the_content_tells_the_reader_and_pipes_are_read_too(tensorize: Command, houses: Path, tmp_path: Path) -> None:
    houses.rename(tmp_path / "h.csv")
    made = []
    with (tmp_path / "h.csv").open("rb") as stream:
        for name, options in (("h.csv", {}), ("-", {"stdin": stream})):
            done = tensorize("table", name, "-o", "h.h5", "--force", **options)
            assert done.returncode == 0, done.stderr
            made.append((tmp_path / "h.h5").read_bytes())
    assert made[0] == made[1]
    assert tensorize("apply", "h.h5", "h.csv", "-o", "i.h5").returncode == 0
    assert (tmp_path / "i.h5").read_bytes() == made[0]


def test_options_of_another_reader_are_refused(tensorize: Command, houses: Path) -> None:
    done = tensorize("table", "h.parquet", "--delimiter", ";", "--header", "no", "-o", "h.h5")
    assert done.returncode == 2
    assert "--delimiter, --header are options of the csv reader; h.parquet is read by parquet" in done.stderr
    with pytest.raises(UsageError, match="--delimiter is an option of the csv reader; dict is read by memory"):
        prepare("table", {"a": [1.0, 2.0]}, delimiter=";")
    with pytest.raises(UsageError, match="--delimiter is an option of the csv reader, not of parquet"):
        prepare("table", houses, delimiter=";", reader="parquet")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reader": "parqet"}, 'there is no reader "parqet"'),
        ({"reader": "memory"}, "reads what Python holds"),
        ({"reader": "csv"}, "is a Parquet file, not text"),
    ],
)
def test_a_reader_that_cannot_be_is_refused(houses: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises((UsageError, DataError), match=said):
        prepare("table", houses, **options)
    with pytest.raises(UsageError, match="--reader csv reads files; dict is read by memory"):
        prepare("table", {"a": [1.0]}, reader="csv")


def test_a_recipe_of_a_csv_file_is_applied_to_what_other_readers_read(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("x;a;b\n1,5;u;1\n2,5;v;2\n")
    made = prepare("table", path, delimiter=";", decimal=",", drop="b", max_cell="1MB", reader="csv")
    options = {"reader": "csv", "delimiter": ";", "decimal": ",", "max_cell": 1_000_000, "drop": ["b"]}
    assert made.recipe.options == options
    assert list(made.recipe.options) == list(options)
    recipe = Recipe.from_json(made.recipe.to_json())
    parquet = written(tmp_path / "d.parquet", x=[1.5, 2.5], a=["u", "v"])
    for source in (parquet, {"x": [1.5, 2.5], "a": ["u", "v"]}, path):
        assert recipe.apply(source).equals(made)
    assert recipe.apply({"x": 2.5, "a": "v"})["features"].tolist() == made["features"][1:].tolist()
    assert recipe.apply(path, limits={"max_cell": "9KB"}).equals(made)
