"""Cut a JSON array into its records, or a text into the objects that follow each other, without reading it whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from tensorize.core.errors import DataError
from tensorize.readers.jsonl.lines import too_long

_QUOTE, _BACKSLASH, _COMMA, _NEWLINE, _SPACE = b'"\\,\n '
_BLANKS = b" \t\r\n"
_DEPTH = np.zeros(256, np.int8)
_DEPTH[[*b"[{"]], _DEPTH[[*b"]}"]] = 1, -1
_SIGNS = _DEPTH != 0
_SIGNS[[_COMMA, _NEWLINE]] = True
_CONTROL = 1
"""What a line end inside a string becomes: as invalid in JSON, and no line end."""

Positions = npt.NDArray[np.int64]


def record_blocks(pieces: Iterable[bytes], piece_size: int, name: str, longest: int) -> Iterator[bytes]:
    """Yield blocks of about `piece_size` bytes: records as they are written, each on one line.

    A text whose end is missing ends with the part of a record, without a line end. Raises DataError, with the file's `name`,
    for a record of more than `longest` bytes, and for an array that is not one.
    """
    cutter = _Cutter(name, longest)
    held: list[bytes] = []
    for piece in pieces:
        held += cutter.records(piece)
        if sum(map(len, held)) >= piece_size // 2:
            yield b"\n".join(held) + b"\n"
            held = []
    rest = cutter.rest()
    if held:
        yield b"\n".join(held) + b"\n"
    if rest:
        yield rest


class _Cutter:
    """Follows strings and brackets through a text."""

    def __init__(self, name: str, longest: int) -> None:
        self._name, self._longest = name, longest
        self._is_array = self._is_done = self._in_string = False
        self._depth = self._count = 0
        self._held: list[bytes] = []
        self._slashes = b""
        self._is_started = False

    def records(self, piece: bytes) -> list[bytes]:
        """The records that end in the next piece."""
        data = self._slashes + piece
        if not self._is_started:
            data = self._started(data)
        bare = data.rstrip(b"\\")
        self._slashes, data = data[len(bare) :], bare
        if not data:
            return []
        view = np.frombuffer(data, np.uint8)
        quotes = _unescaped_quotes(data, view)
        signs = np.flatnonzero(_SIGNS[view])
        inside = (np.searchsorted(quotes, signs) + self._in_string) % 2 == 1
        self._in_string = (len(quotes) + self._in_string) % 2 == 1
        data = _on_one_line(data, view, signs, inside)
        return self._cut(data, view, signs[~inside])

    def _started(self, data: bytes) -> bytes:
        """The text after the bracket that opens an array."""
        data = data.lstrip(_BLANKS)
        if not data:
            return b""
        self._is_started, self._is_array = True, data.startswith(b"[")
        self._depth = int(self._is_array)
        return data[1:] if self._is_array else data

    def _cut(self, data: bytes, view: npt.NDArray[np.uint8], signs: Positions) -> list[bytes]:
        """The records of `data`; `signs` are its brackets and commas outside of strings."""
        if self._is_done:
            self._check_end(data)
            return []
        depth = self._depth + np.cumsum(_DEPTH[view[signs]], dtype=np.int64)
        closed = signs[(depth == 0) & (_DEPTH[view[signs]] < 0)]
        if len(depth):
            self._depth = int(depth[-1])
        if not self._is_array:
            return self._taken(data, (closed + 1).tolist(), 0)
        stop = int(closed[0]) if len(closed) else len(data)
        commas = signs[(depth == 1) & (view[signs] == _COMMA)]
        found = self._taken(data[:stop], commas[commas < stop].tolist(), 1)
        if len(closed):
            found += self._finish()
            self._check_end(data[stop + 1 :])
        return found

    def _taken(self, data: bytes, ends: list[int], gap: int) -> list[bytes]:
        """Cut at `ends`; `gap` bytes are between two records. What is left waits for more."""
        found, start = [], 0
        for end in ends:
            record = b"".join([*self._held, data[start:end]]).strip(_BLANKS)
            self._held, start = [], end + gap
            self._check_record(record)
            self._count += 1
            found.append(record)
        self._held.append(data[start:])
        if sum(map(len, self._held)) > self._longest:
            raise too_long(self._name, "record", self._longest)
        return found

    def _finish(self) -> list[bytes]:
        """The last record of an array, whose end was seen."""
        self._is_done = True
        record = b"".join(self._held).strip(_BLANKS)
        self._held = []
        if self._count:
            self._check_record(record)
        return [record] if record else []

    def _check_record(self, record: bytes) -> None:
        if not record:
            after = f"after record {self._count}" if self._count else "at its start"
            raise DataError(f"{self._name} is not JSON: a comma and no record, {after}", hint="take the comma out")
        if len(record) > self._longest:
            raise too_long(self._name, "record", self._longest)

    def _check_end(self, data: bytes) -> None:
        if data.strip(_BLANKS):
            raise DataError(f"{self._name} is not JSON: something after the end of the array", hint="take it out")

    def rest(self) -> bytes:
        """What is left at the end of the text. Raises DataError for an array without an end."""
        if self._is_array and not self._is_done:
            raise DataError(
                f"{self._name} ends before its array does, after record {self._count:,}", hint="is it whole? Fetch it again"
            )
        return b"".join([*self._held, self._slashes]).strip(_BLANKS)


def _unescaped_quotes(data: bytes, view: npt.NDArray[np.uint8]) -> Positions:
    """The quotes that open or close a string: an odd number of backslashes takes the meaning of one away."""
    quotes = np.flatnonzero(view == _QUOTE)
    if b'\\"' not in data:
        return quotes
    escaped = np.zeros(len(quotes), dtype=bool)
    rest, at = np.arange(len(quotes)), quotes - 1
    while len(rest):
        slash = (at >= 0) & (view[at] == _BACKSLASH)
        rest, at = rest[slash], at[slash] - 1
        escaped[rest] = ~escaped[rest]
    return quotes[~escaped]


def _on_one_line(data: bytes, view: npt.NDArray[np.uint8], signs: Positions, inside: npt.NDArray[np.bool_]) -> bytes:
    """The text without line ends."""
    if b"\n" not in data:
        return data
    found = view.copy()
    ends = view[signs] == _NEWLINE
    found[signs[ends & ~inside]] = _SPACE
    found[signs[ends & inside]] = _CONTROL
    return found.tobytes()
