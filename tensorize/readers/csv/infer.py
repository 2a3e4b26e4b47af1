"""Of what kind a column is: what was seen in its cells, over the whole file, and what that makes of it."""

from __future__ import annotations

from enum import Flag, auto
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tensorize.columns.reader import NUMBER_NA
from tensorize.core.schema import Column, Kind, Storage
from tensorize.readers.types import FALSE_WORDS, TRUE_WORDS

_INT = r"^[+-]?[0-9]+$"
_ZEROS = r"^[+-]?0[0-9]"
_FLOAT = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity)$"
_LOCAL = r"^[+-]?[0-9]{1,3}([.,' \x{a0}\x{202f}][0-9]{3})+([.,][0-9]+)?$|^[+-]?[0-9]*[.,][0-9]+([eE][+-]?[0-9]+)?$"
_BOOL = r"^(?i:true|false)$"
_SIGNED = r"[0-9]{1,3}([.,' ][0-9]{3})+([.,][0-9]+)?|[0-9]+([.,][0-9]*)?|[.,][0-9]+"
SIGNS = "$€£¥₹₽₩¢%‰()"
_MONEY = "[$€£¥₹₽₩¢]"
_DRESSED = (
    rf"^[+-]? ?{_MONEY}? ?[+-]?({_SIGNED}) ?({_MONEY}|[%‰])?$"
    rf"|^\([+-]? ?{_MONEY}? ?({_SIGNED}) ?({_MONEY}|[%‰])?\)$|^{_MONEY} ?\(({_SIGNED})\)$"
)
_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,4}[/.][0-9]{1,2}[/.][0-9]{1,4}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?"
_TIME = rf"^({_DATE})([T ]{_CLOCK} ?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?$"


class Seen(Flag):
    """What the cells of a column look like. Joined over chunks, so the whole file decides."""

    NOTHING = 0
    INT = auto()
    FLOAT = auto()
    ZEROS = auto()
    """An integer with leading zeros, such as 007: more likely a code than a number."""
    BIG = auto()
    """An integer that int64 cannot hold."""
    NA = auto()
    """A word that means missing among numbers, such as NA."""
    BOOL = auto()
    TIME = auto()
    LOCAL = auto()
    """A number in another notation, such as 1,5 where the decimal mark is a point, or 1,234,567."""
    DRESSED = auto()
    """A number with a sign around it, such as $100, 5.9% or (200)."""
    WORD = auto()


NUMBERS = Seen.INT | Seen.FLOAT | Seen.ZEROS | Seen.BIG
WORDS = Seen.BOOL | Seen.TIME | Seen.LOCAL | Seen.DRESSED | Seen.WORD
_ODD = Seen.LOCAL | Seen.DRESSED


_PATTERNS = (
    ("", Seen.NA),
    (_INT, Seen.INT),
    (_FLOAT, Seen.FLOAT),
    (_BOOL, Seen.BOOL),
    (_TIME, Seen.TIME),
    (_LOCAL, Seen.LOCAL),
    (_DRESSED, Seen.DRESSED),
)


def look(cells: pa.Array, decimal: str) -> Seen:
    """Say what a string array (row) holds. Nulls count as nothing."""
    cells = pc.utf8_trim_whitespace(pc.unique(cells.drop_null()))
    cells = _without(cells, pc.equal(cells, ""))
    seen = Seen.NOTHING
    for pattern, what in _PATTERNS:
        hit = _in(cells, NUMBER_NA) if what is Seen.NA else _matches(_pointed(cells, decimal, what), pattern)
        if pc.any(hit).as_py():
            seen |= what
            seen |= _integers(cells.filter(hit)) if what is Seen.INT else Seen.NOTHING
            cells = _without(cells, hit)
    return seen | (Seen.WORD if len(cells) else Seen.NOTHING)


def look_bools(cells: pa.Array) -> Seen:
    """Say whether all cells (row) of a column that was said to be bool are."""
    found = are_bools(cells)
    return (Seen.BOOL if pc.any(found).as_py() else Seen.NOTHING) | (Seen.NOTHING if pc.all(found).as_py() else Seen.WORD)


def are_numbers(cells: pa.Array, decimal: str, thousands: str | None = None, strip: str = "") -> pa.Array:
    """(row) bool: whether a string cell is a number; null if it is missing, or a word that means so among numbers."""
    cells = pc.utf8_trim_whitespace(cells)
    cells = pc.if_else(pc.is_in(cells, value_set=pa.array(NUMBER_NA, pa.string())), pa.scalar(None, pa.string()), cells)
    cells = plain(cells, thousands, strip)
    return pc.or_(_matches(cells, _INT), _matches(_pointed(cells, decimal, Seen.FLOAT), _FLOAT))


