"""PostgreSQL: tables and queries, types, what is refused, what servers say, and that no password is said anywhere."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import Command
from test_same_rows import MIXED, bikes, mixed, wine

from tensorize import Recipe, TensorSet, prepare
from tensorize.core import limits
from tensorize.core.errors import DataError, RunError, TensorizeError, UsageError
from tensorize.sources.databases import Database, is_database, parse_database

pytest.importorskip("adbc_driver_postgresql")


def features(source: Any, **options: Any) -> list[list[float]]:
    found: list[list[float]] = prepare("table", source, scale="none", **options)["features"].tolist()
    return found


@pytest.fixture
def shop(postgres: Any) -> Any:
    postgres.run(
        'drop table if exists sales, "Odd Name"',
        "create table sales (id int primary key, price float8, city text)",
        "insert into sales select i, i / 2.0, case i % 2 when 0 then 'a' else 'b' end from generate_series(20, 1, -1) i",
    )
    return postgres


def alike(made: TensorSet, other: TensorSet) -> bool:
    """The same tensors bit for bit; the recipes differ in the name of the table."""
    return made.layout.tensors == other.layout.tensors and all(
        made.numpy(key).tobytes() == other.numpy(key).tobytes() for key in other
    )


# the same rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"split": "0.7,0.1,0.2", "encode": "ids"}, {"where": 'rooms > 2 and colour == "red"'}])
def test_a_mixed_table(postgres: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    postgres.write("mixed", mixed(tmp_path / "mixed.csv"))
    made = prepare("table", postgres.address, table="mixed", **MIXED, **options)
    assert alike(made, prepare("table", tmp_path / "mixed.csv", **MIXED, **options))


def test_the_wines(postgres: Any, data: Path, tmp_path: Path) -> None:
    postgres.write("wine", wine(tmp_path / "w.csv", data / "wine/winequality-white.csv"))
    expected = prepare("wine", tmp_path / "w.csv", split="0.8,0.2")
    assert alike(prepare("wine", postgres.address, table="wine", split="0.8,0.2"), expected)
    made = prepare("wine", postgres.address, query="select * from wine", split="0.8,0.2", engine="processes")
    assert alike(made, expected)


def test_the_bikes(postgres: Any, data: Path, tmp_path: Path) -> None:
    postgres.write("bikes", bikes(tmp_path / "b.csv", data / "bikes/hour.csv"))
    for kind, options in (
        ("bikes", {"split": "0.8,0.2"}),
        ("series", {"time": "dteday+hr", "step": "1h", "window": 24, "gaps": "ffill"}),
    ):
        made = prepare(kind, postgres.address, table="bikes", **options)
        assert alike(made, prepare(kind, tmp_path / "b.csv", **options))


# tables and queries -------------------------------------------------------------------------------------------------


def test_a_table_is_read_in_the_order_of_its_key(shop: Any, tensorize: Command) -> None:
    assert [row[0] for row in features(shop.address, table="sales", drop="city,id")] == [i / 2 for i in range(1, 21)]
    done = tensorize("table", shop.address, "--table", "sales", "--id", "id", "-o", "s.h5")
    assert done.returncode == 0, done.stderr
    assert f"{shop.address}/sales   20 rows × 3 columns" in done.stdout
    assert "ordered by its primary key: id" in done.stdout


def test_a_query_and_its_order(shop: Any, tensorize: Command) -> None:
    query = "select price, city from sales where id > 10 order by id desc"
    assert [row[0] for row in features(shop.address, query=query)] == [i / 2 for i in range(20, 10, -1)]
    done = tensorize("table", shop.address, "--query", "select price, city from sales;", "-o", "s.h5")
    assert "no ORDER BY: the rows may come in another order the next time" in done.stdout
    assert len(features(shop.address, query="(select price from sales where id < 3) union all select 7.5")) == 3


def test_names_of_all_kinds(shop: Any) -> None:
    shop.run(
        "create schema if not exists other", "drop table if exists other.t", "create table other.t as select 2.5::float8 a"
    )
    shop.run('create table "Odd Name" as select 1.5::float8 "A ""b""", 2 c')
    assert features(shop.address, table="Odd Name") == [[1.5, 2]]
    assert features(shop.address, table="public.Odd Name", drop="c") == [[1.5]]
    assert features(shop.address, table="other.t") == [[2.5]]
    with pytest.raises(UsageError, match=r'has no table "sale"; did you mean "sales"\?') as caught:
        features(shop.address, table="sale")
    assert "tables: " in (caught.value.hint or "")
    with pytest.raises(UsageError, match="tables: which one") as caught:
        features(shop.address)
    assert "--table" in (caught.value.hint or "")
    shop.run('drop table "Odd Name", other.t')


