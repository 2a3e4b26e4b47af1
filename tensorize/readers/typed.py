"""Rows of files whose columns have types: what Parquet, Arrow and the like have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import pyarrow as pa

from tensorize.columns.reader import Needs, Partition
from tensorize.columns.rows import partitioned
from tensorize.core.contracts import Facts, Run
from tensorize.core.errors import DataError, plural
from tensorize.core.schema import Column, Schema
from tensorize.engine.packed import Packed, batch_of
from tensorize.readers.hive import with_folders
from tensorize.readers.tables import Origins, is_clock, one_array
from tensorize.readers.typed_files import TypedFile, as_common, common_fields, damaged
from tensorize.readers.types import schema_of, stored


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
    fields: pa.Schema = field(default_factory=lambda: pa.schema([]))
    """The wanted columns, of the types that all files can be read as."""

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
        place = partial(self.origins.one, partition.row)
        return stored(as_common(cells, self.fields.field(item.name).type, item, place), item, self.needs.na, place, clock)

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

    Raises DataError for wanted columns that a file lacks or has of another type, or of a type that has no kind, and for no row.
    """
    files = with_folders(files)
    names = list(dict.fromkeys(name for file in files for name in file.fields.names))
    wanted = needs(names)
    fields = common_fields(files, names, wanted.wanted)
    schema = schema_of(fields, wanted)
    counts = [(file.source.name, file.rows) for file in files]
    rows = sum(count for _, count in counts)
    if not rows:
        raise DataError(f"{files[0].source.name} has no row", hint="columns: " + ", ".join(names))
    run.rejects.saw(rows, "row")
    full = frozenset(name for name in wanted.wanted if all(file.nulls(name) == 0 for file in files))
    clocks = frozenset(name for name in wanted.clocks & full if is_clock(fields.field(name).type))
    parts = ((part, (at, where)) for at, file in enumerate(files) for part, where in file.parts(run.partition_bytes) if part)
    return TypedRows(
        tuple(files),
        schema,
        _facts(files, form, rows, len(names)),
        wanted,
        partitioned(parts, of_files=True),
        Origins.of(counts),
        clocks,
        frozenset(item.name for item in schema.columns if item.storage in ("int64", "bool")) & full,
        run.engine.workers > 1,
        fields=fields,
    )


def _facts(files: Sequence[TypedFile], form: str, rows: int, width: int) -> Facts:
    first, last = files[0].source.name, files[-1].source.name
    name = first if len(files) == 1 else f"{first} … {last}"
    shape = f"{plural(rows, 'row')} × {plural(width, 'column')}"
    return Facts(name, len(files), sum(file.source.size for file in files), shape, (form,))
