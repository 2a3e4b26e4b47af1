"""Read a block with Arrow's JSON parser, where it is sure to agree with the exact one.

Measured traps of `pyarrow.json`, each of which is looked for here: integers from 2**63 are doubles, two objects on a line are
two rows, strings that look like times are times, NaN and Inf are numbers, invalid UTF-8 passes, and memory grows with the
number of keys times that of the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from tensorize.readers.jsonl.cells import Leaf, Path, is_whole, look_at_strings, seen_of
from tensorize.readers.jsonl.exact import ReadLines, most_cells
from tensorize.sources.files import is_utf8

_KEY = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"[ \t\r]*:', re.DOTALL)
_MINUS_ZERO = re.compile(rb"-0[,}\s]")
FAST_DEPTH = 128
"""Lists and objects in a line, at most: Arrow makes types of them by recursion."""
_TYPES = (pa.int64(), pa.float64(), pa.bool_(), pa.string(), pa.null())


@dataclass(frozen=True)
class KeyGuess:
    """What the first lines of a file let expect of the others: every key, and the type of its values."""

    all: tuple[pa.Field, ...] = ()
    """Every key, as Arrow finds it."""
    fields: tuple[pa.Field, ...] = ()
    """Those that hold anything."""
    strings: tuple[pa.Field, ...] = ()
    """The fields, or the parts of them, that are text; without being told Arrow would read times in some."""

    @property
    def width(self) -> int:
        """How many columns it has."""
        return sum(map(_width, self.fields))

    def paths(self, flatten: int) -> Iterator[Path]:
        """Every key and chain of keys, in order, down to so many levels of objects."""
        return chain.from_iterable(_paths(field, (), flatten) for field in self.all)


def _paths(field: pa.Field, above: Path, flatten: int) -> Iterator[Path]:
    path = (*above, field.name)
    yield path
    if pa.types.is_struct(field.type) and len(path) <= flatten:
        for part in field.type:
            yield from _paths(part, path, flatten)


def _width(field: pa.Field) -> int:
    return sum(map(_width, field.type)) if pa.types.is_struct(field.type) else 1


def fast(data: bytes, rows: int, flatten: int, guess: KeyGuess) -> ReadLines | None:
    """Read lines, each of which begins and ends as an object does; None if the result is not certain."""
    nans = data.count(b"NaN") if b"N" in data else 0
    if _may_mislead(data) or not (data.isascii() or is_utf8(data)) or _may_be_deep(data, rows):
        return None
    plain = data.replace(b"NaN", b"null") if nans else data
    table = _parsed(plain, rows, guess)
    if table is None:
        return None
    columns: dict[str, pa.Array] = {}
    leaves: list[Leaf] = []
    for field, column in zip(table.schema, table.columns, strict=True):
        for leaf, cells in _leaves((field.name,), _one(column), flatten):
            leaves.append(leaf)
            if cells is not None and columns.setdefault(leaf.name, cells) is not cells:
                return None  # two keys of one name
    return None if nans and _may_be_text(columns, leaves) else ReadLines(columns, leaves, nans=nans)


def guess_of(data: bytes, rows: int) -> KeyGuess:
    """What the first lines hold; nothing if they cannot be parsed at once."""
    if _may_mislead(data) or b"NaN" in data or _may_be_deep(data, rows):
        return KeyGuess()
    table = _inferred(data, rows, ())
    if table is None:
        return KeyGuess()
    strings = tuple(found for field in table.schema if (found := _only_strings(field)) is not None)
    return KeyGuess(tuple(table.schema), tuple(field for field in table.schema if not pa.types.is_null(field.type)), strings)


def _may_mislead(data: bytes) -> bool:
    """Infinity, and integers -0, which are fractions to Arrow if a fraction is beside them.

    A single byte is looked for first: that takes a thirtieth of the time of looking for two.
    """
    if b"I" in data and b"Inf" in data:
        return True
    return b"-" in data and b"-0" in data and _MINUS_ZERO.search(data) is not None


def _may_be_deep(data: bytes, rows: int) -> bool:
    """Whether a line may be nested deeper than is safe."""
    if data.count(b"{") + (data.count(b"[") if b"[" in data else 0) - rows < FAST_DEPTH:
        return False
    view = np.frombuffer(data, np.uint8)
    opening = np.flatnonzero((view == ord("{")) | (view == ord("[")))
    lines = np.flatnonzero(view == ord("\n"))
    return int(np.bincount(np.searchsorted(lines, opening)).max()) > FAST_DEPTH


def _parsed(data: bytes, rows: int, guess: KeyGuess) -> pa.Table | None:
    """The table as guessed, else as Arrow finds its types."""
    if guess.fields and guess.width * rows <= most_cells(len(data)):
        table = _read(
            data, rows, pajson.ParseOptions(explicit_schema=pa.schema(guess.fields), unexpected_field_behavior="error")
        )
        if table is not None:
            return table
    if len(set(_KEY.findall(data))) * rows > most_cells(len(data)):
        return None
    return _inferred(data, rows, guess.strings)


def _inferred(data: bytes, rows: int, strings: tuple[pa.Field, ...]) -> pa.Table | None:
    """The types that Arrow finds, but for times, which are text; None if they are not certain.

    Columns come in order of first appearance, after those in `strings`.
    """
    table = _read(data, rows, pajson.ParseOptions(explicit_schema=pa.schema(strings)) if strings else None)
    if table is not None and any(_has_times(kind) for kind in table.schema.types):
        told = pa.schema([_without_times(field) for field in table.schema])
        table = _read(data, rows, pajson.ParseOptions(explicit_schema=told))
    return None if table is None or any(_is_odd(_one(column)) for column in table.columns) else table


def _read(data: bytes, rows: int, options: pajson.ParseOptions | None) -> pa.Table | None:
    try:
        table = pajson.read_json(
            pa.BufferReader(data), pajson.ReadOptions(use_threads=False, block_size=len(data) + 1), options
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    return table if table.num_rows == rows else None


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _has_times(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_has_times(field.type) for field in kind)
    return bool(pa.types.is_timestamp(kind))


def _without_times(field: pa.Field) -> pa.Field:
    """The field, with text in place of times."""
    if pa.types.is_struct(field.type):
        return pa.field(field.name, pa.struct([_without_times(part) for part in field.type]))
    return pa.field(field.name, pa.string() if pa.types.is_timestamp(field.type) else field.type)


def _only_strings(field: pa.Field) -> pa.Field | None:
    """The part of a field that is text."""
    if pa.types.is_struct(field.type):
        inner = [found for part in field.type if (found := _only_strings(part)) is not None]
        return pa.field(field.name, pa.struct(inner)) if inner else None
    return field if pa.types.is_string(field.type) else None


def _is_odd(column: pa.Array) -> bool:
    """Times, or numbers that may have been integers that int64 cannot hold."""
    if pa.types.is_struct(column.type):
        return any(_is_odd(part) for part in column.flatten())
    if pa.types.is_floating(column.type):
        most = pc.min_max(column).as_py()
        return most["min"] is not None and not -(2.0**63) < most["min"] <= most["max"] < 2.0**63
    return bool(pa.types.is_timestamp(column.type))


def _leaves(path: Path, cells: pa.Array, flatten: int) -> Iterator[tuple[Leaf, pa.Array | None]]:
    """Every key at and below a column, with its cells where it has some."""
    kind = cells.type
    if pa.types.is_struct(kind):
        deep = len(path) > flatten
        is_there = len(cells) > cells.null_count
        yield Leaf(path, is_object=is_there, nested=_nested(cells, "an object") if deep else None), None
        if not deep:
            for field, part in zip(kind, cells.flatten(), strict=True):
                yield from _leaves((*path, field.name), part, flatten)
    elif pa.types.is_list(kind):
        yield Leaf(path, nested=_nested(cells, "a list")), None
    elif len(cells) == cells.null_count:
        yield Leaf(path), None
    elif pa.types.is_string(kind):
        seen, text = look_at_strings(cells)
        yield Leaf(path, seen, text), cells
    else:
        assert kind in _TYPES
        yield Leaf(path, seen_of(cells), whole=is_whole(cells)), cells


def _nested(cells: pa.Array, what: str) -> tuple[int, str] | None:
    """The first row that holds a list or an object."""
    first = pc.index(pc.is_valid(cells), True).as_py()
    return (first, what) if first >= 0 else None


def _may_be_text(columns: dict[str, pa.Array], leaves: list[Leaf]) -> bool:
    """Whether a NaN that was turned to null may have stood in a name or in a text."""
    texts = (cells for cells in columns.values() if pa.types.is_string(cells.type))
    return any("null" in leaf.name for leaf in leaves) or any(
        pc.any(pc.match_substring(cells, "null")).as_py() for cells in texts
    )