def test_the_recipe_keeps_the_query_and_is_applied_to_other_sources(shop: Any, tmp_path: Path) -> None:
    query = "select price, city from sales order by id"
    made = prepare("table", shop.address, query=query, out=tmp_path / "s.h5")
    recipe = Recipe.read(tmp_path / "s.h5")
    assert recipe.options["query"] == query
    assert recipe.apply(shop.address)["features"].equal(made["features"])
    (tmp_path / "s.csv").write_text("price,city\n0.5,b\n1.0,a\n")
    assert recipe.apply(tmp_path / "s.csv")["features"].equal(made["features"][:2])
    again = recipe.apply(shop.address, query="select price, city from sales where id = 1")
    assert again["features"].equal(made["features"][:1])
    from_csv = prepare("table", tmp_path / "s.csv", out=tmp_path / "c.h5")
    with pytest.raises(UsageError, match="which one"):
        Recipe.read(tmp_path / "c.h5").apply(shop.address)
    assert Recipe.read(tmp_path / "c.h5").apply(shop.address, query=query)["features"][:2].equal(from_csv["features"])


def test_looking_at_a_database(shop: Any, tensorize: Command) -> None:
    done = tensorize(shop.address, "--table", "sales")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"tensorize table {shop.address} --table sales --id id -o postgres.h5"
    done = tensorize("auto", shop.address, "--table", "sales", "--target", "price", "-o", "s.h5")
    assert done.returncode == 0, done.stderr


# types --------------------------------------------------------------------------------------------------------------


def test_numbers(postgres: Any) -> None:
    query = """select 1::int2 a, 2::int4 b, 9007199254740993::int8 c, 0.1::float4 d, 0.1::float8 e,
    12345678901234567890.123456789::numeric f, 0.10::numeric(4,2) g, 5::oid h, true i"""
    (row,) = prepare("table", postgres.address, query=query, scale="none")["features"].double().tolist()
    expected = [1, 2, 9007199254740993, 0.1, 0.1, 12345678901234567890.123456789, 0.1, 5, 1]
    assert row == pytest.approx(expected, rel=1e-7)


def test_missing_numbers_are_null_and_nan(postgres: Any) -> None:
    query = "values (1.5::numeric, 1.5::float8), (null, 'NaN'), ('NaN', null), (2, 2) "
    assert features(postgres.address, query=query, missing="drop") == [[1.5, 1.5], [2, 2]]
    with pytest.raises(DataError, match="infinit"):
        features(postgres.address, query="values ('infinity'::numeric), (1)")
    with pytest.raises(DataError, match="infinit"):
        features(postgres.address, query="values ('-infinity'::float8), (1)")
    assert features(postgres.address, query="values ('-infinity'::float8), (1)", na="inf", missing="drop") == [[1]]


def test_texts_enums_and_uuids_are_categories(postgres: Any) -> None:
    postgres.run("drop type if exists mood", "create type mood as enum ('sad', 'ok')")
    query = """values ('sad'::mood, 'x'::varchar, '00000000-0000-0000-0000-00000000000a'::uuid, 'p'::char(2)),
    ('ok', '', '12345678-9abc-def0-1234-56789abcdef0', null)"""
    made = prepare("table", postgres.address, query=query, missing="mode")
    assert made["features"].shape == (2, 6)
    assert "12345678-9abc-def0-1234-56789abcdef0" in made.recipe.to_json()


