"""Rows of files whose columns have types: what Parquet, Arrow and the like have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

import pyarrow as pa

from tensorize.columns.reader import Needs, Partition
from tensorize.columns.rows import partitioned
from tensorize.core.contracts import Facts, Run
from tensorize.core.errors import DataError, plural, some
from tensorize.core.schema import Column, Schema
from tensorize.engine.packed import Packed, batch_of
from tensorize.readers.tables import Origins, is_clock, one_array
from tensorize.readers.types import schema_of, stored
from tensorize.sources.files import InputFile

_INDEX = re.compile(r"__index_level_\d+__")
"""How pandas calls an index without a name that it writes beside the columns: it is left out, as from a DataFrame."""


def without_index(fields: pa.Schema) -> pa.Schema:
    """The columns but for the index of pandas."""
    return pa.schema([item for item in fields if not _INDEX.fullmatch(item.name)])


class TypedFile(Protocol):
    """One file that was looked at. Picklable: who reads opens it anew."""

    @property
    def source(self) -> InputFile:
        """Where its bytes are."""
        ...

    @property
    def fields(self) -> pa.Schema:
        """The columns and their Arrow types."""
        ...

    @property
    def rows(self) -> int:
        """How many rows it has."""
        ...

    def parts(self, size: int) -> Sequence[tuple[int, Any]]:
        """(rows, where) of pieces of about `size` bytes that can be read alone, in order."""
        ...

    def read(self, where: Any, columns: Sequence[str], threads: bool) -> pa.Table:
        """Some columns of a piece, in the order asked. Raises DataError if the file has changed, or is damaged."""
        ...

    def nulls(self, name: str) -> int | None:
        """How many cells of a column are null; None if that is not known without reading them."""
        ...


@dataclass(frozen=True)
class TypedRows:
    """Typed files as one table. See `tensorize.columns.reader.Rows`; `Partition.where` is (file, where in the file)."""

    files: tuple[TypedFile, ...]
    schema: Schema
    facts: Facts
    needs: Needs
    partitions: tuple[Partition, ...]
    origins: Origins
    clocks: frozenset[str]
    """Columns of times that come as timestamp[us]."""
    whole: frozenset[str]
    threads: bool
    """Whether columns are decoded by several threads."""
    codes: tuple[str, ...] = ()
    bad: int = 0

    @property
    def rows(self) -> int:
        """Rows of all files."""
        last = self.partitions[-1]
        return last.row + last.rows

    def read(self, partition: Partition, columns: Collection[str] | None = None) -> Packed:
        """A piece of a file, or some of its columns, in the storage types of the schema."""
        at, where = partition.where
        items = [item for item in self.schema.columns if columns is None or item.name in columns]
        if not items:
            return Packed.of(batch_of({}, partition.rows))
        file = self.files[at]
        table = file.read(where, [item.name for item in items], self.threads)
        if table.num_rows != partition.rows:
            raise damaged(file.source.name, f"{table.num_rows} rows where its index says {partition.rows}")
        found: dict[str, pa.Array] = {}
        for item in items:
            cells = one_array(table.column(item.name))
            table = table.drop_columns([item.name])  # its cells are free once they are converted
            found[item.name] = self._stored(cells, item, partition, file)
        return Packed.of(batch_of(found, partition.rows))

    def _stored(self, cells: pa.Array, item: Column, partition: Partition, file: TypedFile) -> pa.Array:
        clock = item.name in self.clocks
        if cells.null_count and (clock or item.name in self.whole):
            raise damaged(file.source.name, f'column "{item.name}" has nulls, and its statistics say that it has none')
        return stored(cells, item, self.needs.na, partial(self.origins.one, partition.row), clock)

    def invalid(self, start: int, count: int) -> None:
        """Every row can be read, or none."""
        del start, count

    def place(self, rows: Sequence[int]) -> list[str]:
        """Such as `houses.parquet:212`: the row in its file, from 1."""
        return self.origins.place(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def typed_rows(files: Sequence[TypedFile], form: str, needs: Callable[[Sequence[str]], Needs], run: Run) -> TypedRows:
    """Look at files that were opened, and share them out. `form` is what the summary calls their format.

    Raises DataError for files of other columns or types, for wanted columns of a type that has no kind, and for no row.
    """
    fields = _common(files)
    wanted = needs(fields.names)
    schema = schema_of(fields, wanted)
    counts = [(file.source.name, file.rows) for file in files]
    rows = sum(count for _, count in counts)
    if not rows:
        raise DataError(f"{files[0].source.name} has no row", hint="columns: " + ", ".join(fields.names))
    run.rejects.saw(rows, "row")
    full = frozenset(name for name in wanted.wanted if all(file.nulls(name) == 0 for file in files))
    clocks = frozenset(name for name in wanted.clocks & full if is_clock(fields.field(name).type))
    parts = ((part, (at, where)) for at, file in enumerate(files) for part, where in file.parts(run.partition_bytes) if part)
    return TypedRows(
        tuple(files),
        schema,
        _facts(files, form, rows, len(fields)),
        wanted,
        partitioned(parts, of_files=True),
        Origins.of(counts),
        clocks,
        frozenset(item.name for item in schema.columns if item.storage in ("int64", "bool")) & full,
        run.engine.workers > 1,
    )


def _facts(files: Sequence[TypedFile], form: str, rows: int, width: int) -> Facts:
    first, last = files[0].source.name, files[-1].source.name
    name = first if len(files) == 1 else f"{first} … {last}"
    shape = f"{plural(rows, 'row')} × {plural(width, 'column')}"
    return Facts(name, len(files), sum(file.source.size for file in files), shape, (form,))


def _common(files: Sequence[TypedFile]) -> pa.Schema:
    """The columns, which all files must share, of the types of the first one."""
    first = files[0].fields
    for file in files[1:]:
        other = file.fields
        if set(other.names) != set(first.names):
            odd = sorted(set(other.names) ^ set(first.names))
            raise DataError(
                f"{file.source.name} has other columns than {files[0].source.name}: {', '.join(odd)}",
                hint="name files of the same columns",
            )
        unlike = [name for name in first.names if other.field(name).type != first.field(name).type]
        if unlike:
            lines = [f"{name}: {first.field(name).type} and {other.field(name).type}" for name in unlike]
            raise DataError(
                f"{file.source.name} has other types than {files[0].source.name}",
                some(lines),
                "write the files with the same types",
            )
    return first


def unreadable(name: str, form: str, error: Exception | str) -> DataError:
    """The error for a file that a library cannot read as what it claims to be."""
    said = " ".join(str(error).split())[:200]
    return DataError(f"{name} cannot be read as {form}: {said}", hint="is it whole? Fetch or write it again")


def damaged(name: str, said: str) -> DataError:
    """The error for a file that contradicts itself."""
    return DataError(f"{name} is damaged: {said}", hint="fetch or write it again")