def are_bools(cells: pa.Array) -> pa.Array:
    """(row) bool: whether a string cell is one of the words for true and false; null if it is missing."""
    cells = pc.utf8_trim_whitespace(cells)
    missing = pc.is_in(cells, value_set=pa.array(NUMBER_NA, pa.string()))
    found = pc.is_in(pc.utf8_lower(cells), value_set=pa.array((*TRUE_WORDS, *FALSE_WORDS), pa.string()))
    return pc.if_else(pc.or_(missing, pc.is_null(cells)), pa.scalar(None, pa.bool_()), found)


def _integers(cells: pa.Array) -> Seen:
    """Leading zeros, or more digits than int64 holds."""
    zeros = Seen.ZEROS if pc.any(_matches(cells, _ZEROS)).as_py() else Seen.NOTHING
    try:
        pc.cast(pc.utf8_ltrim(cells, "+"), pa.int64())
    except pa.ArrowInvalid:
        return zeros | Seen.BIG
    return zeros


def _pointed(cells: pa.Array, decimal: str, what: Seen) -> pa.Array:
    return pointed(cells) if decimal == "," and what is Seen.FLOAT else cells


def pointed(cells: pa.Array) -> pa.Array:
    """String cells (row): decimal commas become points, and points (thousands, here) something that is not a number."""
    return pc.replace_substring(pc.replace_substring(cells, ".", "_"), ",", ".")


def plain(cells: pa.Array, thousands: str | None, strip: str = "") -> pa.Array:
    """String cells (row): numbers without their thousands separator and the signs around them; others unchanged."""
    if strip and len(cells):
        cells = _stripped(cells, strip)
    if thousands is None or not len(cells):
        return cells
    grouped = _matches(cells, rf"^\s*[+-]?[0-9]{{1,3}}(\x{{{ord(thousands):x}}}[0-9]{{3}})+([.,][0-9]+)?\s*$")
    return pc.if_else(grouped, pc.replace_substring(cells, thousands, ""), cells)


def _stripped(cells: pa.Array, signs: str) -> pa.Array:
    """Numbers without the signs around them; a number in parentheses, if those are among them, is negative."""
    around = "[" + "".join(rf"\x{{{ord(sign):x}}}" for sign in signs if sign not in "()") + r"\s]*"
    number = r"[0-9.,' \x{a0}\x{202f}]*[0-9][.,]?([eE][+-]?[0-9]+)?"
    if "(" in signs or ")" in signs:
        cells = pc.replace_substring_regex(cells, rf"^{around}\({around}({number}){around}\){around}$", r"-\1")
    return pc.replace_substring_regex(cells, rf"^{around}([+-]?){around}({number}){around}$", r"\1\2")


def _matches(cells: pa.Array, pattern: str) -> Any:
    return pc.match_substring_regex(cells, pattern)


def _in(cells: pa.Array, words: tuple[str, ...]) -> Any:
    return pc.is_in(cells, value_set=pa.array(words, pa.string()))


def _without(cells: pa.Array, hit: Any) -> pa.Array:
    return cells.filter(pc.invert(hit))


def is_mixed(seen: Seen) -> bool:
    """At least one number and at least one word."""
    return bool(seen & NUMBERS) and bool(seen & WORDS)


def without_misfits(seen: Seen, forced: Kind | None) -> Seen:
    """What is left once the cells that do not fit were left out."""
    return seen & (Seen.BOOL if forced == "bool" else ~WORDS)


def is_odd(seen: Seen) -> bool:
    """Numbers and words, or numbers in another notation than the one given."""
    return is_mixed(seen) or bool(seen & _ODD and not seen & (WORDS ^ _ODD))


def allows(forced: Kind | None, seen: Seen) -> bool:
    """Whether what was seen can be read as the kind that was forced on it."""
    if forced == "number":
        return not seen & WORDS
    if forced == "bool":
        return not seen & (NUMBERS | (WORDS ^ Seen.BOOL))
    return True


def is_code(seen: Seen) -> bool:
    """Integers that are kept as text: leading zeros, or too many digits, and no decimals among them."""
    return bool(seen & (Seen.ZEROS | Seen.BIG)) and not seen & Seen.FLOAT


def column(name: str, seen: Seen, forced: Kind | None = None) -> Column:
    """Return the column that was seen, or the kind that was forced on it."""
    kind = forced or _kind(seen)
    storage: Storage = "bool" if kind == "bool" else "string"
    if kind == "number":
        whole = seen & NUMBERS and not seen & (Seen.FLOAT | Seen.BIG)
        storage = "int64" if whole else "float64"
    return Column(name=name, kind=kind, storage=storage)


def _kind(seen: Seen) -> Kind:
    """What the cells make of a column; one without any value is a column of numbers."""
    if seen & NUMBERS and not is_mixed(seen) and not is_code(seen):
        return "number"
    words = seen & WORDS
    if seen & NUMBERS or (words and words != Seen.BOOL and seen & Seen.NA):
        return "category"
    if words in (Seen.BOOL, Seen.TIME):
        return "bool" if words == Seen.BOOL else "time"
    return "category" if words else "number"
