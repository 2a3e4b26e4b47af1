"""Read a block line by line with Python's own JSON parser: exact about what the fast parser takes in silence or cannot hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa

from tensorize.core.errors import DataError, shown
from tensorize.readers.csv.infer import Seen
from tensorize.readers.jsonl.cells import TAG, Leaf, Path, array_of, is_whole, look_at_strings, seen_of

INT64 = range(-(1 << 63), 1 << 63)
DEPTH = 500
"""Lists and objects in each other, at most: parsers and Arrow go down by recursion."""
CELLS_PER_BYTE = 8
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def most_cells(size: int) -> int:
    """How many cells a block of `size` bytes may have: with more, most rows lack most keys, and memory would burst."""
    return max(CELLS_PER_BYTE * size, 1 << 20)


class BadLine(NamedTuple):
    """A line that cannot be read: its 0-based row in the block, and what is wrong."""

    row: int
    kind: str
    column: str | None
    reason: str


class ReadLines(NamedTuple):
    """A block that was read: the columns that hold anything, and what is under every key. An invalid row has no value."""

    columns: Mapping[str, pa.Array]
    leaves: Sequence[Leaf]
    bad: Sequence[BadLine] = ()
    nans: int = 0


class BigInteger:
    """An integer that int64 cannot hold, as it is written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _InvalidError(Exception):
    """What is wrong with a line: kind, column, reason."""


_NAN = object()
_SINGLE = {int, float, str, bool, type(None), BigInteger}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _InvalidError("duplicate", twice, "a key that appears twice")
    return found


def _integer(text: str) -> int | BigInteger:
    if len(text) < 19:
        return int(text)
    return number if len(text) <= 20 and (number := int(text)) in INT64 else BigInteger(text)


def _constant(text: str) -> Any:
    return _NAN if text == "NaN" else float(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)


def exact(lines: Sequence[bytes], flatten: int, cut_off: bool) -> ReadLines:
    """Read lines, each of which should be one JSON object. `cut_off`: the last one has no line end, as the file ends with it.

    Raises DataError if there are so many keys that most lines lack most of them.
    """
    records, bad = _Records(flatten, most_cells(sum(map(len, lines)))), list[BadLine]()
    for row, line in enumerate(lines):
        try:
            records.add(row, _parsed(line))
        except _InvalidError as error:
            kind, column, reason = error.args
            if cut_off and kind == "json" and row == len(lines) - 1 and line[:1] == b"{":
                kind, reason = "cut off", f"the file ends in the middle of it: {reason}"
            bad.append(BadLine(row, kind, column, reason))
    columns, leaves = records.columns(len(lines))
    return ReadLines(columns, leaves, bad, records.nans)


def _parsed(line: bytes) -> dict[str, Any]:
    """One line as an object. Raises _InvalidError."""
    if line.count(b"[") + line.count(b"{") > DEPTH:
        _check_depth(line)
    try:
        found = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        raise _InvalidError("encoding", None, f"bytes {error.object[error.start : error.end][:8].hex(' ')}") from None
    except json.JSONDecodeError as error:
        extra = error.msg == "Extra data" and line[:1] == b"{"
        said = "something after the object" if extra else error.msg[:1].lower() + error.msg[1:].removesuffix(" starting at")
        raise _InvalidError("json", None, f"{said} at character {error.pos + 1}".replace(" at at", " at")) from None
    except RecursionError:
        raise _InvalidError("nested", None, "nested too deep") from None
    if not isinstance(found, dict):
        raise _InvalidError("object", None, f"{_said(found)}, not an object")
    if _HALF_PAIR.search(line):
        _check_surrogates(found)
    return found


def _check_depth(line: bytes) -> None:
    depth = 0
    for found in _BRACKETS.finditer(line):
        depth += (found[0] in (b"[", b"{")) - (found[0] in (b"]", b"}"))
        if depth > DEPTH:
            raise _InvalidError("nested", None, f"nested more than {DEPTH} deep")


