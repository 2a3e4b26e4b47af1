"""Arrow IPC files: written at offsets that are known before the first number, and read from there, without pyarrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tensorize.core.contracts import Layout
from tensorize.exporters.arrow.layout import MAGIC, plan_arrow
from tensorize.exporters.rowwise.exporter import RowExporter
from tensorize.storage.plan import FilePlan


@dataclass(frozen=True)
class ArrowSamples(RowExporter):
    """See `tensorize.core.contracts.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather")
    magic: ClassVar[bytes] = MAGIC
    called: ClassVar[str] = "an Arrow file"

    def plan(self, layout: Layout) -> FilePlan:
        """See `RowExporter.plan`."""
        return plan_arrow(layout, by_channel=self.columns)
