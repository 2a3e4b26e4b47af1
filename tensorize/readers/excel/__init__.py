"""Workbooks of Excel and OpenDocument: one sheet is a table, read as the CSV file would be that holds its cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.readers.excel.options import ExcelOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run
    from tensorize.sources.files import InputFile


class Excel:
    """Reads .xlsx, .xlsm, .xlsb, .xls and .ods, in a process of its own. A row is told as `book.xlsx:Sheet1:17`."""

    Options: ClassVar[type[ExcelOptions]] = ExcelOptions
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
    magic: ClassVar[tuple[bytes, ...]] = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")

    @staticmethod
    def recognises(file: InputFile) -> bool | None:
        """Whether a ZIP archive holds a workbook; of an old Office file the suffix tells."""
        from tensorize.readers.excel.archive import is_workbook

        return is_workbook(file)

    def open(self, source: Any, options: ExcelOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Read the sheet. Raises DataError for a file that is no workbook, and for what is not certain; UsageError for a
        sheet that is not there.
        """
        from tensorize.readers.excel.workbook import workbook_rows

        return workbook_rows(source, options, needs, run)
