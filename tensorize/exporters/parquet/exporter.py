"""Parquet files: written at offsets that are known before the first number, and read from there, without pyarrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tensorize.core.contracts import Layout
from tensorize.exporters.parquet.layout import MAGIC, plan_parquet
from tensorize.exporters.rowwise.exporter import RowExporter
from tensorize.storage.plan import FilePlan


@dataclass(frozen=True)
class ParquetSamples(RowExporter):
    """See `tensorize.core.contracts.Exporter`."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    magic: ClassVar[bytes] = MAGIC
    called: ClassVar[str] = "a Parquet file"

    def plan(self, layout: Layout) -> FilePlan:
        """See `RowExporter.plan`."""
        return plan_parquet(layout, by_channel=self.columns)