def test_times(postgres: Any) -> None:
    query = """values ('2024-03-01'::date, '2024-03-01 10:30'::timestamp, '2024-03-01 10:30+02'::timestamptz),
    ('0001-01-01', '9999-12-31 23:59:59.999999', '2024-12-31 23:30-01')"""
    found = features(postgres.address, query=query, time_features=["column1:month", "column2:hour", "column3:month,hour"])
    assert found == [[3, 10, 3, 8], [1, 23, 1, 0]]


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_infinite_times_are_refused_or_missing(postgres: Any, kind: str, sign: str) -> None:
    query = f"values ('2024-03-01'::{kind}), ('{sign}infinity'), (null)"
    with pytest.raises(DataError, match=r':2: column "column1" holds 1 time that is infinity') as caught:
        features(postgres.address, query=query, time_features="column1:month")
    assert "--na infinity" in (caught.value.hint or "")
    assert features(postgres.address, query=query, time_features="column1:month", na="infinity", missing="drop") == [[3]]
    assert features(postgres.address, query=f"select 1 a, '{sign}infinity'::{kind} b", drop="b") == [[1]]


@pytest.mark.parametrize("cell", ["'0044-03-15 BC'::date", "'20000-01-01'::timestamp", "'294000-01-01'::timestamptz"])
def test_times_that_no_calendar_has_are_refused(postgres: Any, cell: str) -> None:
    with pytest.raises(DataError, match="outside of the years 1 to 9999"):
        features(postgres.address, query=f"select {cell} a", time_features="a:month")


def test_types_that_no_tensor_is_made_of_are_refused_all_at_once(postgres: Any) -> None:
    query = """select 1.5 a, array[1,2] arr, '{}'::jsonb js, '\\x00'::bytea by, '1 day'::interval iv, '12.34'::money mon,
    '127.0.0.1'::inet ip, point(1,2) p"""
    with pytest.raises(DataError, match="7 columns have types that no tensor is made of") as caught:
        features(postgres.address, query=query)
    said = str(caught.value)
    assert all(line in said for line in ("arr: int4[]", "js: jsonb", "by: bytea", "iv: interval", "mon: money"))
    assert '"mon"::numeric' in (caught.value.hint or "")
    assert features(postgres.address, query=query, drop=caught.value.fix["drop"]) == [[1.5]]
    assert features(postgres.address, query="select '12.34'::money::numeric a") == [[pytest.approx(12.34)]]


# what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("delete from sales", "begins with delete"),
        ("", "begins with nothing"),
        ("/* x */ -- y\n do $$ begin end $$", "begins with do"),
        ("copy sales to '/tmp/x'", "begins with copy"),
        ("select 1; select 2", "multiple commands"),
        ("with x as (delete from sales returning *) select * from x", "read-only|data-modifying"),
        ("select nextval('seq')", "read-only"),
        ("select * into other_sales from sales", "gives no columns"),
        ("select nix from sales", 'column "nix" does not exist'),
        ("select * from nix", 'relation "nix" does not exist'),
        ("select 1 +", "syntax error"),
        ("select 1 a, 2 a", "names a more than once"),
        ("select 1/0 a", "division by zero"),
        ("select 1 a where false", "has no row"),
    ],
)
def test_queries_that_are_refused(shop: Any, query: str, said: str) -> None:
    shop.run("create sequence if not exists seq")
    with pytest.raises(TensorizeError, match=said) as caught:
        features(shop.address, query=query)
    assert caught.value.hint
    assert len(features(shop.address, table="sales")) == 20


def test_a_query_shows_where_it_is_wrong(shop: Any, tensorize: Command) -> None:
    done = tensorize("table", shop.address, "--query", "select price,, city from sales", "-o", "s.h5")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert 'syntax error at or near ","' in lines[0]
    assert lines[1] == "  select price,, city from sales"
    assert lines[2] == "               ^"


def test_the_transaction_only_reads(shop: Any) -> None:
    query = "select current_setting('transaction_read_only') a, current_setting('transaction_isolation') b, 1 c"
    made = prepare("table", shop.address, query=query, raw="c", onehot="a:on,off")
    assert made["features"][0].tolist() == [1, 1, 0, 1]
    assert "repeatable read" in made.recipe.to_json()


