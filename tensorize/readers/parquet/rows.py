"""The rows of Parquet files, read by row groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

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


@dataclass(frozen=True)
class ParquetFile:
    """One file and its footer. Picklable: who reads opens the file anew."""

    name: str
    path: str
    metadata: Any
    """pyarrow.parquet.FileMetaData."""
    source: InputFile = field(compare=False, repr=False)

    @classmethod
    def of(cls, file: InputFile) -> Self:
        """Read the footer. Raises DataError if there is none."""
        path = str(file.readable)
        try:
            with pq.ParquetFile(path, pre_buffer=False) as opened:
                return cls(file.name, path, opened.metadata, file)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file.name, error) from None

    @property
    def fields(self) -> pa.Schema:
        """The columns and their Arrow types, without the index of pandas."""
        found = self.metadata.schema.to_arrow_schema()
        return pa.schema([item for item in found if not _INDEX.fullmatch(item.name)])

    def read(self, groups: Sequence[int], columns: Sequence[str], threads: bool) -> pa.Table:
        """Some row groups (row) of some columns. Raises DataError if the file has changed, or is damaged."""
        self.source.check()
        try:
            with pq.ParquetFile(self.path, metadata=self.metadata, pre_buffer=False, page_checksum_verification=True) as opened:
                table = opened.read_row_groups(groups, columns=list(columns), use_threads=threads)
        except (pa.ArrowException, OSError) as error:
            self.source.check()
            raise _unreadable(self.name, error) from None
        self.source.check()
        return table.select(list(columns))

    def nulls(self, name: str) -> int | None:
        """How many cells of a column are null, as the footer says; None if it does not."""
        at = self.fields_at[name]
        total = 0
        for group in range(self.metadata.num_row_groups):
            found = self.metadata.row_group(group).column(at).statistics
            if found is None or not found.has_null_count:
                return None
            total += found.null_count
        return total

    @property
    def fields_at(self) -> dict[str, int]:
        """Column → its number among the leaves of the file."""
        schema = self.metadata.schema
        return {schema.column(at).path: at for at in range(len(schema))}


def _unreadable(name: str, error: Exception) -> DataError:
    said = " ".join(str(error).split())[:200]
    return DataError(f"{name} cannot be read as Parquet: {said}", hint="is it whole? Fetch or write it again")


@dataclass(frozen=True)
class ParquetRows:
    """Parquet files whose footers were read. See `tensorize.columns.reader.Rows`; a partition is some row groups of a file."""

    files: tuple[ParquetFile, ...]
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
        """Some row groups, or some of their columns, in the storage types of the schema."""
        at, groups = partition.where
        items = [item for item in self.schema.columns if columns is None or item.name in columns]
        if not items:
            return Packed.of(batch_of({}, partition.rows))
        file = self.files[at]
        table = file.read(groups, [item.name for item in items], self.threads)
        if table.num_rows != partition.rows:
            raise _unreadable(file.name, ValueError(f"{table.num_rows} rows where the footer says {partition.rows}"))
        found: dict[str, pa.Array] = {}
        for item in items:
            cells = one_array(table.column(item.name))
            table = table.drop_columns([item.name])  # its cells are free once they are converted
            found[item.name] = self._stored(cells, item, partition, file)
        return Packed.of(batch_of(found, partition.rows))

    def _stored(self, cells: pa.Array, item: Column, partition: Partition, file: ParquetFile) -> pa.Array:
        clock = item.name in self.clocks
        if cells.null_count and (clock or item.name in self.whole):
            raise _unreadable(file.name, ValueError(f'column "{item.name}" has nulls, and its statistics say that it has none'))
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


def parquet_rows(source: Sequence[InputFile], needs: Callable[[Sequence[str]], Needs], run: Run) -> ParquetRows:
    """Read the footers, and share the row groups out: small ones of a file make one partition, up to `run.partition_bytes`."""
    files = tuple(ParquetFile.of(file) for file in source)
    fields = _common(files)
    wanted = needs(fields.names)
    schema = schema_of(fields, wanted)
    counts = [(file.name, file.metadata.num_rows) for file in files]
    rows = sum(count for _, count in counts)
    if not rows:
        raise DataError(f"{files[0].name} has no row", hint="columns: " + ", ".join(fields.names))
    run.rejects.saw(rows, "row")
    full = frozenset(name for name in wanted.wanted if all(file.nulls(name) == 0 for file in files))
    clocks = frozenset(name for name in wanted.clocks & full if is_clock(fields.field(name).type))
    return ParquetRows(
        files,
        schema,
        _facts(files, rows, len(fields)),
        wanted,
        partitioned(part for at, file in enumerate(files) for part in _parts(at, file, run.partition_bytes)),
        Origins.of(counts),
        clocks,
        frozenset(item.name for item in schema.columns if item.storage in ("int64", "bool")) & full,
        run.engine.workers > 1,
    )


def _facts(files: Sequence[ParquetFile], rows: int, width: int) -> Facts:
    name = files[0].name if len(files) == 1 else f"{files[0].name} … {files[-1].name}"
    shape = f"{plural(rows, 'row')} × {plural(width, 'column')}"
    return Facts(name, len(files), sum(file.source.size for file in files), shape, ("Parquet",))


def _common(files: Sequence[ParquetFile]) -> pa.Schema:
    """The columns, which all files must share, of the first one's types: whole numbers and fractions become fractions."""
    first = files[0].fields
    for file in files[1:]:
        other = file.fields
        if set(other.names) != set(first.names):
            odd = sorted(set(other.names) ^ set(first.names))
            raise DataError(
                f"{file.name} has other columns than {files[0].name}: {', '.join(odd)}", hint="name files of the same columns"
            )
        unlike = [name for name in first.names if other.field(name).type != first.field(name).type]
        if unlike:
            lines = [f"{name}: {first.field(name).type} and {other.field(name).type}" for name in unlike]
            raise DataError(
                f"{file.name} has other types than {files[0].name}", some(lines), "write the files with the same types"
            )
    return first


def _parts(at: int, file: ParquetFile, size: int) -> Iterator[tuple[int, tuple[int, tuple[int, ...]]]]:
    """(rows, (file, row groups)) of each partition of a file."""
    groups: list[int] = []
    rows = held = 0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        if groups and held + group.total_byte_size > size:
            yield rows, (at, tuple(groups))
            groups, rows, held = [], 0, 0
        groups.append(number)
        rows, held = rows + group.num_rows, held + group.total_byte_size
    if rows:
        yield rows, (at, tuple(groups))
