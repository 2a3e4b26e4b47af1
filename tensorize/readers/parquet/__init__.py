"""Parquet files: row groups are the partitions, and every column has the type that the file declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.core.options import Options as NoOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run


class Parquet:
    """Reads a row group at a time, and of it the columns that are wanted. A row is told as `data.parquet:212`, from 1."""

    Options: ClassVar[type[NoOptions]] = NoOptions
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    magic: ClassVar[tuple[bytes, ...]] = (b"PAR1\x15",)

    def open(self, source: Any, options: NoOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Read the footers. Raises DataError for a damaged file, files of other columns, and types that have no kind."""
        from tensorize.readers.parquet.rows import parquet_rows

        del options
        return parquet_rows(source, needs, run)
