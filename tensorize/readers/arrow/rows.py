"""The rows of Arrow IPC files, read by record batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa
from pyarrow import ipc

from tensorize.columns.reader import Needs
from tensorize.core.contracts import Run
from tensorize.readers.typed import TypedRows, typed_rows, unreadable
from tensorize.sources.files import InputFile

FORM = "Arrow"
OLD_FEATHER = b"FEA1"


@dataclass(frozen=True)
class ArrowFile:
    """One IPC file and what its footer says. See `TypedFile`; a piece is a record batch."""

    source: InputFile = field(compare=False, repr=False)
    path: str
    fields: pa.Schema
    counts: tuple[int, ...]
    """How many rows each record batch has."""

    @classmethod
    def of(cls, file: InputFile) -> Self:
        """Read the footer. Raises DataError if there is none."""
        if file.head().startswith(OLD_FEATHER):
            file.open().close()  # says what it is, and the way out
        path = str(file.readable)
        try:
            with pa.OSFile(path) as opened:
                found = ipc.open_file(opened, options=ipc.IpcReadOptions(included_fields=[0]))
                counts = tuple(found.get_batch(at).num_rows for at in range(found.num_record_batches))
                opened.seek(0)
                return cls(file, path, ipc.open_file(opened).schema, counts)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(file.name, FORM, error) from None

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(self.counts)

    def parts(self, size: int) -> list[tuple[int, int]]:
        """(rows, record batch) of each piece."""
        del size
        return [(rows, at) for at, rows in enumerate(self.counts)]

    def read(self, where: int, columns: Sequence[str], threads: bool) -> pa.Table:
        """Some columns of a record batch. Raises DataError if the file has changed, or is damaged."""
        self.source.check()
        options = ipc.IpcReadOptions(
            included_fields=[self.fields.get_field_index(name) for name in columns], use_threads=threads
        )
        try:
            with pa.OSFile(self.path) as opened:
                batch = ipc.open_file(opened, options=options).get_batch(where)
                batch.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            self.source.check()
            raise unreadable(self.source.name, FORM, error) from None
        self.source.check()
        return pa.Table.from_batches([batch]).select(list(columns))

    def nulls(self, name: str) -> int | None:
        """Not known without reading."""
        del name
        return None


def arrow_file_rows(source: Sequence[InputFile], needs: Callable[[Sequence[str]], Needs], run: Run) -> TypedRows:
    """Look at Arrow IPC files; record batches are the partitions."""
    return typed_rows([ArrowFile.of(file) for file in source], FORM, needs, run)
