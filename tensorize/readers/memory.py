"""What Python holds already: data frames of pandas, polars and others, Arrow tables, mappings, rows, one row, arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.core.options import Options as NoOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run


class Memory:
    """Takes every source that is not a path. Every column has the type that it has in memory."""

    Options: ClassVar[type[NoOptions]] = NoOptions
    suffixes: ClassVar[tuple[str, ...]] = ()
    magic: ClassVar[tuple[bytes, ...]] = ()

    def open(self, source: Any, options: NoOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Look at the columns; those that Arrow can take as they are stay where they lie."""
        from tensorize.readers.tables import arrow_rows, to_arrow

        del options
        return arrow_rows(to_arrow(source), needs, run)
