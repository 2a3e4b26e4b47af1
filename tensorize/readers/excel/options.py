"""How a workbook is read. What is not given is found from its cells and reported in the summary."""

from __future__ import annotations

from typing import ClassVar, Literal

from tensorize.core.options import Options, Several, flag


class ExcelOptions(Options):
    """Options of the `excel` reader; all but `sheet` are the CSV reader's, too."""

    limiting: ClassVar[tuple[str, ...]] = ("max_columns", "max_expansion")

    sheet: str | None = flag(
        None, "The sheet of a workbook, by its name or number; the first that holds cells by default.", "NAME"
    )
    header: Literal["auto", "yes", "no"] = flag("auto", "Whether the first row names the columns.")
    names: Several = flag((), "Names of the columns, replacing those of the header.", "NAMES")
    skip_lines: int = flag(0, "Rows at the top of the sheet that are no part of the table.", "N", ge=0)
    thousands: Literal[",", ".", " ", "'"] | None = flag(None, "The mark between thousands in cells of text.", "CHAR")
    strip: str | None = flag(None, "Signs to take off numbers in cells of text.", "SIGNS", pattern=r"^[^0-9.,+\-]+$")
    max_columns: int = flag(65_536, "Refuse a table of more columns.", "N", ge=1)
    max_expansion: int = flag(200, "Refuse a workbook that grows to more than this many times its size.", "N", ge=1)
