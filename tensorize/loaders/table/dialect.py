"""How a delimited file is written: found from its first lines, or given. Nothing is guessed silently."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tensorize.errors import DataError, UsageError
from tensorize.loaders.table.options import CsvOptions

if TYPE_CHECKING:
    from _csv import Reader

CANDIDATES = (",", ";", "\t", "|")
HEAD_LINES = 200
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+")
_NUMBER = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class Dialect:
    """How cells, rows and numbers are written, and the names of the columns."""

    names: tuple[str, ...]
    delimiter: str
    quote: str | None
    decimal: str
    header: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What the summary says of it."""
        said = [f'delimiter "{"tab" if self.delimiter == chr(9) else self.delimiter}"']
        if self.decimal == ",":
            said.append('decimal mark ","')
        if not self.header:
            said.append(f"no header: columns {self.names[0]} … {self.names[-1]}")
        return tuple(said)


def find_dialect(head: str, complete: bool, options: CsvOptions, name: str) -> Dialect:
    """Decide from the first lines of a file. `complete` says that `head` is the whole file.

    Raises DataError for an empty file, a header alone, and a delimiter that fits two ways.
    """
    quote = _quote(options.quote)
    lines = _lines(head, complete, quote)
    if not any(line.strip() for line in lines):
        raise DataError(f"{name} is empty", hint="the file must hold a header and at least one row")
    delimiter = options.delimiter.replace("\\t", "\t") if options.delimiter else _delimiter(lines, quote, name)
    if len(delimiter) != 1 or not delimiter.isascii():
        raise UsageError(
            f"the delimiter {delimiter!r} is not one ASCII character", hint='say --delimiter ";" or --delimiter "\\t"'
        )
    cells = split_lines(lines, delimiter, quote)
    header = options.header == "yes" or (options.header == "auto" and _is_header(cells))
    names = _given_names(options.names, len(cells[0])) or (
        tuple(cells[0]) if header else tuple(f"c{index + 1}" for index in range(len(cells[0])))
    )
    if len(names) != len(cells[0]):
        raise UsageError(
            f"--names gives {len(names)} names for {len(cells[0])} columns", hint="columns in the file: " + ", ".join(cells[0])
        )
    if header and len(cells) == 1 and complete:
        raise DataError(f"{name} has a header and no row", hint="columns: " + ", ".join(names))
    _check_names(names, name)
    decimal = options.decimal if options.decimal != "auto" else _decimal(cells[header:], delimiter)
    return Dialect(names, delimiter, quote, decimal, header)


def split_lines(lines: Iterable[str], delimiter: str, quote: str | None) -> list[list[str]]:
    """The cells of each line that is not blank."""
    return [row for row in rows(lines, delimiter, quote) if row]


def rows(lines: Iterable[str], delimiter: str, quote: str | None) -> Reader:
    """The standard library's reader: slow, and sure to know the line it is at (`line_num`)."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, quotechar=quote, quoting=quoting)


def _given_names(flags: Sequence[str], width: int) -> tuple[str, ...]:
    """`--names` as they are where there is one for each column, else split on commas."""
    return tuple(flags) if len(flags) == width else tuple(name for flag in flags for name in flag.split(","))


def _quote(option: str) -> str | None:
    if option == "none":
        return None
    if len(option) != 1:
        raise UsageError(f"--quote {option!r} is neither one character nor none")
    return option


def _lines(head: str, complete: bool, quote: str | None) -> list[str]:
    """The first lines, without the last one where it may be cut off."""
    lines = list(io.StringIO(head, newline=""))
    if not complete and len(lines) > 1:
        lines.pop()
    lines = lines[:HEAD_LINES]
    while not complete and quote and len(lines) > 1 and "".join(lines).count(quote) % 2:
        lines.pop()
    return lines


def _delimiter(lines: list[str], quote: str | None, name: str) -> str:
    """The candidate that cuts every line into as many cells, or most lines where none cuts all."""
    counts = {mark: [len(row) for row in split_lines(lines, mark, quote)] for mark in CANDIDATES}
    fit = {mark: Counter(found).most_common(1)[0] for mark, found in counts.items() if found and max(found) > 1}
    fit = {mark: (width, times) for mark, (width, times) in fit.items() if width > 1}
    if not fit:
        return ","
    most = max(times for _, times in fit.values())
    best = [mark for mark, (_, times) in fit.items() if times == most]
    if len(best) > 1 and "," in best:
        best = [mark for mark in best if mark != "," and _is_decimal_comma(lines, mark, quote)] or best
    if len(best) > 1:
        said = " and ".join(f'"{mark}" ({fit[mark][0]} columns)' for mark in best)
        raise DataError(f"{name}: the delimiter fits two ways: {said}", hint='say which: --delimiter "' + best[0] + '"')
    return best[0]


def _is_decimal_comma(lines: list[str], mark: str, quote: str | None) -> bool:
    """Whether every comma stands inside a number once the lines are cut at `mark`."""
    cells = [cell.strip() for row in split_lines(lines, mark, quote) for cell in row if "," in cell]
    return bool(cells) and all(_COMMA_NUMBER.fullmatch(cell) for cell in cells)


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """A header has no number and no empty cell."""
    return not any(_NUMBER.fullmatch(cell) or not cell.strip() for cell in rows[0])


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """A comma where some cells are numbers with a comma and none is one with a point."""
    if delimiter == ",":
        rows = [row for row in rows if any("," in cell for cell in row)]
    cells = [cell.strip() for row in rows for cell in row]
    commas = any(_COMMA_NUMBER.fullmatch(cell) for cell in cells)
    return "," if commas and not any(_POINT_NUMBER.fullmatch(cell) for cell in cells) else "."


def _check_names(names: Sequence[str], file: str) -> None:
    """Raise DataError for an empty or a repeated name, all of them at once."""
    empty = [str(index + 1) for index, name in enumerate(names) if not name.strip()]
    if empty:
        raise DataError(
            f"{file}:1  column {', '.join(empty)} of the header has no name", hint="name all columns with --names a,b,…"
        )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        said = ", ".join(f'"{name}"' for name in twice)
        raise DataError(
            f"{file}:1  the header names {said} more than once",
            hint="rename one of them, or name all columns with --names a,b,…",
        )
