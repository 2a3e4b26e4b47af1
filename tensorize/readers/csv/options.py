"""How a delimited file is written. What is not given is detected from the file and reported in the summary."""

from __future__ import annotations

from typing import ClassVar, Literal

from tensorize.core.options import Bytes, Options, Several, flag


class CsvOptions(Options):
    """Options of the `csv` reader."""

    limiting: ClassVar[tuple[str, ...]] = ("max_columns", "max_header", "max_cell", "max_expansion")

    delimiter: str | None = flag(
        None,
        "What separates the cells, or whitespace for any blanks; found from the file when not given (tab, comma, ; or |).",
        "CHAR",
    )
    header: Literal["auto", "yes", "no"] = flag("auto", "Whether the first line names the columns.")
    names: Several = flag((), "Names of the columns, replacing those of the header.", "NAMES")
    skip_lines: int = flag(0, "Lines at the start of a file that are no part of the table.", "N", ge=0)
    decimal: Literal["auto", ".", ","] = flag("auto", "The decimal mark.")
    thousands: Literal[",", ".", " ", "'"] | None = flag(None, "The mark between thousands, as in 1,234,567.", "CHAR")
    strip: str | None = flag(
        None,
        "Signs to take off numbers, such as '$%'; with '()' a number in parentheses is negative.",
        "SIGNS",
        pattern=r"^[^0-9.,+\-]+$",
    )
    quote: str = flag("auto", 'The quote character, or "none"; found from the file when not given (" or \').', "CHAR")
    escape: str = flag("auto", 'What takes away the meaning of a quote, or "none"; a backslash is found.', "CHAR")
    blank: Literal["error", "skip", "missing"] = flag(
        "error", "What a blank line between rows is: an error, nothing, or (in a single column) a missing value."
    )
    encoding: str = flag("utf-8-sig", "The encoding of the text.", "NAME")
    max_columns: int = flag(65_536, "Refuse a table of more columns.", "N", ge=1)
    max_header: Bytes = flag(1 << 20, "Refuse a header of more bytes, such as 4MB.", "SIZE")
    max_cell: Bytes = flag(16 << 20, "Refuse a cell of more bytes, such as 64MB.", "SIZE")
    max_expansion: int = flag(200, "Refuse a compressed file that grows to more than this many times its size.", "N", ge=1)
