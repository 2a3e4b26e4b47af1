"""How a delimited file is written: found from its first lines, or given. Nothing is guessed silently."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tensorize.core.errors import DataError, UsageError
from tensorize.core.units import size
from tensorize.readers.csv.header import Start, find_names, find_start, texts
from tensorize.readers.csv.options import CsvOptions
from tensorize.readers.csv.sniff import WHITESPACE, Finder, Fit, Sample, Way, is_aligned, tabbed
from tensorize.readers.csv.tokenizer import OPEN, Tokenizer, count_lines

_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_SEPARATOR = re.compile(rb'(?i)"?sep=(.)"?(?:\r?\n|\r)')


@dataclass(frozen=True)
class Dialect:
    """How cells, rows and numbers are written, and the names of the columns."""

    names: tuple[str, ...]
    way: Way
    decimal: str
    header: tuple[bytes, ...]
    """The cells of the header; none if there is none."""
    start: int
    """Bytes before the first row, in UTF-8 and without a byte order mark."""
    line: int
    """Lines before the first row."""
    trailing: bool = False
    """Whether a delimiter stands at the end of every row."""
    thousands: str | None = None
    strip: str = ""
    """Signs that are taken off numbers."""
    notes: tuple[str, ...] = ()
    """Its description in the summary."""
    whitespace: bool = False
    """Whether cells stand apart by any number of blanks: they are read with a tab in their place."""

    @cached_property
    def places(self) -> dict[str, int]:
        """Name → place of each column."""
        return {name: at for at, name in enumerate(self.names)}

    @property
    def width(self) -> int:
        """Cells in a record."""
        return len(self.names) + self.trailing

    @property
    def is_plain(self) -> bool:
        """Whether a fast parser knows this way of writing."""
        return not self.way.escape and not self.way.padded

    def tokenizer(self, longest: int = 0) -> Tokenizer:
        """Return a tokenizer of this dialect; it refuses records of more than `longest` bytes, 0 for no limit."""
        return self.way.tokenizer(self.width, longest)


def find_dialect(head: bytes, complete: bool, options: CsvOptions, name: str) -> Dialect:
    """Decide from the first bytes of a file, in UTF-8. `complete` says that they are the whole file.

    Raises DataError for an empty file, a header alone, a header that is too large, and whatever fits two ways.
    """
    whitespace = options.delimiter == WHITESPACE
    if whitespace:
        head = tabbed(head, quote_of(options))
    offset, lines, mark = _offset(head, options.skip_lines, name)
    if not head[offset:].strip():
        raise DataError(f"{name} is empty", hint="the file must hold a header and at least one row")
    sample = Sample.of(head, complete, offset, lines)
    if options.delimiter is None and is_aligned(sample, quote_of(options)):
        return find_dialect(head, complete, options.model_copy(update={"delimiter": WHITESPACE}), name)
    signs = _signs(options.quote, "--quote", ('"', "'")), _signs(options.escape, "--escape", (None, "\\"))
    fit = Finder(sample, name, _delimiter(options.delimiter) or mark, *signs).find()
    if not fit.records:
        raise _too_large(options, name)
    start = find_start(fit, options.header, name)
    if start.first is not None and start.first.fault and (start.header or not (start.first.cells or fit.width)):
        noun = "header" if start.header else "first row"
        raise DataError(
            f"{name}:{lines + start.first.line + 1}  the {noun} cannot be read: {start.first.fault}",
            hint='if quotes mean nothing in this file, say --quote none; if another one is used, --quote "\'"',
            fix={"quote": "none"},
        )
    return _dialect(sample, fit, start, options, name)


def quote_of(options: CsvOptions) -> str:
    """The sign that quotes cells apart by blanks; none if there is none."""
    return {"auto": '"', "none": ""}.get(options.quote, options.quote)


def _dialect(sample: Sample, fit: Fit, start: Start, options: CsvOptions, name: str) -> Dialect:
    first = start.first
    assert first is not None
    trailing = start.short == "trailing" or _is_trailing(start)
    width = fit.width - trailing if start.short else (len(first.cells) or fit.width) - trailing
    if width > options.max_columns:
        raise DataError(f"{name} has {width:,} columns", hint=f"allow them: --max-columns {width}", fix={"max_columns": width})
    if start.header and not start.rest and sample.final:
        raise DataError(f"{name} has a header and no row", hint="columns: " + ", ".join(texts(first)))
    names = find_names(start, options.names, width, name)
    rows = [texts(record) for record in start.rest if not record.fault and len(record.cells) >= width]
    decimal = options.decimal if options.decimal != "auto" else _decimal(rows)
    offset = first.stop if start.header else first.start
    line = first.line + (count_lines(sample.text, first.start, first.stop) if start.header else 0)
    return Dialect(
        names,
        fit.way,
        decimal,
        tuple(first.cells) if start.header else (),
        sample.offset + offset,
        sample.line + line,
        trailing,
        options.thousands,
        options.strip or "",
        tuple(_notes(fit.way, decimal, names, start, trailing=trailing, whitespace=options.delimiter == WHITESPACE)),
        options.delimiter == WHITESPACE,
    )


def _is_trailing(start: Start) -> bool:
    """Whether a delimiter ends every record, the header too: the column behind it has neither a name nor a cell."""
    first = start.first
    assert first is not None
    records = [first, *(record for record in start.rest if not record.fault)]
    width = len(first.cells)
    if not start.header or len(records) < 2 or width < 2:
        return False
    return all(len(record.cells) == width and not record.cells[-1] for record in records)


def _notes(way: Way, decimal: str, names: Sequence[str], start: Start, *, trailing: bool, whitespace: bool) -> list[str]:
    mark = f'"{"tab" if way.delimiter == chr(9) else way.delimiter}"' + (" and a space" if way.padded else "")
    said = [f"delimiter {WHITESPACE if whitespace else mark}"]
    if way.quote == "'":
        said.append('quote "\'"')
    if way.escape:
        said.append(f'escape "{way.escape}"')
    if decimal == ",":
        said.append('decimal mark ","')
    if not start.header:
        said.append(f"no header: columns {names[0]} … {names[-1]}")
    if start.skipped:
        said.append(f"left out before the header: line{'s 1 to' if start.skipped > 1 else ''} {start.skipped}")
    if trailing:
        said.append(f"a delimiter at the end of every {'row' if start.short else 'line'}")
    if start.short == "index":
        said.append("the header has one cell less: the first column has no name")
    return said


def _offset(head: bytes, skip: int, name: str) -> tuple[int, int, str | None]:
    """Bytes and lines before the table: those of `--skip-lines`, and the line `sep=;` of a spreadsheet, with its delimiter."""
    at = 0
    for _ in range(skip):
        found = re.compile(rb"\r*\n|\r").search(head, at)
        if found is None:
            raise DataError(f"{name} has no more than {skip} lines", hint="say a smaller --skip-lines")
        at = found.end()
    separator = _SEPARATOR.match(head, at)
    if separator:
        return separator.end(), skip + 1, separator[1].decode("latin-1")
    return at, skip, None


def _too_large(options: CsvOptions, name: str) -> DataError:
    """The error for a header that does not end within the bytes that were looked at."""
    return DataError(
        f"{name}: the header is longer than {size(options.max_header)}, or {OPEN}",
        hint="allow a longer one: --max-header SIZE; if quotes mean nothing in this file, say --quote none",
    )


def _delimiter(option: str | None) -> str | None:
    if option is None:
        return None
    if option == WHITESPACE:
        return "\t"
    delimiter = option.replace("\\t", "\t")
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in "\r\n\0":
        raise UsageError(
            f"the delimiter {delimiter!r} is not one ASCII character",
            hint='say --delimiter ";", --delimiter "\\t", or --delimiter whitespace',
        )
    return delimiter


def _signs(option: str, flag: str, found: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """The candidates for a sign: all that are tried, none, or the one that was given."""
    if option == "auto":
        return found
    if option == "none":
        return (None,)
    if len(option) != 1 or not option.isascii() or option in "\r\n\0":
        raise UsageError(f"{flag} {option!r} is neither one ASCII character nor none")
    return (option,)


def _decimal(rows: Sequence[Sequence[str]]) -> str:
    """A comma where some cells are numbers with a comma, none is one with a point, and not all may be thousands."""
    cells = [cell.strip() for row in rows for cell in row]
    commas = [cell for cell in cells if _COMMA_NUMBER.fullmatch(cell)]
    if not commas or any(_POINT_NUMBER.fullmatch(cell) for cell in cells):
        return "."
    return "." if all(_THOUSANDS.fullmatch(cell) for cell in commas) else ","
