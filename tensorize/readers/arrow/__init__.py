"""Arrow IPC files and streams, and Feather: record batches are the partitions, and every column has its type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.core.options import Options as NoOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run


class Arrow:
    """Reads a record batch at a time, and of it the columns that are wanted. A row is told as `data.arrow:212`, from 1."""

    Options: ClassVar[type[NoOptions]] = NoOptions
    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".ipc", ".arrows", ".feather", ".ftr")
    magic: ClassVar[tuple[bytes, ...]] = (b"ARROW1\0\0", b"\xff\xff\xff\xff")

    def open(self, source: Any, options: NoOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Read what the files say of themselves. Raises DataError for a damaged file, and for types that have no kind."""
        from tensorize.readers.arrow.rows import arrow_file_rows

        del options
        return arrow_file_rows(source, needs, run)
