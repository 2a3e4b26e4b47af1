"""The cells of JSON columns: what a block keeps of them, and how they become the storage type of the whole column.

A block keeps int64, float64, bool or text where all values of a key are of one type. Where they are not, or where an integer is
too large for int64, it keeps them *tagged*: text in which a string begins with a quote and anything else is written as in JSON.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.reader import NUMBER_NA, Needs
from tensorize.core.schema import Column, Storage
from tensorize.readers.csv.infer import Seen, are_bools, are_numbers, look
from tensorize.readers.types import to_bools

TAG = '"'
_WORDS = Seen.NA | Seen.TIME | Seen.WORD
_TYPES = {"int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(), "string": pa.string()}

Path = tuple[str, ...]


class Leaf(NamedTuple):
    """What one block holds under one key, or chain of keys."""

    path: Path
    seen: Seen = Seen.NOTHING
    text: Seen = Seen.NOTHING
    """What its strings would be as cells of a CSV: numbers among them are numbers here, and words in `seen`."""
    whole: bool = False
    """Whether no value is missing or infinite."""
    tagged: bool = False
    nested: tuple[int, str] | None = None
    """(row of the block, what it is) of the first value that makes no cell: a list, or an object that is too deep."""
    is_object: bool = False

    @property
    def name(self) -> str:
        """The name of its column."""
        return ".".join(self.path)


def look_at_strings(cells: pa.Array) -> tuple[Seen, Seen]:
    """What strings (row) are in JSON, where "5" is a word, and as cells of a CSV."""
    text = look(cells, ".")
    return (text & _WORDS) | (Seen.WORD if text & ~_WORDS else Seen.NOTHING), text


def is_whole(cells: pa.Array) -> bool:
    """Whether no cell (row) is missing or infinite; text may hold words for what is missing."""
    if cells.null_count or pa.types.is_string(cells.type):
        return False
    return not pa.types.is_floating(cells.type) or bool(np.isfinite(cells.to_numpy()).all())


def number_text(cells: pa.Array) -> pa.Array:
    """Numbers (row) as Python writes them: 5, 1.0, 1e-07."""
    if not pa.types.is_floating(cells.type):
        return pc.cast(cells, pa.string())
    coded = pc.dictionary_encode(cells)
    words = pa.array([repr(value) for value in coded.dictionary.to_pylist()], pa.string())
    return words.take(coded.indices)


def as_text(cells: pa.Array, tagged: bool) -> pa.Array:
    """Cells (row) as text, without tags."""
    if tagged:
        return pc.if_else(pc.starts_with(cells, TAG), pc.utf8_slice_codeunits(cells, 1), cells)
    return cells if pa.types.is_string(cells.type) else number_text(cells)


def nulled(cells: pa.Array, words: tuple[str, ...]) -> pa.Array:
    """Text (row) with null in place of some words, whatever blanks are around them."""
    missing = pc.is_in(pc.utf8_trim_whitespace(cells), value_set=pa.array(words, pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), cells) if pc.any(missing).as_py() else cells


class Storing(NamedTuple):
    """How the cells of one column become its storage type, in every block alike."""

    column: Column
    na: tuple[str, ...]
    """Words that mean a missing value, besides the usual ones."""
    code: bool
    """Integers that are kept as text: words for missing numbers mean missing among them, too."""
    fractions: bool
    """Whether one of the numbers is a fraction: as text 5 is 5.0 then, in every block."""
    verbatim: bool

    @classmethod
    def of(cls, column: Column, seen: Seen, code: bool, needs: Needs) -> Storing:
        """From what was seen in the whole column."""
        return cls(column, needs.na, code, bool(seen & Seen.FLOAT), needs.verbatim)

    def nulls(self, rows: int) -> pa.Array:
        """The cells of a block without the key."""
        return pa.nulls(rows, _TYPES[self.column.storage])

    def __call__(self, cells: pa.Array, tagged: bool) -> pa.Array:
        """Cells (row) of one block in the storage type, null if missing."""
        storage = self.column.storage
        if storage == "string":
            return self._text(cells, tagged)
        if storage == "bool":
            return cells if pa.types.is_boolean(cells.type) else to_bools(self._without_na(as_text(cells, tagged)))
        return self._numbers(cells, tagged, storage)

    def _without_na(self, text: pa.Array) -> pa.Array:
        return nulled(text, (*NUMBER_NA, *self.na))

    def _numbers(self, cells: pa.Array, tagged: bool, storage: Storage) -> pa.Array:
        if pa.types.is_string(cells.type):
            text = pc.utf8_ltrim(pc.utf8_trim_whitespace(self._without_na(as_text(cells, tagged))), "+")
            return pc.cast(text, _TYPES[storage])
        for number in numbers_of(self.na):
            cells = pc.if_else(pc.equal(cells, number), pa.scalar(None, cells.type), cells)
        return cells if cells.type == _TYPES[storage] else pc.cast(cells, _TYPES[storage], safe=False)

    def _text(self, cells: pa.Array, tagged: bool) -> pa.Array:
        cells = _with_fractions(cells, tagged) if self.fractions else cells
        cells = as_text(cells, tagged)
        if self.code:
            return self._without_na(cells)
        if self.verbatim:
            return pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)
        return nulled(cells, ("", *self.na))


def _with_fractions(cells: pa.Array, tagged: bool) -> pa.Array:
    """Cells (row) whose integers are fractions: 5 is 5.0."""
    if pa.types.is_integer(cells.type):
        return pc.cast(cells, pa.float64(), safe=False)
    if not tagged:
        return cells
    is_number = pc.match_substring_regex(cells, "^[-0-9]")
    numbers = pc.cast(pc.if_else(is_number, cells, pa.scalar(None, pa.string())), pa.float64())
    return pc.if_else(is_number, number_text(numbers), cells)


def numbers_of(words: tuple[str, ...]) -> list[float]:
    """The words that are numbers: `--na -999` means the number, too."""
    found = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            continue
    return found


def good(cells: pa.Array, tagged: bool, forced: str | None, na: tuple[str, ...]) -> pa.Array:
    """(row) bool: whether a cell is a number (true or false for a forced bool); null if it is missing.

    A string that looks like a number is one where `--type` says so.
    """
    if forced == "bool":
        return are_bools(nulled(as_text(cells, tagged), na) if na else as_text(cells, tagged))
    if not pa.types.is_string(cells.type):
        return _valid(cells, not pa.types.is_boolean(cells.type))
    text = as_text(cells, tagged)
    found = are_numbers(nulled(text, na) if na else text, ".")
    if forced == "number":
        return found
    words = pc.starts_with(cells, TAG) if tagged else pa.scalar(True)
    return pc.and_(found, pc.invert(words)) if tagged else pc.and_(found, pa.array(np.zeros(len(cells), dtype=bool)))


def _valid(cells: pa.Array, value: bool) -> pa.Array:
    """`value` for every cell (row) that is not missing."""
    return pc.if_else(pc.is_valid(cells), pa.scalar(value), pa.scalar(None, pa.bool_()))


def look_again(cells: pa.Array, tagged: bool, forced: str | None, na: tuple[str, ...]) -> Seen:
    """What cells (row) hold besides the words that mean missing; as a CSV has them where their kind is forced."""
    if forced == "bool":
        found = good(cells, tagged, forced, na)
        return (Seen.BOOL if pc.any(found).as_py() else Seen.NOTHING) | (Seen.NOTHING if pc.all(found).as_py() else Seen.WORD)
    if not pa.types.is_string(cells.type):
        return seen_of(cells)
    strings = cells.filter(pc.starts_with(cells, TAG)) if tagged else cells
    others = look(cells.filter(pc.invert(pc.starts_with(cells, TAG))), ".") if tagged else Seen.NOTHING
    words, text = look_at_strings(nulled(as_text(strings, tagged), na) if na else as_text(strings, tagged))
    return others | (text if forced == "number" else words)


def seen_of(cells: pa.Array) -> Seen:
    """What cells (row) of one JSON type other than text are."""
    if len(cells) == cells.null_count:
        return Seen.NOTHING
    if pa.types.is_boolean(cells.type):
        return Seen.BOOL
    return Seen.FLOAT if pa.types.is_floating(cells.type) else Seen.INT


def array_of(values: list[Any], kinds: set[type]) -> pa.Array | None:
    """Python's values (row) of one JSON type as an array; None if they are of several."""
    if kinds <= {int}:
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    one = {bool: pa.bool_(), str: pa.string()}
    return pa.array(values, one[next(iter(kinds))]) if len(kinds) == 1 and kinds <= one.keys() else None
