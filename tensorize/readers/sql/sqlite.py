"""SQLite files. A column there has no type, its cells have: they are read as the CSV file would be that holds them."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import pyarrow as pa

from tensorize.columns.reader import Needs, Rows
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError, TensorizeError, UsageError
from tensorize.readers.cells import BATCH_ROWS, CellSource, cell_rows, dialect_of
from tensorize.readers.csv.options import CsvOptions
from tensorize.readers.sql.options import SqlOptions
from tensorize.readers.sql.statements import check_query, identifier, is_ordered, no_table, order_note, which_table
from tensorize.sources.files import InputFile

_ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
_REPEATED = re.compile(r"(.*):\d+", re.DOTALL)
"""What SQLite calls a further column of the same name."""


def sqlite_rows(source: Sequence[InputFile], options: SqlOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
    """Read the same table or query of each file. See `tensorize.readers.sql.Sql`."""
    if len(source) > 1:
        raise UsageError("one SQLite file at a time", hint="read each by itself")
    (file,) = source
    with _opened(file) as base:
        found = _Query.of(base, file.name, options)
        wanted = frozenset(needs(found.names).wanted)
        dialect = dialect_of(found.names, 0, found.notes)
        cells = CellSource(found.name, file.size, dialect, partial(found.batches, base, wanted))
        rows = cell_rows([cells], CsvOptions(), needs, run)
    file.check()
    return rows


@contextmanager
def _opened(file: InputFile) -> Iterator[sqlite3.Connection]:
    """The file as a database that cannot be written to. Raises DataError for one that is damaged."""
    with tempfile.TemporaryDirectory() as folder:
        path = _local(file, Path(folder))
        try:
            with closing(_connected(path)) as base:
                yield base
        except sqlite3.Error as error:
            raise DataError(f"{file.name} cannot be read: {error}", hint="is it whole? Fetch it again") from None


def _local(file: InputFile, folder: Path) -> Path:
    """A path on this machine."""
    try:
        path = file.readable
        with path.open("rb"):
            return path
    except (OSError, TensorizeError):
        copy = folder / "copy.sqlite"
        with file.random() as raw, copy.open("wb") as target:
            shutil.copyfileobj(raw, target)
        return copy


def _connected(path: Path) -> sqlite3.Connection:
    """A connection that reads: also where the folder cannot be written, in which SQLite wants to note who reads."""
    for more in ("", "&immutable=1"):
        base = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro{more}", uri=True, check_same_thread=False)
        try:
            for setting in ("temp_store=memory", "trusted_schema=off", "cell_size_check=on"):
                base.execute(f"pragma {setting}")
            base.execute("select count(*) from sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            base.close()
            if more:
                raise
        except sqlite3.Error:
            base.close()
            raise
        else:
            return base
    raise AssertionError


@dataclass(frozen=True)
class _Query:
    """What is read, and the names of its columns."""

    name: str
    text: str
    names: tuple[str, ...]
    bools: frozenset[int]
    """The columns that were declared to be true or false, where 0 and 1 stand for that."""
    notes: tuple[str, ...]

    @classmethod
    def of(cls, base: sqlite3.Connection, source: str, options: SqlOptions) -> _Query:
        """Look at the query, or the table. Raises UsageError for one that is not there, or no query."""
        if options.query is not None:
            text = check_query(options.query)
            fields = _described(base, text, source)
            return cls._of(source, text, fields, ("SQLite",) if is_ordered(text) else ("SQLite", order_note(True)))
        table = _table(base, source, options.table)
        fields = base.execute(f"pragma table_info({identifier(table)})").fetchall()
        return cls._of(f"{source}:{table}", f"select * from {identifier(table)}", fields, (f'SQLite, table "{table}"',))

    @classmethod
    def _of(cls, name: str, text: str, fields: Sequence[Any], notes: tuple[str, ...]) -> _Query:
        names = tuple(field[1] for field in fields)
        twice = sorted({found[1] for each in names if (found := _REPEATED.fullmatch(each)) and found[1] in names})
        if twice:
            raise UsageError(
                f"the query names {', '.join(twice)} more than once", hint="give each column a name of its own: a as b"
            )
        return cls(
            name, text, names, frozenset(at for at, field in enumerate(fields) if "BOOL" in str(field[2]).upper()), notes
        )

    def batches(self, base: sqlite3.Connection, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        """The rows; columns that are not wanted are empty."""
        base.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)
        found, start = base.execute(self.text), 0
        labels = [str(at) for at in range(len(self.names))]
        while rows := found.fetchmany(BATCH_ROWS):
            columns = [
                self._column(at, cells, start) if self.names[at] in wanted else pa.nulls(len(rows), pa.string())
                for at, cells in enumerate(zip(*rows, strict=True))
            ]
            yield pa.RecordBatch.from_arrays(columns, names=labels)
            start += len(rows)

    def _column(self, at: int, cells: Sequence[Any], start: int) -> pa.Array:
        types = set(map(type, cells)) - {type(None)}
        if bytes in types:
            self._refuse_bytes(at, cells, start)
        if at in self.bools and types <= {int} and set(cells) <= {0, 1, None}:
            return pa.array(["" if cell is None else "true" if cell else "false" for cell in cells], pa.string())
        if types == {float, int}:
            return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
        if (types and types <= {float}) or types == {int}:
            return pa.array(cells)
        return pa.array(["" if cell is None else cell if isinstance(cell, str) else repr(cell) for cell in cells], pa.string())

    def _refuse_bytes(self, at: int, cells: Sequence[Any], start: int) -> NoReturn:
        row = next(row for row, cell in enumerate(cells) if isinstance(cell, bytes))
        name = self.names[at]
        raise DataError(
            f'{self.name}:{start + row + 1}: column "{name}" holds bytes (BLOB), of which no tensor is made',
            hint=f'drop it: --drop "{name}"',
            fix={"drop": [name]},
        )


def _described(base: sqlite3.Connection, text: str, source: str) -> list[Any]:
    """The columns of a query, as of a table. Raises UsageError for one that SQLite does not take."""
    try:
        base.execute(f"create temp view tensorize_query as {text}")
        return base.execute("pragma table_info(tensorize_query)").fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        said = str(error)
    if "no such table: " in said:
        name = said.rpartition("no such table: ")[2].removeprefix("main.")
        raise no_table(source, name, _tables(base))
    raise UsageError(f"{source} does not take the query: {said}", hint="give one query that only reads, for SQLite")


def _tables(base: sqlite3.Connection) -> list[str]:
    """The tables and views, those of SQLite itself left out."""
    found = base.execute(
        "select name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\'"
    )
    return [name for (name,) in found]


def _table(base: sqlite3.Connection, source: str, wanted: str | None) -> str:
    known = _tables(base)
    if wanted is None:
        if len(known) != 1:
            raise which_table(source, known)
        return known[0]
    if wanted in known:
        return wanted
    alike = [name for name in known if name.lower() == wanted.removeprefix("main.").lower()]
    if not alike:
        raise no_table(source, wanted, known)
    return alike[0]
