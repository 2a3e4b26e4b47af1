"""Whether the first record of a table names its columns: its cells against those of the rows below.

Certain are a word over numbers or dates, a row that looks like all others, and a first line whose chance of being a row
like the others is less than one in a thousand. Names that are numbers (`country,2019,2020`) are certain where they are
regular, or unlike their columns, and a word beside them names a column. Everything else is to be asked.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from tensorize.columns.reader import NUMBER_NA

Row = Sequence[str]

_UNKNOWN = frozenset(("", "na", "nan", "null", "n/a", "#n/a", "none", "nil", "missing", "unknown", "inf", "-inf"))
"""Cells, in lower case, that stand for a value: no name of a column, whatever they stand over."""
_NAMES = re.compile(
    "category|city|class|code|country|date|datetime|day|gene|id|index|item|key|label|month|name|product|region|sample|series"
    "|site|species|state|station|subject|target|time|timestamp|type|variable|wavelength|year|y",
    re.IGNORECASE,
)
"""Words that name columns of words, and are seldom values."""
_NUMBER = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*")
_SIGNS = "$€£¥₹₽₩¢%‰)"
_DRESSED = re.compile(r"[+-]?[$€£¥₹₽₩¢(]{0,2} ?[+-]?(?:(\d{1,3}(?:,\d{3})+(?:\.\d+)?)|(\d+(?:[.,]\d+)?)) ?[%‰$€£¥₹₽₩¢)]{0,2}")
_CODE = re.compile(r"\s*[+-]?0\d")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}:\d{2}|\d{4}-?Q\d|\d{4}-?W\d\d")
CHANCE = 0.001
"""A first line that is a row less often than this is a header."""
LEAST_ROWS, MOST_CELLS = 10, 100_000
"""So many cells of a wide table are looked at, but at least so many rows."""


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number, with a point or a comma."""
    return _NUMBER.fullmatch(cell) is not None


def _bare(cell: str) -> str:
    """A cell without white space, and a number without currency signs, percent signs, parentheses and thousands marks."""
    cell = cell.strip()
    found = _DRESSED.fullmatch(cell) if cell[-1:].isdigit() or cell[-1:] in _SIGNS else None
    return cell if found is None else (found[1] or found[2]).replace(",", "" if found[1] else ",")


def is_value(cell: str) -> bool:
    """Whether a cell stands for a value that is missing: a word such as NA, or no letter and no digit at all."""
    return cell.strip().lower() in _UNKNOWN or not any(char.isalnum() for char in cell)


