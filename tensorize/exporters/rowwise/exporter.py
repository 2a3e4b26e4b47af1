"""What an exporter of a format with one row per sample does; the format says how a file is planned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tensorize.core.contracts import Layout
from tensorize.core.errors import UsageError
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.rowwise.index import open_rows, verify_rows
from tensorize.exporters.rowwise.table import refusal
from tensorize.storage.plan import FilePlan
from tensorize.storage.writer import SlotWriter


@dataclass(frozen=True)
class RowExporter:
    """See `tensorize.core.contracts.Exporter`."""

    columns: bool = False
    """Whether each named channel of a (row, channel) tensor is a column of its own."""
    suffixes: ClassVar[tuple[str, ...]]
    reads: ClassVar[bool] = True
    folder: ClassVar[bool] = False
    by_sample: ClassVar[bool] = True
    magic: ClassVar[bytes]
    """How a file ends."""
    called: ClassVar[str]
    """Such as `a Parquet file`."""

    def plan(self, layout: Layout) -> FilePlan:
        """Plan the file of a layout without a refusal."""
        raise NotImplementedError

    def refusal(self, layout: Layout) -> str:
        """Why the layout is not one row per sample; "" if it is."""
        return refusal(layout)

    def create(self, path: Path, layout: Layout, *, force: bool = False) -> SlotWriter:
        """Lay the file out.

        Raises UsageError for a layout that is not one row per sample; UsageError, RunError as `SlotWriter.create` does.
        """
        if found := self.refusal(layout):
            raise UsageError(found)
        return SlotWriter.create(path, self.plan(layout), self.open, force=force)

    def open(self, path: Path) -> TensorSet:
        """Read the index. Raises DataError if the file is not ours or is damaged, UsageError for a newer format."""
        return open_rows(path, self.magic, self.called)

    def verify(self, path: Path) -> None:
        """Raise DataError if a byte has changed."""
        verify_rows(path, self.magic, self.called)