def test_options_that_do_not_fit(shop: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give a query or a table, not both"):
        features(shop.address, table="sales", query="select 1")
    with pytest.raises(UsageError, match="a database is read by itself"):
        features([shop.address, shop.address], table="sales")
    with pytest.raises(UsageError, match="--delimiter is an option of the csv reader"):
        features(shop.address, delimiter=";")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(UsageError, match="--table is an option of the sql reader"):
        features(tmp_path / "a.csv", table="sales")


@pytest.mark.parametrize(
    ("address", "said"), [("mysql://u:geheim@h/d", "MySQL is not read"), ("duckdb:///x.db", "DuckDB is not read")]
)
def test_other_databases_are_named_with_a_way_out(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        features(address)
    assert "Parquet" in (caught.value.hint or "")
    assert "geheim" not in str(caught.value)


# servers ------------------------------------------------------------------------------------------------------------


def test_no_server_no_database_no_right(postgres: Any) -> None:
    with pytest.raises(RunError, match="Connection refused") as caught:
        features("postgresql://postgres@127.0.0.1:1/x", table="t")
    assert "is the server up" in (caught.value.hint or "")
    with pytest.raises(UsageError, match='database "nix" does not exist'):
        features(postgres.address.replace("/postgres", "/nix").replace("//nix", "//postgres"), table="t")
    postgres.run("drop table if exists private", "create table private as select 1 a")
    with pytest.raises(UsageError, match="permission denied"):
        features(postgres.guarded, query="select * from private")


def test_a_server_that_says_nothing_ends_the_run(postgres: Any) -> None:
    token = limits._TIMEOUT.set(2)
    try:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            started = time.monotonic()
            with pytest.raises(RunError):
                features(f"postgresql://postgres@127.0.0.1:{deaf.getsockname()[1]}/x", table="t")
            assert time.monotonic() - started < 20
        started = time.monotonic()
        with pytest.raises(RunError, match="has sent nothing in 2 s") as caught:
            features(postgres.address, query="select 1 a, pg_sleep(60)::text b")
        assert "--timeout" in (caught.value.hint or "")
        assert time.monotonic() - started < 20
    finally:
        limits._TIMEOUT.reset(token)


def test_a_server_that_ends_in_the_middle_is_named(postgres: Any) -> None:
    def end() -> None:
        time.sleep(1.0)
        postgres.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tensorize'")

    thread = threading.Thread(target=end)
    thread.start()
    query = "select i a, case when i % 100000 = 0 then pg_sleep(0.2)::text end b from generate_series(1, 10000000) i"
    with pytest.raises(RunError, match=r"ended|terminat|cannot be read"):
        features(postgres.address, query=query, drop="b")
    thread.join()


# secrets ------------------------------------------------------------------------------------------------------------


SECRETS = ("hunter2", "%2F%40%3Asecret", "/@:secret")


def watched(stop: threading.Event, seen: set[str]) -> None:
    """Every command line of this machine's processes."""
    while not stop.is_set():
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            except OSError:
                continue
        time.sleep(0.02)


def test_the_password_is_nowhere(shop: Any, tensorize: Command, tmp_path: Path) -> None:
    shop.run("grant select on sales to ada")
    stop, seen = threading.Event(), set[str]()
    thread = threading.Thread(target=watched, args=(stop, seen))
    thread.start()
    said = []
    try:
        for call in (
            ["table", shop.guarded, "--table", "sales", "-o", "s.h5", "--engine", "processes", "-v"],
            ["table", shop.guarded, "--table", "sales", "-o", "s.h5"],
            ["table", shop.guarded, "--table", "sales", "-o", "s.pt", "--json"],
            ["table", shop.guarded, "--table", "sales"],
            ["table", shop.guarded, "--table", "nix", "-o", "t.h5", "--debug"],
            ["table", shop.guarded, "--query", "select nix", "-o", "t.h5", "--debug"],
            ["table", shop.guarded.replace("hunter2", "hunter22"), "--table", "sales", "-o", "t.h5", "--debug"],
            ["table", shop.guarded + "?password=hunter23", "--table", "sales", "-o", "t.h5", "--debug"],
            ["table", shop.guarded.replace("127.0.0.1:", "127.0.0.1:x"), "--table", "sales", "--debug"],
            ["table", shop.guarded, shop.guarded, "--debug"],
            ["text", shop.guarded, "--debug"],
            ["images", shop.guarded, "--debug"],
            [shop.guarded, "--table", "sales"],
            ["auto", shop.guarded, "--table", "sales", "--target", "price", "-o", "a.h5"],
            ["table", shop.guarded, "--table", "sales", "--drop", "city,id,price", "-o", "t.h5"],
            ["apply", "s.h5", shop.guarded, "-o", "u.h5"],
            ["inspect", "s.h5", "--recipe"],
        ):
            done = tensorize(*call)
            said.append((call[0], done.returncode, done.stdout + done.stderr))
            assert "Traceback" not in done.stderr or "--debug" in call
    finally:
        stop.set()
        thread.join()
    assert [code for _, code, _ in said][:4] == [0, 2, 0, 0]
    for name, _, text in said:
        assert not any(secret in text for secret in SECRETS), (name, text)
    for path in tmp_path.rglob("*"):
        assert not any(secret in path.name for secret in SECRETS)
        assert not path.is_file() or not any(secret.encode() in path.read_bytes() for secret in SECRETS), path
    ours = [line for line in seen if any(secret in line for secret in SECRETS)]
    assert all(" table " in line or " auto " in line or " apply " in line or "127.0.0.1" in line for line in ours)
    assert not [line for line in ours if " -c " in line], "a process of ours got the password"


def test_the_password_comes_from_the_environment_or_a_file(shop: Any, tensorize: Command, tmp_path: Path) -> None:
    shop.run("grant select on sales to ada")
    address = f"postgresql://ada@127.0.0.1:{shop.port}/postgres"
    assert tensorize("table", address, "--table", "sales", "-o", "a.h5", env={"PGPASSWORD": "hunter2/@:secret"}).returncode == 0
    entry = tmp_path / "pgpass"
    entry.write_text("127.0.0.1:*:*:ada:hunter2/@\\:secret\n")
    entry.chmod(0o600)
    assert tensorize("table", address, "--table", "sales", "-o", "b.h5", env={"PGPASSFILE": str(entry)}).returncode == 0
    done = tensorize("table", address, "--table", "sales", "-o", "c.h5", env={"PGPASSWORD": "wrong"})
    assert done.returncode == 1
    assert "PGPASSWORD" in done.stderr


def test_addresses() -> None:
    found = parse_database("postgres://ada:p%40ss@[::1]:5432/shop?sslmode=require&password=x&options=-c%20a%3Db")
    assert isinstance(found, Database)
    assert found.name == "postgresql://ada@[::1]:5432/shop?sslmode=require"
    assert "p%40ss" not in repr(found)
    assert "p%40ss" not in repr(pickle.dumps(found))
    local = parse_database("postgresql:///shop?host=/tmp")
    assert isinstance(local, Database)
    assert local.name == "postgresql:///shop?host=/tmp"
    assert parse_database("sqlite:///data/x.db") == "data/x.db"
    assert parse_database("sqlite:////data/x.db") == "/data/x.db"
    assert [is_database(name) for name in ("C:/x", 5, Path("postgresql://a@b/c"))] == [False, False, True]
    with pytest.raises(UsageError, match="makes no sense"):
        parse_database("postgresql://a:geheim@b:port/c")


def test_what_travels_to_other_processes_has_no_password(shop: Any) -> None:
    from tensorize.columns.options import TableOptions
    from tensorize.core.contracts import Run
    from tensorize.engine.threads import ThreadEngine
    from tensorize.readers.open import open_table

    shop.run("grant select on sales to ada")
    rows = open_table(shop.guarded, TableOptions.parse({"table": "sales"}), Run(ThreadEngine(1)))
    assert rows.rows == 20
    assert rows.place([3]) == [f"postgresql://ada@127.0.0.1:{shop.port}/postgres/sales:4"]
    assert not any(secret in repr(rows) for secret in SECRETS)
    assert os.environ.get("PGPASSWORD") is None
    assert pa.types.is_string(rows.read(rows.partitions[0], ["city"]).unpacked().column("city").type)
