"""Delimited text, such as CSV and TSV. Every cell is checked; invalid ones are reported with their line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.readers.csv.options import CsvOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run


class Csv:
    """Reads every file that no other reader claims."""

    Options: ClassVar[type[CsvOptions]] = CsvOptions
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt")
    magic: ClassVar[tuple[bytes, ...]] = ()

    def open(self, source: Any, options: CsvOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Parse the files once. Raises DataError for what is not certain."""
        from tensorize.readers.csv.reader import CsvParser

        return CsvParser(source, options, needs, run).rows()
