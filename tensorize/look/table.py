"""What to make of the columns of a table: choices from their pictures, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tensorize.columns.dates.notations import FORMS
from tensorize.columns.dates.text import read_cells
from tensorize.columns.options import ColumnOptions
from tensorize.columns.reader import INDEX, Rows
from tensorize.columns.roles import one
from tensorize.core.errors import DataError, plural, shown, some
from tensorize.look.choices import Choice
from tensorize.look.dates import notation_to_say
from tensorize.look.picture import MOST, Picture
from tensorize.readers.csv.infer import SIGNS, are_numbers

MARKS = frozenset(
    {
        "",
        "?",
        "-",
        "--",
        "---",
        ".",
        "..",
        "*",
        "…",
        "x",
        "n/a",
        "n.a.",
        "na",
        "#n/a",
        "#na",
        "none",
        "null",
        "(null)",
        "nil",
        "missing",
        "unknown",
        "undefined",
        "nan",
        "<na>",
        "#div/0!",
        "#value!",
        "#ref!",
        "not available",
        "no data",
    }
)
"""Words among numbers that mean a missing value, in lower letters."""
RARE = 1000
"""A value that all but one of so many rows have says nothing."""
_ID = re.compile(r"(^|[_\s.-])(id|ids|uuid|guid|key|index|idx|rownames?|row_?num(ber)?)$|[a-z](Id|ID)$", re.ASCII)


@dataclass
class Chooser:
    """Goes through the columns of a table, once."""

    pictures: Mapping[str, Picture]
    twins: Mapping[str, str]
    targets: Sequence[str]
    options: ColumnOptions
    rows: Rows
    strict: bool = False
    """Whether only what stands in the way is settled, and nothing is left out because it says nothing."""
    chosen: list[Choice] = field(default_factory=list)
    ids: int = 0
    numeric: set[str] = field(default_factory=set)
    """Columns of text that the choices turn into numbers."""

    def choices(self) -> list[Choice]:
        """Every choice, in the order of the columns. Raises DataError where no column is left, or a target is none."""
        if self._id is not None or INDEX in self.pictures or "id" not in type(self.options).model_fields:
            self.ids = 1
        self._numbers()
        used = [name for name in self.pictures if self._choose(name)]
        for name in self.targets:
            self._check_target(self.pictures[name])
        self._missing([name for name in used if name not in self.targets])
        if not [name for name in used if name not in self.targets or self.options.target_stays_input]:
            reasons = [choice.reason for choice in self.chosen if choice.option in ("drop", "id")]
            raise DataError(
                f"no column is left that a model could learn from, of {plural(self.rows.rows, 'row')}",
                some(reasons),
                "say what to make of one: --onehot COL, or --raw COL with tensorize table",
            )
        return self.chosen

    @property
    def _id(self) -> str | None:
        """The column that tells the rows, where one was named; a series has none."""
        return one(self.options, "id")

    def _add(self, option: str, value: Any, reason: str) -> None:
        self.chosen.append(Choice(option, value, reason))

    def _drop(self, name: str, why: str) -> bool:
        self._add("drop", [name], f'"{name}" {why}')
        return False

    def _identify(self, name: str, why: str) -> bool:
        """Carry a column along that tells the rows; only one can be."""
        if self.ids:
            return self._drop(name, why)
        self.ids = 1
        self._add("id", name, f'"{name}" {why}')
        return False

    def _choose(self, name: str) -> bool:
        """Decide one column; whether it is used."""
        if name in self.targets or self.options.mentions(name) or name == INDEX:
            return name in self.targets or name not in (*self.options.drop, self._id, INDEX)
        item = self.pictures[name]
        if (why := self._says_nothing(item)) is not None:
            return self._drop(name, why)
        if item.kind == "number" or name in self.numeric:
            return self._number(item)
        return item.kind == "bool" or (self._date(item) if item.kind == "time" else self._text(item))

    def _says_nothing(self, item: Picture) -> str | None:
        """Why a column is nothing to learn from, whatever its kind."""
        if not item.there:
            return "holds nothing"
        if self.strict:
            return None
        return f'is the same as "{self.twins[item.name]}"' if item.name in self.twins else _constant(item)

    def _number(self, item: Picture) -> bool:
        whole = item.column.storage == "int64" and not self.strict
        if whole and item.rising and item.low in (0, 1) and item.high - item.low == item.rows - 1 and item.rows > 2:
            return self._identify(item.name, "counts the rows")
        if whole and _ID.search(item.name) and (item.all_differ or item.distinct is None):
            return self._identify(item.name, "tells the rows by its name, and is no measure")
        if item.infinite:
            self._add(
                "na",
                ["inf"],
                f'"{item.name}" holds {plural(item.infinite, "infinite number")}: they count as missing',
            )
        return True

    def _date(self, item: Picture) -> bool:
        name = item.name
        try:
            notation = notation_to_say(self.rows, name)
        except DataError as error:
            return self._drop(name, error.what.removeprefix(f'column "{name}"').lstrip(": "))
        if notation:
            self._add("time_format", [f"{name}={notation}"], f'how the dates of "{name}" are written')
        self._add("time_features", [name], f'"{name}" holds dates: month, weekday, hour …')
        return True

    def _text(self, item: Picture) -> bool:
        if item.is_mixed or item.numbers == item.there:
            return self._mixed(item)
        few = item.distinct is not None and item.distinct <= self.options.max_categories
        if item.all_differ and item.rows > 2 and not (self.strict and few):
            if self._are_dates(item):
                return self._date(item)
            return self._identify(item.name, "holds a different text in every row")
        if not few:
            if self._are_dates(item):
                return self._date(item)
            many = f"more than {MOST:,}" if item.distinct is None else f"{item.distinct:,}"
            return self._drop(item.name, f"holds {many} different texts")
        return True

    def _are_dates(self, item: Picture) -> bool:
        """Whether text is a date in some notation that is sure."""
        block = self.rows.read(self.rows.partitions[0], {item.name}).unpacked().column(item.name).drop_null()[:2000]
        return bool(len(block)) and bool(read_cells(block, FORMS).ok.all())

    def _mixed(self, item: Picture) -> bool:
        """Numbers and words in one column: the words mean missing, are left out with their rows, or are categories."""
        if item.numbers == item.there:  # codes with leading zeros
            few = item.distinct is not None and item.distinct <= self.options.max_categories and not item.all_differ
            return few or self._drop(item.name, "holds codes, such as " + shown(str(item.low)))
        others = item.there - item.numbers
        if item.words and len(item.words) <= 3 and all(word.strip().lower() in MARKS for word in item.words):
            said = ", ".join(map(shown, item.words))
            self.numeric.add(item.name)
            self._add(
                "na",
                [",".join(word.strip() for word in item.words)],
                f'{said} among the numbers of "{item.name}" means missing',
            )
            return True
        if item.numbers >= 3 * others:
            self.numeric.add(item.name)
            self._add(
                "type", [f"{item.name}:number"], f'"{item.name}" holds {item.numbers:,} numbers, and {plural(others, "word")}'
            )
            self._add("on_bad", "skip", "the rows of words among numbers are left out")
            self._add("max_bad", str(others), "so many rows")
            return True
        if item.distinct is not None and item.distinct <= self.options.max_categories:
            self._add("onehot", [item.name], f'"{item.name}" holds numbers and words: categories')
            return True
        return self._drop(item.name, "holds numbers and words")

    def _numbers(self) -> None:
        """Signs around numbers, and marks between thousands, are taken off where that makes numbers of whole columns."""
        for name, item in self.pictures.items():
            if item.kind != "category" or (item.values.overflowed and not item.words):
                continue
            cells = pa.array([str(value) for value in item.values.counts] or list(item.words), pa.string())
            if not len(cells) or self.options.mentions(name) or are_numbers(cells, ".").true_count == len(cells):
                continue
            for thousands, strip in ((None, SIGNS), (",", ""), (",", SIGNS)):
                if (given := self._read_as(cells, thousands, strip)) is not None:
                    self.numeric.add(name)
                    for option, value in given.items():
                        if not any(choice.option == option for choice in self.chosen):
                            self._add(option, value, f'"{name}" holds numbers such as {shown(str(cells[0]))}')
                    break

    @staticmethod
    def _read_as(cells: pa.Array, thousands: str | None, strip: str) -> dict[str, str] | None:
        if are_numbers(cells, ".", thousands, strip).fill_null(True).false_count:
            return None
        signs = "".join(sign for sign in strip if any(sign in str(cell) for cell in cells))
        return ({"thousands": thousands} if thousands else {}) | ({"strip": signs} if signs else {})

    def _check_target(self, item: Picture) -> None:
        """Raise DataError for a target that cannot be learned."""
        if item.kind == "time":
            raise DataError(f'the target "{item.name}" holds dates', hint="name a column of numbers or of classes")
        if (
            item.kind == "category"
            and (item.distinct is None or item.distinct > self.options.max_categories)
            and not item.is_mixed
        ):
            many = f"more than {MOST:,}" if item.distinct is None else f"{item.distinct:,}"
            raise DataError(
                f'the target "{item.name}" holds {many} different texts', hint="name a column of numbers or of few classes"
            )

    def _missing(self, used: Sequence[str]) -> None:
        """The median, the most frequent value, and a trace of them; a row without a target is left out."""
        words = {word for choice in self.chosen if choice.option == "na" for flag in choice.value for word in flag.split(",")}
        lacking = [self.pictures[name] for name in used if self._lacks(self.pictures[name], words)]
        numbers = [item for item in lacking if item.kind == "number" or item.name in self.numeric]
        others = [item for item in lacking if item not in numbers]
        if others:
            self._add("missing", ["mode"], _lack(others) + ": the most frequent value")
        if numbers:
            self._add("missing", ["median"], _lack(numbers) + ": the median")
        if lacking:
            self._add("indicator", True, "a channel tells where a value was missing")
        for name in self.targets:
            if self._lacks(self.pictures[name], words):
                self._add("missing", [f"{name}=drop"], f"{_lack([self.pictures[name]])}: these rows are left out")

    @staticmethod
    def _lacks(item: Picture, words: Collection[str]) -> bool:
        return bool(item.missing or item.infinite or (item.is_mixed and any(word.strip() in words for word in item.words)))


def _lack(items: Sequence[Picture]) -> str:
    """Such as `"age" lacks 177 values, and "fare" and 3 more columns do`."""
    first = items[0]
    more = [f'"{item.name}"' for item in items[1:4]] + ([f"{len(items) - 4} more"] if len(items) > 4 else [])
    values = f'"{first.name}" lacks {plural(first.missing, "value")}' if first.missing else f'"{first.name}" lacks values'
    return values + (f" ({', '.join(more)} too)" if more else "")


def _constant(item: Picture) -> str | None:
    """Why a column says nothing: one value in all rows, or in all but very few."""
    if item.missing or item.distinct is None or item.infinite:
        return None
    (value, most), *_ = sorted(item.values.counts.items(), key=lambda pair: -pair[1])
    if item.distinct == 1:
        return f"is {shown(str(value))} in every row"
    others = item.rows - most
    return f"is {shown(str(value))} in all rows but {others:,}" if others * RARE <= item.rows else None