def names_columns(head: Row, rows: Sequence[Row]) -> bool | None:
    """Whether the first record is a header; None where the cells prove neither."""
    if not rows:
        return not any(is_number(cell) or not cell.strip() for cell in head)
    rows = rows[: max(LEAST_ROWS, MOST_CELLS // len(rows[0]))]
    columns = [_Column(_bare(cell), tuple(_bare(row[at]) for row in rows)) for at, cell in enumerate(head[: len(rows[0])])]
    if any(column.is_numbered for column in columns):
        return _over_numbers(columns)
    named = any(column.is_named for column in columns)
    dated = any(column.repeats_date for column in columns)
    if named or dated:
        return None if named and (dated or any(map(is_number, head))) else named
    if any(map(is_number, head)):
        return False if _lacks(columns) or _recurs(columns) else None
    return _over_words(columns)


@dataclass(frozen=True)
class _Column:
    """A cell of the first record, and those below it."""

    head: str
    body: tuple[str, ...]

    @cached_property
    def is_numeric(self) -> bool:
        """Numbers alone below, and at least one."""
        there = [cell for cell in self.body if cell not in NUMBER_NA]
        return bool(there) and all(map(is_number, there))

    @cached_property
    def shape(self) -> str | None:
        """What all cells below look like, where they are words with a digit in them, such as dates and codes."""
        if self.is_numeric or len(self.body) < 2 or "9" not in (shape := shape_of(self.body[0])):
            return None
        return shape if all(shape_of(cell) == shape for cell in self.body) else None

    @cached_property
    def numbers(self) -> list[float]:
        """The numbers below."""
        return [_value(cell) for cell in self.body if is_number(cell)]

    @property
    def is_word(self) -> bool:
        """Whether the head is a word that may name a column."""
        return not is_number(self.head) and not is_value(self.head)

    @property
    def is_named(self) -> bool:
        """A word over numbers."""
        return self.is_word and is_mostly_numeric(self.body)

    @property
    def is_numbered(self) -> bool:
        """A number over numbers, or over nothing."""
        return is_number(self.head) and (self.is_numeric or all(cell in NUMBER_NA for cell in self.body))

    @property
    def is_dated(self) -> bool:
        """Whether all cells below are dates or hours."""
        return self.shape is not None and all(_DATE.match(cell) for cell in self.body)

    @property
    def repeats_date(self) -> bool:
        """A date over dates."""
        return self.is_dated and shape_of(self.head) == self.shape

    @property
    def breaks_shape(self) -> bool:
        """A word over dates, or one without a digit over codes."""
        if self.is_dated:
            return self.is_word and _DATE.match(self.head) is None
        return self.shape is not None and self.is_word and not _has_digit(self.head)

    @property
    def is_titled(self) -> bool:
        """A word such as `country`, which is no value of the column."""
        return not self.is_numeric and bool(_NAMES.fullmatch(self.head)) and not any(map(_NAMES.fullmatch, self.body))

    @property
    def counts(self) -> bool:
        """Whether the cells below are 0, 1, 2, … or 1, 2, 3, …"""
        return len(self.body) > 1 and any(all(cell == str(at) for at, cell in enumerate(self.body, first)) for first in (0, 1))

    def chance(self) -> float:
        """How often a further row would have a cell that is as unlike those below as the head is; 1 where it is not."""
        if not self.is_word or self.is_numeric or self.head in self.body:
            return 1.0
        rows, once = len(self.body), sum(times == 1 for times in Counter(self.body).values())
        is_unlike = any({form(cell) for cell in self.body} == {not form(self.head)} for form in _FORMS)
        return min((once + 1) / (rows + 1), 2 / (rows + 2) if is_unlike else 1.0)


def _is_upper(cell: str) -> bool:
    return cell[:1].isupper()


def _has_digit(cell: str) -> bool:
    return any(char.isdigit() for char in cell)


def _has_blank(cell: str) -> bool:
    return " " in cell


def _has_line(cell: str) -> bool:
    return "_" in cell


_FORMS = (_is_upper, _has_digit, _has_blank, _has_line)


def _over_words(columns: Sequence[_Column]) -> bool | None:
    """The verdict where no number and no date speaks."""
    recurs = _recurs(columns)
    if _lacks(columns):
        return False if recurs or all(column.chance() == 1 for column in columns) else None
    if columns[0].counts and not columns[0].head and all(column.is_word for column in columns[1:]):
        return True
    if recurs or any(column.shape and shape_of(column.head) == column.shape for column in columns):
        return False
    is_whole = len({column.head for column in columns}) == len(columns) and all(column.is_word for column in columns)
    if recurs is None or not is_whole:
        return None
    broken = any(column.breaks_shape for column in columns)
    return True if broken or (_chance(columns) < CHANCE and len(columns[0].body) > 2) else None


def _lacks(columns: Sequence[_Column]) -> bool:
    """Whether a word such as NA stands over numbers, and no other word does."""
    over = [column.head for column in columns if column.is_numeric]
    return any(over) and all(is_value(cell) or is_number(cell) for cell in over)


def _recurs(columns: Sequence[_Column]) -> bool | None:
    """Whether cells of the first record are values of their own columns, in two of them; None where that may be by chance.

    It may be for one column, and where whole records are repeated, as the header of another table is.
    """
    heads = [column.head for column in columns]
    again = {at for at in range(len(columns[0].body)) if [column.body[at] for column in columns] == heads}
    found = [{at for at, cell in enumerate(column.body) if column.head and cell == column.head} for column in columns]
    if not any(found):
        return False
    return True if sum(bool(rows - again) for rows in found) > 1 else None


def _chance(columns: Sequence[_Column]) -> float:
    """How often a row would be as unlike the others in all columns; columns that say the same count once."""
    least: dict[tuple[int, ...], float] = {}
    for column in columns:
        seen: dict[str, int] = {}
        pattern = tuple(seen.setdefault(cell, len(seen)) for cell in column.body)
        least[pattern] = min(column.chance(), least.get(pattern, 1.0))
    return math.prod(least.values())


def _over_numbers(columns: Sequence[_Column]) -> bool | None:
    """The verdict where a number stands over numbers: a row, unless the numbers look like names."""
    if any(column.repeats_date for column in columns):
        return False
    numbered = [column for column in columns if column.is_numbered]
    named = any(column.is_named for column in columns)
    titled = any(column.is_titled or (column.is_dated and column.breaks_shape) for column in columns)
    signs = _signs(numbered)
    words = [column for column in columns if not column.is_numeric]
    if signs and (titled or named or any(column.breaks_shape for column in words) or _chance(words) <= 0.02):
        return True
    if "regular" in signs and len(signs) > 1 and len(numbered) > 2:
        return True
    open_ = any(not is_number(column.head) and column.head not in NUMBER_NA for column in columns if column.is_numeric)
    return None if signs or titled or named or open_ else False


def _signs(columns: Sequence[_Column]) -> set[str]:
    """What tells the numbers of the first record from those below: they are `regular`, of another `form`, or `far`."""
    heads = [_value(column.head) for column in columns]
    if len(set(heads)) < len(heads):
        return set()
    signs, rows = set(), len(columns[0].body)
    if _are_years(columns) or _are_regular(heads, columns):
        signs.add("regular")
    plain = all(column.head.isdecimal() for column in columns)
    if rows > 2 and plain and all("." in cell for column in columns for cell in column.body if is_number(cell)):
        signs.add("form")
    if rows > 2 and (len(heads) > 1 or rows > 7) and all(map(_is_far, columns)):
        signs.add("far")
    return signs


def _are_years(columns: Sequence[_Column]) -> bool:
    """Years over columns that hold few or none."""
    first = 1900 if len(columns) == 1 else 1500
    years = all(re.fullmatch(r"\d{4}", column.head) and first <= int(column.head) <= 2100 for column in columns)
    below = [number for column in columns for number in column.numbers]
    return years and sum(1500 <= number <= 2100 for number in below) * 5 <= len(below)


def _are_regular(heads: Sequence[float], columns: Sequence[_Column]) -> bool:
    """Numbers that go on by the same step, or grow, where those of the rows do not."""
    rows = [
        [_value(cell) for cell in row] for row in zip(*(column.body for column in columns), strict=True) if _all_numbers(row)
    ]
    for least, test in ((2, _grows_by_one), (3, _is_even), (4, _grows)):
        if len(heads) >= least and test(heads) and sum(map(test, rows)) * 20 <= len(rows):
            return True
    return False


def _all_numbers(cells: Sequence[str]) -> bool:
    return all(map(is_number, cells))


def _steps(values: Sequence[float]) -> set[float]:
    return {round(after - before, 9) for before, after in pairwise(values)}


def _grows_by_one(values: Sequence[float]) -> bool:
    return _steps(values) in ({1.0}, {-1.0})


def _is_even(values: Sequence[float]) -> bool:
    return len(steps := _steps(values)) == 1 and 0.0 not in steps


def _grows(values: Sequence[float]) -> bool:
    return all(step > 0 for step in _steps(values))


def _is_far(column: _Column) -> bool:
    """Whether the head lies farther from the numbers below than they lie from each other."""
    least, most = min(column.numbers, default=0.0), max(column.numbers, default=0.0)
    value = _value(column.head)
    return most > least and max(least - value, value - most) > most - least


def _value(cell: str) -> float:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return math.nan


def shape_of(cell: str) -> str:
    """A cell as a pattern: digits are 9, letters a, runs of either are one."""
    return re.sub("a+", "a", re.sub("9+", "9", re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", cell.strip()))))


def is_mostly_numeric(cells: Sequence[str]) -> bool:
    """Numbers alone, or a few words among them. Where NA and the like are missing numbers, codes such as 007 are none."""
    there = [cell for cell in cells if cell.strip()]
    numbers = [cell for cell in there if is_number(cell)]
    known = [cell for cell in there if cell.strip() not in NUMBER_NA]
    plain = len(numbers) == len(known) > 0 and not all(_CODE.match(cell) for cell in numbers)
    return len(numbers) == len(there) > 0 or plain or (len(numbers) > 1 and len(numbers) * 3 >= len(there) * 2)


def numeric_columns(rows: Sequence[Row]) -> list[int]:
    """The columns that hold numbers alone, and at least one."""
    return [at for at in range(len(rows[0])) if _Column("", tuple(row[at].strip() for row in rows)).is_numeric] if rows else []
