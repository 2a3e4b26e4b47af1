"""The cells of a CSV file as text, read by pandas alone with the settings that a recipe's options name."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

NUMBER_NA = ("", "NA", "NaN", "nan", "null", "N/A")
BAD = "\x00bad"
"""In every cell of a row that has too many."""
UNNAMED = "Unnamed: 0"
FIRST_LINES = 40
"""A header stands among these."""
csv.field_size_limit(1 << 30)
DELIMITERS = (",", ";", "\t", "|", "whitespace", "^", "~", "\x1f", "\x01", " ")


class CannotCheckError(Exception):
    """The checker does not know how a file is to be read."""


@dataclass(frozen=True)
class Layout:
    """How a file is written, and where its table begins: `skip` lines with the header, `quote` None for none."""

    delimiter: str
    quote: str | None
    skip: int
    names: tuple[str, ...]

    @property
    def quoting(self) -> dict[str, Any]:
        """The same, for pandas and csv."""
        return {"quoting": csv.QUOTE_NONE} if self.quote is None else {"quotechar": self.quote}


def read_cells(path: Path, options: Mapping[str, Any], columns: Sequence[str]) -> pd.DataFrame:
    """(row, column) text; `columns` are those of the recipe: the layout is the first that has them all.

    A missing cell is the empty text. A row with too many cells is BAD throughout, one with too few has NaN at its end.
    """
    text = text_of(path, options)
    said = {name.strip(): name for name in columns}
    for layout in layouts(text, options):
        if said.keys() <= set(layout.names):
            frame = _frame(text, layout, options)
            return frame.set_axis([said.get(name, name) for name in layout.names], axis=1)
    raise CannotCheckError(f"no line names {', '.join(columns)[:80]}")


def text_of(path: Path, options: Mapping[str, Any]) -> str:
    """The text of a file, decompressed and decoded, without the lines to skip; line ends are line feeds."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    mark = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(content[:2], "utf-8-sig")
    text = re.sub("\r+\n|\r", "\n", content.decode(options.get("encoding", mark)))
    skip = int(options.get("skip_lines", 0))
    return text.split("\n", skip)[skip] if skip else text


def layouts(text: str, options: Mapping[str, Any]) -> Iterator[Layout]:
    """All that the options allow: first those with names in a line, then those of columns that have numbers as names."""
    quote = options.get("quote", "auto")
    quotes = {"auto": ['"', "'"], "none": [None]}.get(quote, [quote])
    given = options.get("delimiter")
    ways = [(delimiter, quote) for delimiter in ([given] if given else DELIMITERS) for quote in quotes]
    if options.get("header") != "no":
        for delimiter, quote in ways:
            yield from _named(text, delimiter, quote, options)
    for delimiter, quote in ways:
        yield from _numbered(text, delimiter, quote, options)


def _named(text: str, delimiter: str, quote: str | None, options: Mapping[str, Any]) -> Iterator[Layout]:
    for start, records in _starts(text, delimiter, quote):
        first, second = records[0], (records[1:] or [[]])[0]
        first = ["", *first] if len(first) == len(second) - 1 else first
        names = [UNNAMED if not at and not name.strip() else name.strip() for at, name in enumerate(first)]
        if len(names) > 1 and not names[-1] and all(not record[-1] for record in records):
            names[-1] = "\x00none"  # every line ends in a delimiter
        if fits(options, len(second or first)):
            yield Layout(delimiter, quote, start + 1, tuple(given_names(options) or names))


def _numbered(text: str, delimiter: str, quote: str | None, options: Mapping[str, Any]) -> Iterator[Layout]:
    for start, records in _starts(text, delimiter, quote):
        width = len(records[0])
        if not fits(options, width):
            continue
        yield Layout(delimiter, quote, start, tuple(given_names(options) or (f"c{at + 1}" for at in range(width))))


def fits(options: Mapping[str, Any], width: int) -> bool:
    """Whether the names of a flag, if there is one, are as many as the cells, but for a delimiter at the end of the line."""
    given = given_names(options)
    return not given or width in (len(given), len(given) + 1)


def given_names(options: Mapping[str, Any]) -> list[str]:
    """The names that a flag gives, split at commas.

    >>> given_names({"names": ["a,b", "c"]})
    ['a', 'b', 'c']
    """
    return [name.strip() for value in options.get("names", ()) for name in next(csv.reader([value]))]


def _starts(text: str, delimiter: str, quote: str | None) -> Iterator[tuple[int, list[list[str]]]]:
    """(line, the records from there on, a few) for each line in which a table may begin."""
    lines = text.split("\n", 2 * FIRST_LINES)[: 2 * FIRST_LINES]
    for start in range(min(FIRST_LINES, len(lines))):
        records = _records("\n".join(lines[start : start + FIRST_LINES]), delimiter, quote)
        if records and lines[start].strip():
            yield start, records


def _records(text: str, delimiter: str, quote: str | None) -> list[list[str]]:
    if delimiter == "whitespace":
        return [line.split() for line in text.split("\n") if line.strip()]
    how = Layout(delimiter, quote, 0, ()).quoting
    return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, **how) if row]


def _frame(text: str, layout: Layout, options: Mapping[str, Any]) -> pd.DataFrame:
    width, ragged = len(layout.names), options.get("on_bad") == "skip"
    how = layout.quoting
    if layout.delimiter != "whitespace":
        how["skipinitialspace"] = _spaced(text, layout)
    frame = pd.read_csv(
        io.StringIO(text),
        sep=r"\s+" if layout.delimiter == "whitespace" else layout.delimiter,
        header=None,
        names=range(width + 1),
        index_col=False,
        skiprows=layout.skip,
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=width > 1 or options.get("blank") != "missing",
        engine="python" if ragged else "c",
        on_bad_lines=(lambda cells: [BAD] * (width + 1)) if ragged else "error",
        **how,
    )
    more = frame[width].notna() & (frame[width] != "")  # an empty cell more is a delimiter at the end of the line
    return frame.mask(more, BAD).drop(columns=width)


def _spaced(text: str, layout: Layout) -> bool:
    """Whether a space after a delimiter belongs to it: after every one, or before quotes, as in `1,  "a"`."""
    each = re.escape(layout.delimiter)
    quoted = layout.quote and re.search(rf"{each} +{layout.quote}", text[: 1 << 20])
    return bool(quoted) or text.count(layout.delimiter + " ") == text.count(layout.delimiter)


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)


def is_number(cell: str) -> bool:
    """Whether a cell is a number in plain notation.

    >>> is_number(" -1.5e3 "), is_number("1,5"), is_number("x")
    (True, False, False)
    """
    return _NUMBER.fullmatch(cell.strip()) is not None


def plain(cell: str, options: Mapping[str, Any]) -> str:
    """A cell with its marks taken off: thousands, decimal comma, signs around the number."""
    cell, signs = cell.strip(), options.get("strip", "")
    for sign in signs:
        cell = cell if sign in "()" else cell.replace(sign, "").strip()
    if "(" in signs and re.fullmatch(r"\(.*\d.*\)", cell):
        cell = "-" + cell.strip("()")
    if options.get("thousands") and re.fullmatch(r"[+-]?\d{1,3}(\D\d{3})+([.,]\d+)?", cell):
        cell = cell.replace(options["thousands"], "")
    return cell.replace(",", ".") if options.get("decimal") == "," else cell
