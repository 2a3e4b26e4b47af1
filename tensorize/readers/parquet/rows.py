"""The rows of Parquet files, read by row groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tensorize.columns.reader import Needs
from tensorize.core.contracts import Run
from tensorize.core.errors import DataError
from tensorize.readers.typed import TypedRows, typed_rows, unreadable, without_index
from tensorize.sources.files import InputFile

FORM = "Parquet"


@dataclass(frozen=True)
class ParquetFile:
    """One file and its footer. See `TypedFile`; a piece is some row groups."""

    source: InputFile = field(compare=False, repr=False)
    path: str
    metadata: Any
    """pyarrow.parquet.FileMetaData."""

    @classmethod
    def of(cls, file: InputFile) -> Self:
        """Read the footer. Raises DataError if there is none."""
        path = str(file.readable)
        try:
            with pq.ParquetFile(path, pre_buffer=False) as opened:
                return cls(file, path, opened.metadata)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file.name, error) from None

    @property
    def fields(self) -> pa.Schema:
        """The columns and their Arrow types, without the index of pandas."""
        return without_index(self.metadata.schema.to_arrow_schema())

    @property
    def rows(self) -> int:
        """How many rows the footer says."""
        return int(self.metadata.num_rows)

    def read(self, where: Sequence[int], columns: Sequence[str], threads: bool) -> pa.Table:
        """Some row groups (row) of some columns. Raises DataError if the file has changed, or is damaged."""
        self.source.check()
        try:
            with pq.ParquetFile(self.path, metadata=self.metadata, pre_buffer=False, page_checksum_verification=True) as opened:
                table = opened.read_row_groups(where, columns=list(columns), use_threads=threads)
        except (pa.ArrowException, OSError) as error:
            self.source.check()
            raise _unreadable(self.source.name, error) from None
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

    def parts(self, size: int) -> list[tuple[int, tuple[int, ...]]]:
        """(rows, row groups) of each piece: small row groups are read together."""
        return list(self._parts(size))

    def _parts(self, size: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        groups: list[int] = []
        rows = held = 0
        for number in range(self.metadata.num_row_groups):
            group = self.metadata.row_group(number)
            if groups and held + group.total_byte_size > size:
                yield rows, tuple(groups)
                groups, rows, held = [], 0, 0
            groups.append(number)
            rows, held = rows + group.num_rows, held + group.total_byte_size
        if rows:
            yield rows, tuple(groups)


def _unreadable(name: str, error: Exception) -> DataError:
    return unreadable(name, FORM, error)


def parquet_rows(source: Sequence[InputFile], needs: Callable[[Sequence[str]], Needs], run: Run) -> TypedRows:
    """Read the footers, and share the row groups out: small ones of a file make one partition, up to `run.partition_bytes`."""
    return typed_rows([ParquetFile.of(file) for file in source], FORM, needs, run)