def _check_surrogates(value: Any) -> None:
    """Half a surrogate pair is no character: no text can hold it."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            code = ord(error.object[error.start])
            raise _InvalidError("encoding", None, f"half a surrogate pair, \\u{code:04x}") from None
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_surrogates(key)
            _check_surrogates(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_surrogates(inner)


def _said(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "a string"
    return "null" if value is None else "true or false" if isinstance(value, bool) else "a number"


class _Records:
    """The values of each key, row by row. Rows that follow each other and have the same keys are taken together."""

    def __init__(self, flatten: int, most: int) -> None:
        self._flatten, self._most = flatten, most
        self._cells: dict[Path, list[Any]] = {}
        self._nested: dict[Path, tuple[int, str]] = {}
        self._objects: set[Path] = set()
        self.nans = 0
        self._keys: tuple[str, ...] = ()
        self._rows: list[Collection[Any]] = []
        self._start = 0

    def add(self, row: int, record: dict[str, Any]) -> None:
        """The next row."""
        keys = tuple(record)
        if keys != self._keys or row != self._start + len(self._rows):
            self._take_rows()
            self._keys, self._start = keys, row
        self._rows.append(record.values())

    def _take_rows(self) -> None:
        """Take the rows that wait."""
        for key, values in zip(self._keys, zip(*self._rows, strict=True), strict=False):
            cells = self._cells.setdefault((key,), [])
            if {type(value) for value in values} <= _SINGLE:
                cells.extend([None] * (self._start - len(cells)))
                cells.extend(values)
                continue
            for row, value in enumerate(values, self._start):
                self._add(row, (key,), value)
        self._check(self._start + len(self._rows))
        self._rows = []

    def _add(self, row: int, path: Path, value: Any) -> None:
        """One value, or those of an object."""
        cells = self._cells.setdefault(path, [])
        if isinstance(value, dict):
            self._objects.add(path)
            if len(path) > self._flatten:
                self._nested.setdefault(path, (row, "an object"))
                return
            for key, inner in value.items():
                self._add(row, (*path, key), inner)
        elif isinstance(value, list):
            self._nested.setdefault(path, (row, "a list"))
        elif value is _NAN:
            self.nans += 1
        elif value is not None:
            cells.extend([None] * (row - len(cells)))
            cells.append(value)

    def _check(self, rows: int) -> None:
        """Raise DataError if there are too many cells for so many rows."""
        if len(self._cells) * rows > self._most:
            names = ", ".join(shown(".".join(path)) for path in islice(self._cells, 5))
            raise DataError(
                f"{rows:,} rows have {len(self._cells):,} different keys, and most rows lack most of them",
                [f"keys such as {names}"],
                'where the keys are values, write a line for each, such as {"key": "a", "value": 1}',
            )

    def columns(self, rows: int) -> tuple[dict[str, pa.Array], list[Leaf]]:
        """The columns that hold anything, and a leaf for every key."""
        self._take_rows()
        columns: dict[str, pa.Array] = {}
        leaves = []
        for path, values in self._cells.items():
            leaf = Leaf(path, nested=self._nested.get(path), is_object=path in self._objects)
            kinds = set(map(type, values)) - {type(None)}
            if kinds:
                values.extend([None] * (rows - len(values)))
                cells, leaf = _column(values, kinds, leaf)
                columns.setdefault(leaf.name, cells)
            leaves.append(leaf)
        return columns, leaves


def _column(values: list[Any], kinds: set[type], leaf: Leaf) -> tuple[pa.Array, Leaf]:
    """The values (row) of a key as an array, and what they are."""
    strings = pa.array([value for value in values if isinstance(value, str)] if str in kinds else [], pa.string())
    words, text = look_at_strings(strings) if len(strings) else (Seen.NOTHING, Seen.NOTHING)
    cells = array_of(values, kinds)
    if cells is not None:
        seen = words if str in kinds else seen_of(cells)
        return cells, leaf._replace(seen=seen, text=text, whole=is_whole(cells))
    seen = (
        words | (Seen.INT if kinds & {int, BigInteger} else Seen.NOTHING) | (Seen.BIG if BigInteger in kinds else Seen.NOTHING)
    )
    seen |= (Seen.FLOAT if float in kinds else Seen.NOTHING) | (Seen.BOOL if bool in kinds else Seen.NOTHING)
    tagged = pa.array([None if value is None else _tagged(value) for value in values], pa.string())
    return tagged, leaf._replace(seen=seen, text=text, tagged=True)


def _tagged(value: Any) -> str:
    if isinstance(value, str):
        return TAG + value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, BigInteger):
        return value.text
    return repr(value) if not isinstance(value, float) or math.isfinite(value) else ("inf" if value > 0 else "-inf")
