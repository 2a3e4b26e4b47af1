"""SQLite files: tables and queries, cells of several types in a column, what is refused, damaged files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import Command
from test_same_rows import MIXED, bikes, mixed, wine

from tensorize import Recipe, TensorSet, prepare
from tensorize.core.errors import DataError, TensorizeError, UsageError

DECLARED = {pa.bool_(): "boolean", pa.int64(): "integer", pa.float64(): "real", pa.timestamp("s"): "timestamp"}


def written(path: Path, name: str, table: pa.Table) -> Path:
    """An Arrow table as other programs write it: times as text, true and false as 1 and 0."""
    names = ", ".join(f'"{field.name}" {DECLARED.get(field.type, "text")}' for field in table.schema)
    cells = [column.cast(pa.string()) if pa.types.is_temporal(column.type) else column for column in table.columns]
    rows = list(zip(*(column.to_pylist() for column in cells), strict=True))
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(f'create table "{name}" ({names})')
        base.executemany(f'insert into "{name}" values ({", ".join("?" * len(cells))})', rows)
    return path


def made(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as base, base:
        for statement in statements:
            base.execute(statement)
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return made(
        tmp_path / "shop.sqlite",
        "create table sales (id integer primary key, price real, city text)",
        "insert into sales values (3, 1.5, 'a'), (1, 0.5, 'b'), (2, 1, 'a')",
    )


def features(source: Any, **options: Any) -> list[list[float]]:
    found: list[list[float]] = prepare("table", source, scale="none", **options)["features"].tolist()
    return found


def alike(found: TensorSet, other: TensorSet) -> bool:
    return found.layout.tensors == other.layout.tensors and all(
        found.numpy(key).tobytes() == other.numpy(key).tobytes() for key in other
    )


# the same rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"split": "0.7,0.1,0.2", "encode": "ids"}, {"where": 'rooms > 2 and colour == "red"'}])
def test_a_mixed_table(tmp_path: Path, options: dict[str, Any]) -> None:
    path = written(tmp_path / "m.sqlite", "mixed", mixed(tmp_path / "mixed.csv"))
    assert prepare("table", path, **MIXED, **options).equals(prepare("table", tmp_path / "mixed.csv", **MIXED, **options))


def test_the_wines(data: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "w.db", "wine", wine(tmp_path / "w.csv", data / "wine/winequality-white.csv"))
    expected = prepare("wine", tmp_path / "w.csv", split="0.8,0.2")
    assert prepare("wine", path, split="0.8,0.2").equals(expected)
    assert prepare("wine", path, split="0.8,0.2", engine="processes", workers=2).equals(expected)
    assert alike(prepare("wine", path, query="select * from wine order by rowid", split="0.8,0.2"), expected)


def test_the_bikes(data: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "b.sqlite3", "hours", bikes(tmp_path / "b.csv", data / "bikes/hour.csv"))
    for kind, options in (
        ("bikes", {"split": "0.8,0.2"}),
        ("series", {"time": "dteday+hr", "step": "1h", "window": 24, "gaps": "ffill"}),
    ):
        assert prepare(kind, path, **options).equals(prepare(kind, tmp_path / "b.csv", **options))


def test_a_table_of_text_alone_is_read_as_its_csv_file(tmp_path: Path) -> None:
    """As the shell of SQLite imports one."""
    path = made(
        tmp_path / "t.db", "create table t (a text, b text)", "insert into t values ('1', 'x'), ('2.5', 'y'), ('', 'x')"
    )
    assert features(path, missing="0") == [[1, 1, 0], [2.5, 0, 1], [0, 1, 0]]


# tables and queries -------------------------------------------------------------------------------------------------


def test_the_only_table_is_read_and_of_several_one_is_named(shop: Path, tensorize: Command) -> None:
    assert features(shop, drop="id,city") == [[0.5], [1], [1.5]]
    done = tensorize("shop.sqlite")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('shop.sqlite:sales   a table   3 rows × 3 columns   SQLite, table "sales"')
    made(shop, "create view costly as select * from sales where price > 1")
    done = tensorize("table", "shop.sqlite", "-o", "s.h5")
    assert done.returncode == 2
    assert "shop.sqlite has 2 tables: which one?" in done.stderr
    assert done.stderr.splitlines()[-1].strip() == "tensorize shop.sqlite --table sales"
    assert features(shop, table="costly", drop="city") == [[3, 1.5]]
    with pytest.raises(UsageError, match=r'has no table "sale"; did you mean "sales"\?'):
        features(shop, table="sale")


def test_queries(shop: Path, tensorize: Command) -> None:
    assert features(shop, query="select price, id * 2 as twice from sales order by price desc;") == [[1.5, 6], [1, 4], [0.5, 2]]
    done = tensorize("table", "shop.sqlite", "--query", "select price from sales", "-o", "s.h5")
    assert "no ORDER BY" in done.stdout
    assert Recipe.read(shop.parent / "s.h5").options["query"] == "select price from sales"
    assert tensorize("apply", "s.h5", "shop.sqlite", "-o", "t.h5").returncode == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("delete from sales", "begins with delete"),
        ("pragma journal_mode = delete", "begins with pragma"),
        ("attach 'other.db' as other", "begins with attach"),
        ("select 1; drop table sales", "one statement"),
        ("with x as (select 1) delete from sales", "syntax error"),
        ("select nix from sales", "no such column: nix"),
        ("select * from sale", 'has no table "sale"'),
        ("select 1 as a, 2 as a", "names a more than once|duplicate"),
        ("select load_extension('x')", "not authorized|no such function|take the query|cannot be read"),
        ("select 1 as a where 0", "no row"),
    ],
)
def test_queries_that_are_refused(shop: Path, query: str, said: str) -> None:
    before = shop.read_bytes()
    with pytest.raises(TensorizeError, match=said) as caught:
        features(shop, query=query)
    assert caught.value.hint
    assert shop.read_bytes() == before
    assert sorted(path.name for path in shop.parent.iterdir()) == ["shop.sqlite"]


def test_a_database_is_read_where_nothing_can_be_written(shop: Path) -> None:
    made(shop, "pragma journal_mode = wal")
    shop.chmod(0o444)
    shop.parent.chmod(0o555)
    try:
        assert features(shop, drop="city,id") == [[0.5], [1], [1.5]]
    finally:
        shop.parent.chmod(0o755)


# cells --------------------------------------------------------------------------------------------------------------


def test_numbers_and_words_in_a_column_are_an_error(tmp_path: Path) -> None:
    path = made(tmp_path / "t.db", "create table t (a, b)", "insert into t values (1, 2), (2.5, 3), ('many', 4), (null, 5)")
    with pytest.raises(DataError, match="column mixes numbers and words") as caught:
        features(path)
    assert caught.value.details[0].endswith("t.db:t:3  a  many")
    assert features(path, na="many", missing="0") == [[1, 2], [2.5, 3], [0, 4], [0, 5]]


def test_a_word_after_many_numbers_is_an_error_too(tmp_path: Path) -> None:
    path = made(tmp_path / "t.db", "create table t (a)")
    with closing(sqlite3.connect(path)) as base, base:
        base.executemany("insert into t values (?)", [(at,) for at in range(40_000)] + [("x",)])
    with pytest.raises(DataError, match="column mixes") as caught:
        features(path)
    assert caught.value.details[0].endswith("t.db:t:40001  a  x")
    assert len(features(path, on_bad="skip")) == 40_000


def test_kinds_of_cells(tmp_path: Path) -> None:
    path = made(
        tmp_path / "t.db",
        "create table t (big integer, whole real, flag boolean, day date, infinite real)",
        "insert into t values (9223372036854775807, 2.0, 1, '2024-03-01', 9e999), (-5, 3.0, 0, '2024-12-31', 1)",
    )
    made_set = prepare("table", path, time_features="day:month", na="inf", missing="0", scale="none")
    assert made_set["features"].tolist() == [[2.0**63, 2, 1, 3, 0], [-5, 3, 0, 12, 1]]


def test_bytes_are_refused_by_name_unless_they_are_dropped(tmp_path: Path) -> None:
    path = made(tmp_path / "t.db", "create table t (a, b)", "insert into t values (1, x'00ff'), (2, null)")
    with pytest.raises(DataError, match=r't\.db:t:1: column "b" holds bytes') as caught:
        features(path)
    assert '--drop "b"' in (caught.value.hint or "")
    assert features(path, drop="b") == [[1], [2]]


# damaged ------------------------------------------------------------------------------------------------------------


def test_damaged_files_are_named(shop: Path) -> None:
    whole = shop.read_bytes()
    for at in range(16, len(whole), len(whole) // 24):
        shop.write_bytes(whole[:at] + bytes(b ^ 0x5A for b in whole[at : at + 16]) + whole[at + 16 :])
        said = None
        try:
            features(shop, drop="city")
        except TensorizeError as error:
            said = str(error)
        assert said is None or "shop.sqlite" in said or "column" in said
    shop.write_bytes(whole[:5000])
    with pytest.raises(TensorizeError, match=r"shop\.sqlite"):
        features(shop)
    shop.write_bytes(b"SQLite format 3\0" + b"\xff" * 100)
    with pytest.raises(DataError, match=r"shop\.sqlite cannot be read"):
        features(shop)


def test_text_that_is_no_text(tmp_path: Path) -> None:
    path = made(tmp_path / "t.db", "create table t (a, b)", "insert into t values (1, cast(x'ff00fe' as text))")
    with pytest.raises(DataError, match=r"t\.db cannot be read"):
        features(path)


def test_a_table_that_hides_a_query_without_end_is_read_up_to_nothing_else(tmp_path: Path) -> None:
    path = made(tmp_path / "t.db", "create table t (a)", "insert into t values (1), (2)", "create view v as select * from t")
    assert features(path, table="v") == [[1], [2]]
    with pytest.raises(UsageError, match="one SQLite file at a time"):
        features([path, path], table="t")
