"""The rows of Parquet files, read by row groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tensorize.columns.reader import Needs
from tensorize.core.contracts import Run
from tensorize.core.errors import TensorizeError
from tensorize.readers.parquet.footer import Footer, FooterError, read_footer
from tensorize.readers.typed import TypedRows, typed_rows
from tensorize.readers.typed_files import unreadable, without_index
from tensorize.sources.files import InputFile

FORM = "Parquet"


@dataclass(frozen=True)
class ParquetFile:
    """One file and its footer. See `TypedFile`; a piece is some row groups."""

    source: InputFile = field(compare=False, repr=False)
    footer: Footer
    metadata: Any
    """pyarrow.parquet.FileMetaData. What it says of row groups is not asked: see `footer`."""
    fields: pa.Schema
    """The columns and their Arrow types, without the index of pandas."""

    @classmethod
    def of(cls, file: InputFile) -> Self:
        """Read the footer. Raises DataError if there is none."""
        with _mapped(file.name):
            with closing(file.random()) as raw:
                footer = read_footer(raw, file.size, file.name)
            with _opened(file) as opened:
                return cls(file, footer, opened.metadata, without_index(opened.schema_arrow))

    @property
    def rows(self) -> int:
        """How many rows the footer says."""
        return self.footer.rows

    def read(self, where: Sequence[int], columns: Sequence[str], threads: bool) -> pa.Table:
        """Some row groups (row) of some columns. Raises DataError if the file has changed, or is damaged."""
        with _mapped(self.source.name), _opened(self.source, self.metadata) as opened:
            table = opened.read_row_groups(where, columns=list(columns), use_threads=threads)
        return table.select(list(columns))

    def nulls(self, name: str) -> int | None:
        """How many cells of a column are null, as the footer says; None if it does not."""
        return self.footer.nulls.get(name)

    def parts(self, size: int) -> list[tuple[int, tuple[int, ...]]]:
        """(rows, row groups) of each piece: small row groups are read together."""
        return list(self._parts(size))

    def _parts(self, size: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        groups: list[int] = []
        rows = held = 0
        for number, group in enumerate(self.footer.groups):
            if groups and held + group.size > size:
                yield rows, tuple(groups)
                groups, rows, held = [], 0, 0
            groups.append(number)
            rows, held = rows + group.rows, held + group.size
        if rows:
            yield rows, tuple(groups)


@contextmanager
def _opened(file: InputFile, metadata: Any = None) -> Iterator[Any]:
    """A file as pyarrow has it: by its path, or, of one elsewhere, by ranges, those of several columns fetched at once."""
    file.check()
    try:
        if file.is_remote:
            with (
                closing(file.random()) as raw,
                pq.ParquetFile(raw, metadata=metadata, pre_buffer=True, page_checksum_verification=True) as opened,
            ):
                yield opened
        else:
            path = str(file.readable)
            with pq.ParquetFile(path, metadata=metadata, pre_buffer=False, page_checksum_verification=True) as opened:
                yield opened
    finally:
        file.check()


@contextmanager
def _mapped(name: str) -> Iterator[None]:
    """Errors of Arrow as DataError."""
    try:
        yield
    except TensorizeError:
        raise
    except (pa.ArrowException, FooterError, OSError, OverflowError, MemoryError, UnicodeError) as error:
        raise unreadable(name, FORM, error) from None


def parquet_rows(source: Sequence[InputFile], needs: Callable[[Sequence[str]], Needs], run: Run) -> TypedRows:
    """Read the footers, and share the row groups out: small ones of a file make one partition, up to `run.partition_bytes`."""
    return typed_rows([ParquetFile.of(file) for file in source], FORM, needs, run)
