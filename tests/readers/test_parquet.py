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
    both = [houses, tmp_path / "i.parquet"]
    written(tmp_path / "i.parquet", area=[1.0], town=["a"])
    with pytest.raises(DataError, match="the files have other columns") as caught:
        features(both)
    assert [line.rpartition("/")[2] for line in caught.value.details] == [
        "h.parquet has no column town",
        "i.parquet has no column city",
    ]
    assert caught.value.hint.endswith("omit the columns: --drop town --drop city")
    assert features(both, **caught.value.fix) == [[1], [2], [4], [5], [9], [1]]
    written(tmp_path / "i.parquet", area=["1"], city=["a"])
    with pytest.raises(DataError, match="columns of other types") as caught:
        features(both)
    assert caught.value.details == (f"area: double in {houses}, string in {both[1]}",)
    assert caught.value.hint.endswith("--drop area")
    assert len(features(both, **caught.value.fix)) == 6


@pytest.mark.parametrize(
    ("one", "other", "storage"),
    [
        (pa.array([1, 2], pa.int32()), pa.array([3], pa.int64()), "int64"),
        (pa.array([1, 2], pa.int64()), pa.array([2.5]), "float64"),
        (pa.array([1, 2], pa.float32()), pa.array([Decimal("2.5")]), "float64"),
        (pa.array(["a", "b"]), pa.array(["b"], pa.large_string()), "string"),
        (pa.array(["a", "b"]).dictionary_encode(), pa.array(["b"]), "string"),
        (pa.array([0, 1], pa.timestamp("s")), pa.array([2000], pa.timestamp("ms")), "string"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_types_that_one_holds_the_other_are_one(
    tmp_path: Path, one: pa.Array, other: pa.Array, storage: str, turned: bool
) -> None:
    files = [written(tmp_path / f"{number}.parquet", a=cells) for number, cells in enumerate((one, other))]
    rows = open_table(files[::-1] if turned else files, TableOptions(), Run(ThreadEngine(1), 1))
    assert rows.schema["a"].storage == storage
    cells = [cell for part in rows.partitions for cell in rows.read(part).unpacked().column("a").to_pylist()]
    expected = [*map(str, other), *map(str, one)] if turned else [*map(str, one), *map(str, other)]
    if storage == "string":
        assert [str(cell)[:19] for cell in cells] == expected
    else:
        assert cells == [float(cell) for cell in expected]


def test_a_whole_number_that_no_fraction_holds_is_told(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", a=[0.5])
    written(tmp_path / "b.parquet", a=[1, 2**53 + 1])
    with pytest.raises(DataError, match=r'b\.parquet:2: column "a" of type int64 cannot be held as double: 9007199254740993'):
        features(str(tmp_path / "*.parquet"))


def test_an_encrypted_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_bytes(b"PARE" + b"\0" * 40 + b"PARE")
    with pytest.raises(DataError, match=r"e\.parquet is an encrypted Parquet file"):
        features(tmp_path / "e.parquet")


# folders ------------------------------------------------------------------------------------------------------------


def test_folders_that_name_columns_are_columns(tmp_path: Path) -> None:
    table = pa.table(
        {"x": [1.0, 2.0, 3.0, 4.0], "year": [2023, 2024, 2024, 2023], "month": [1, 1, 12, 1], "town": ["a b", "c", "c", "a b"]}
    )
    pq.write_to_dataset(table, tmp_path / "d", partition_cols=["year", "month", "town"], basename_template="p-{i}.parquet")
    for name in ("_SUCCESS", "_metadata", ".p-0.parquet.crc", "year=2024/_temporary"):
        (tmp_path / "d" / name).write_bytes(b"")
    expected = prepare("table", table.take([0, 3, 1, 2]), onehot="town")
    for source in (tmp_path / "d", str(tmp_path / "d/**/*.parquet")):
        made = prepare("table", source, onehot="town")
        assert made.equals(expected)
    assert prepare("table", tmp_path / "d", drop="x", onehot="town", scale="none")["features"].shape == (4, 4)
    again = expected.recipe.apply(next((tmp_path / "d/year=2024/month=12").rglob("*.parquet")))
    assert again["features"].tolist() == expected.recipe.apply(table.slice(2, 1))["features"].tolist()


def test_values_of_folders_are_typed_together(tmp_path: Path) -> None:
    for year, cells in {"2024": [1.0], "__HIVE_DEFAULT_PARTITION__": [2.0], "2025": [4.0]}.items():
        (tmp_path / f"d/year={year}").mkdir(parents=True)
        written(tmp_path / f"d/year={year}/p.parquet", x=cells)
    with pytest.raises(DataError, match="missing") as caught:
        features(tmp_path / "d")
    assert "year" in str(caught.value)
    assert features(tmp_path / "d", missing="drop") == [[1, 2024], [4, 2025]]
    (tmp_path / "d/year=late").mkdir()
    written(tmp_path / "d/year=late/p.parquet", x=[3.0])
    assert features(tmp_path / "d", missing="drop") == [[1, 1, 0, 0], [4, 0, 1, 0], [3, 0, 0, 1]]
    written(tmp_path / "d/p.parquet", x=[3.0])
    with pytest.raises(DataError, match="not all files lie in folders that name year"):
        features(tmp_path / "d")


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
