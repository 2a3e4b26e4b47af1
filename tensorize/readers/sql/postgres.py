"""PostgreSQL, through ADBC: one query in a transaction that only reads, its rows in batches of Arrow as they come."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import pyarrow as pa

from tensorize.columns.reader import Needs, Rows
from tensorize.core.contracts import Run
from tensorize.core.errors import RunError, UsageError
from tensorize.core.limits import timeout
from tensorize.readers.sql.columns import Conversion, check_types, conversions
from tensorize.readers.sql.errors import explained
from tensorize.readers.sql.options import SqlOptions
from tensorize.readers.sql.spooled import Described, spooled_rows
from tensorize.readers.sql.statements import check_query, identifier, is_ordered, no_table, order_note, which_table
from tensorize.sources.databases import Database

BATCH_BYTES = 4 << 20
_PATIENCE = 2.0
"""Seconds that a query has to end once it is cancelled."""
_AHEAD = 2
"""Batches that are fetched ahead of the one that is worked on."""
_TABLES = """select n.nspname, c.relname, c.oid::int8, pg_catalog.pg_table_is_visible(c.oid)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'm', 'p', 'f') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
order by not pg_catalog.pg_table_is_visible(c.oid), 1, 2"""
_KEY = """select a.attname from pg_catalog.pg_index i
join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
where i.indisprimary and i.indrelid = {oid} order by pg_catalog.array_position(i.indkey::int2[], a.attnum)"""


def postgres_rows(database: Database, options: SqlOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
    """Run the query, and keep its rows. See `tensorize.readers.sql.Sql`."""
    with _session(database) as session:
        query = _query(session, database, options)
        found = conversions(session.schema(query.text), query.name)
        if not found:
            raise UsageError(f"{query.name}: the query gives no columns", hint="give a query that reads: select …")
        wanted = needs(list(found)).wanted
        kept = {name: item for name, item in found.items() if name in wanted}
        check_types(kept)
        text = query.text if query.table is None else query.selecting(list(kept))
        batches = _converted(session.batches(text), kept, query.name, needs(list(found)))
        fields = pa.schema([(name, item.to) for name, item in found.items()])
        return spooled_rows(Described(query.name, fields, query.notes), batches, needs, run)


def _converted(
    batches: Iterator[pa.RecordBatch], kept: dict[str, Conversion], name: str, needs: Needs
) -> Iterator[dict[str, pa.Array]]:
    """The wanted columns of each batch, in types of Arrow that every reader knows."""
    start = 0
    for batch in batches:
        yield {
            column: item.convert(batch.column(batch.schema.get_field_index(column)), f"{name}:", start, column, needs.na)
            for column, item in kept.items()
        }
        start += batch.num_rows


@dataclass(frozen=True)
class _Query:
    """What is read."""

    name: str
    text: str
    notes: tuple[str, ...]
    table: str | None = None
    order: tuple[str, ...] = ()

    def selecting(self, names: Sequence[str]) -> str:
        """The query for some columns of a table."""
        columns = ", ".join(map(identifier, names)) or "1"
        order = f" order by {', '.join(map(identifier, self.order))}" if self.order else ""
        return f"select {columns} from {self.table}{order}"


def _query(session: _Session, database: Database, options: SqlOptions) -> _Query:
    if options.query is not None:
        text = check_query(options.query)
        return _Query(database.name, text, ("PostgreSQL",) if is_ordered(text) else ("PostgreSQL", order_note(True)))
    schema, table, oid = _table(session, database, options.table)
    key = tuple(name for (name,) in session.rows(_KEY.format(oid=oid)))
    order = f"ordered by its primary key: {', '.join(key)}" if key else order_note(False)
    full = f"{identifier(schema)}.{identifier(table)}"
    return _Query(f"{_plain(database)}/{table}", f"select * from {full}", (f'PostgreSQL, table "{table}"', order), full, key)


def _plain(database: Database) -> str:
    return database.name.partition("?")[0].rstrip("/")


def _table(session: _Session, database: Database, wanted: str | None) -> tuple[str, str, int]:
    """(schema, name, oid) of the table that is meant."""
    known: dict[str, tuple[str, str, int]] = {
        (table if visible else f"{schema}.{table}"): (schema, table, oid)
        for schema, table, oid, visible in session.rows(_TABLES)
    }
    if wanted is None:
        if len(known) != 1:
            raise which_table(database.name, list(known))
        return next(iter(known.values()))
    full = {f"{schema}.{table}": (schema, table, oid) for schema, table, oid in known.values()} | known
    found = full.get(wanted) or full.get(wanted.lower())
    if found is None:
        raise no_table(database.name, wanted, list(known))
    return found


@contextmanager
def _session(database: Database) -> Iterator[_Session]:
    """A connection in a transaction that only reads, on one state of the data. Raises RunError if there is none to be had."""
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise UsageError(
            f"PostgreSQL needs {error.name}, which is not installed", hint='pip install "tensorize[sql]"'
        ) from None
    seconds = max(2, math.ceil(timeout()))
    try:
        connection = dbapi.connect(_address(database, seconds))
    except dbapi.Error as error:
        raise explained(error, database) from None
    session = _Session(connection, database, seconds)
    try:
        session.run("set transaction isolation level repeatable read, read only")
        session.run(f"set local lock_timeout = {seconds * 1000}")
        yield session
    except dbapi.Error as error:
        raise explained(error, database) from None
    finally:
        session.close()


def _address(database: Database, seconds: int) -> str:
    """The address with limits on how long a server may take; those that are given stay."""
    parts = urlsplit(database.secret)
    limits = {"connect_timeout": seconds, "tcp_user_timeout": seconds * 1000, "application_name": "tensorize"}
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query=urlencode(limits | given, quote_via=quote)))


class _Session:
    """A connection, with a limit on how long the server may send nothing."""

    def __init__(self, connection: Any, database: Database, seconds: int) -> None:
        self._connection, self._database, self._seconds = connection, database, seconds
        self._stuck = False

    def run(self, statement: str) -> None:
        """Run a statement that gives no rows."""
        self._waiting(lambda: self._executed(statement, fetch=False))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a small query."""
        table = self._waiting(lambda: self._executed(query, fetch=True))
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def schema(self, query: str) -> pa.Schema:
        """The columns of a query, which is not run."""

        def described() -> pa.Schema:
            with self._connection.cursor() as cursor:
                return cursor.adbc_execute_schema(query)

        return self._waiting(described)

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """Run a query, and yield its rows as they come."""
        came: queue.Queue[Any] = queue.Queue(_AHEAD)
        over = threading.Event()
        cursor = self._connection.cursor(adbc_stmt_kwargs={"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
        thread = threading.Thread(target=_fetch, args=(cursor, query, came, over), daemon=True)
        thread.start()
        try:
            while (item := self._next(came)) is not None:
                if isinstance(item, pa.ArrowException | OSError):
                    raise explained(item, self._database)
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            over.set()
            canceller = threading.Thread(target=_cancel, args=(cursor,), daemon=True)
            canceller.start()
            thread.join(_PATIENCE)
            canceller.join(_PATIENCE)
            self._stuck = thread.is_alive()
            if not self._stuck:
                cursor.close()

    def close(self) -> None:
        """End the transaction, and the connection; one that hangs is left to the end of the process."""
        if not self._stuck:
            with suppress(Exception):
                self._connection.rollback()
            self._connection.close()

    def _executed(self, statement: str, fetch: bool) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetch_arrow_table() if fetch else None

    def _waiting(self, call: Callable[[], Any]) -> Any:
        """Call something that may hang, in another thread."""
        came: queue.Queue[Any] = queue.Queue(1)

        def called() -> None:
            try:
                came.put((call(), None))
            except BaseException as error:
                came.put((None, error))

        threading.Thread(target=called, daemon=True).start()
        value, error = self._next(came)
        if error is not None:
            raise error
        return value

    def _next(self, came: queue.Queue[Any]) -> Any:
        try:
            return came.get(timeout=self._seconds)
        except queue.Empty:
            self._stuck = True
            raise RunError(
                f"{self._database.name} has sent nothing in {self._seconds} s",
                hint=f"does the query take that long? Wait longer: --timeout {self._seconds * 10}",
            ) from None


def _cancel(cursor: Any) -> None:
    """Tell the server that no more is wanted; it may be gone."""
    with suppress(Exception):
        cursor.adbc_cancel()


def _fetch(cursor: Any, query: str, came: queue.Queue[Any], over: threading.Event) -> None:
    """Put the batches of a query, then None; or the error that ended it."""
    try:
        cursor.execute(query)
        for batch in cursor.fetch_record_batch():
            while not over.is_set():
                with suppress(queue.Full):
                    came.put(batch, timeout=0.1)
                    break
            if over.is_set():
                return
        last = None
    except BaseException as error:
        last = error
    while not over.is_set():
        with suppress(queue.Full):
            came.put(last, timeout=0.1)
            return
