"""The slow, exact reader of delimited text: every record, or what is wrong with it, and where.

It decides what a file says. The fast path (see `cut` and `parse`) may only be taken where it cannot differ from this one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

STRAY = "a quote stands where none belongs"
OPEN = "a quote is opened and never closed"
LONG = "a cell is longer than --max-cell allows"
ESCAPE = "an escape stands before a character that needs none"
PADDING = "a delimiter lacks the space that follows it everywhere else"

_NEWLINE = re.compile(rb"\r*\n|\r")
LINE_ENDS = re.compile(rb"\r+\n?|\n")
"""Line ends, found in linear time: carriage returns without a line feed are one for each of them."""
_SPACES = re.compile(rb" *")
_BLANKS = re.compile(rb"[\r\n]+")


class Record(NamedTuple):
    """One record of a text: its bytes are `text[start:stop]`, line end included, and it begins at the 0-based `line`."""

    start: int
    stop: int
    line: int
    cells: list[bytes]
    """As they read, without quotes. No cell at all is a blank line, or several that follow each other."""
    fault: str
    """Why it cannot be read; empty if it can."""
    literal: bool
    """An unquoted cell contains a quote, taken literally."""


class _FaultError(Exception):
    def __init__(self, fault: str, cell: int, at: int) -> None:
        super().__init__(fault)
        self.fault, self.cell, self.at = fault, cell, at


class _MoreError(Exception):
    """The record may go on after the end of the text."""


class Tokenizer:
    """Splits text into records and cells. `width` is the number of cells in a record, where it is known.

    A quote opens a cell only at its start and closes it only before a delimiter, a line end or the end. Inside an unquoted
    cell it is a character like others where it cannot be anything else: an even number of them, none doubled, none first.
    """

    def __init__(
        self,
        delimiter: str,
        quote: str | None,
        escape: str | None = None,
        *,
        padded: bool = False,
        width: int = 0,
        longest: int = 0,
        strict: bool = True,
    ) -> None:
        mark, sign, back = (re.escape((part or "").encode()) for part in (delimiter, quote, escape))
        self.quote, self.width, self.padded = (quote or "").encode(), width, padded
        self.delimiter, self._escape, self._longest = delimiter.encode(), (escape or "").encode(), longest
        escaped = rb"|%b." % back if escape else b""
        tail = rb"%b?" % back if escape else b""
        self._plain = re.compile(rb"(?:[^%b\r\n%b]+%b)*%b" % (mark, back, escaped, tail), re.DOTALL)
        self._inner = re.compile(rb"%b%b%b" % (sign, sign, escaped) if quote else back + b".", re.DOTALL)
        self._odd = re.compile(rb"%b[^%b%b%b\r\n]" % (back, back, sign, mark)) if escape and strict else None
        if quote:
            body = rb"%b(?>[^%b%b]*(?:(?:%b%b%b)[^%b%b]*)*)" % (sign, sign, back, sign, sign, escaped, sign, back)
            self._opened = re.compile(body, re.DOTALL)
            self._quoted = re.compile(rb"%b%b(?=[%b\r\n]|\Z)" % (body, sign, mark), re.DOTALL)

    def records(self, text: bytes, final: bool = True) -> Iterator[Record]:
        """Yield the records of a text; one that may go on after its end only where the text is `final`."""
        at, line, size = 0, 0, len(text)
        while at < size:
            try:
                record = _blank_lines(text, at, line, final) or self._record(text, at, line, final)
            except _MoreError:
                return
            yield record
            at = record.stop
            line += count_lines(text, record.start, record.stop)

    def _record(self, text: bytes, start: int, line: int, final: bool) -> Record:
        """The record at `start`. Raises _MoreError."""
        cells: list[bytes] = []
        fault, literal, at = "", False, start
        try:
            while True:
                cell, at, wrong, odd = self._cell(text, at, final)
                fault, literal = fault or wrong, literal or odd
                cells.append(cell)
                if text[at : at + 1] != self.delimiter:
                    break
                at += 1
                if self.padded:
                    after = _after_spaces(text, at)
                    if self._longest and after - at > self._longest:
                        raise _FaultError(LONG, at, at + self._longest)
                    if after == len(text) and not final:
                        raise _MoreError
                    fault, at = fault or ("" if after > at else PADDING), after
        except _FaultError as error:
            stop = self._resume(text, error, final)
            return Record(start, stop, line, [], error.fault, False)
        stop = _line_end(text, at, final)
        if len(cells) == 1 and at == start:
            cells = []
        return Record(start, stop, line, cells, fault, literal)

    def _cell(self, text: bytes, at: int, final: bool) -> tuple[bytes, int, str, bool]:
        """The cell at an offset: what it reads, where it ends, what is wrong with it, whether it holds quotes as they are."""
        if self.quote and text[at : at + 1] == self.quote:
            return self._quoted_cell(text, at, final)
        found = self._plain.match(text, at)
        assert found is not None
        end, raw = found.end(), found[0]
        if end == len(text) and not final:
            raise _MoreError
        if self._longest and end - at > self._longest:
            return raw, end, LONG, False
        wrong, odd = "", False
        if self.quote and self.quote in raw:
            outside = self._inner.sub(b"", raw) if self._escape else raw
            odd = self.quote in outside
            wrong = STRAY if odd and self._is_stray(outside) else ""
        return self._unescaped(raw) if self._escape else raw, end, wrong or self._wrong_escape(raw), odd

    def _is_stray(self, cell: bytes) -> bool:
        """Whether a quote in an unquoted cell may have been meant as one: odd, doubled, or first but for spaces."""
        return bool(cell.count(self.quote) % 2) or self.quote * 2 in cell or cell.lstrip().startswith(self.quote)

    def _quoted_cell(self, text: bytes, at: int, final: bool) -> tuple[bytes, int, str, bool]:
        limit = at + self._longest if self._longest else sys.maxsize
        opened, found = self._opened.match(text, at), self._quoted.match(text, at)
        assert opened is not None
        end = found.end() if found else opened.end()
        if end >= len(text) - (found is None) and not final and end < limit:
            raise _MoreError
        if end >= limit:
            raise _FaultError(LONG, at, limit)
        if found is None:
            raise _FaultError(OPEN if end >= len(text) else STRAY, at, end)
        raw = text[at + 1 : end - 1]
        return self._unescaped(raw), end, self._wrong_escape(raw), False

    def _unescaped(self, cell: bytes) -> bytes:
        if not self._escape:
            return cell.replace(self.quote * 2, self.quote)
        return self._inner.sub(lambda found: found[0][-1:], cell)

    def _wrong_escape(self, cell: bytes) -> str:
        return ESCAPE if self._odd and self._odd.search(cell) else ""

    def _resume(self, text: bytes, error: _FaultError, final: bool) -> int:
        """Where reading continues after a broken record.

        After the line on which the broken cell begins, where all lines up to the fault are records by themselves: its quote
        was never closed, and what follows it was not meant to be in it. Else after the line of the fault.
        """
        first, last = _next_line(text, error.cell), _next_line(text, min(error.at, len(text)))
        if not final and (last == len(text) or _may_be_cut(text, last - 1)):
            raise _MoreError
        if first >= last:
            return last
        rows = (len(record.cells) for record in self._lines(text[first:last]))
        return first if all(count == self.width or (count and not self.width) for count in rows) else last

    def _lines(self, text: bytes) -> Iterator[Record]:
        """Each line as a record by itself; one without cells is broken or blank."""
        at = 0
        while at < len(text):
            end = _next_line(text, at)
            record = self._record(text[at:end], 0, 0, True)
            yield record._replace(cells=[]) if record.fault else record
            at = end


def _blank_lines(text: bytes, at: int, line: int, final: bool) -> Record | None:
    """All blank lines at an offset as one record without cells; None if there is none. Raises _MoreError."""
    found = _BLANKS.match(text, at)
    if found is None:
        return None
    stop = found.end()
    if stop == len(text) and not final:
        stop -= len(found[0]) - len(found[0].rstrip(b"\r"))
        if stop == at:
            raise _MoreError
    return Record(at, stop, line, [], "", False)


def count_lines(text: bytes, start: int, stop: int) -> int:
    """The line ends between two offsets."""
    feeds = text.count(b"\n", start, stop)
    if text.find(b"\r", start, stop) < 0 or feeds == text.count(b"\r", start, stop) == text.count(b"\r\n", start, stop):
        return feeds
    return sum(1 if end[-1:] == b"\n" else len(end) for end in LINE_ENDS.findall(text, start, stop))


def _next_line(text: bytes, at: int) -> int:
    """After the next line end, or the end of the text."""
    found = _NEWLINE.search(text, at)
    return found.end() if found else len(text)


def _after_spaces(text: bytes, at: int) -> int:
    """After the spaces at an offset."""
    found = _SPACES.match(text, at)
    assert found is not None
    return found.end()


def _line_end(text: bytes, at: int, final: bool) -> int:
    """After the line end at an offset. Raises _MoreError if a line feed may follow."""
    found = _NEWLINE.match(text, at)
    if found is None:
        return at
    if not final and _may_be_cut(text, at):
        raise _MoreError
    return found.end()


def _may_be_cut(text: bytes, at: int) -> bool:
    """Whether there are only carriage returns from here on, which a line feed may follow."""
    while text[at : at + 1] == b"\r":
        at += 1
    return at == len(text)
