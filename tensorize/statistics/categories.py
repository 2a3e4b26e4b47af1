"""Distinct values and how often each occurs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

Value = str | int | float | bool
MOST = 10_000_000
"""The default number of distinct values that are kept."""


@dataclass(frozen=True)
class Categories:
    """At most `limit` distinct values are kept; beyond that `overflowed` is True and counting stops.

    >>> found = Categories().update(pa.array(["b", "a", "b"]))
    >>> found.values, found.mode
    (('a', 'b'), 'b')
    """

    limit: int = MOST
    counts: Mapping[Value, int] = field(default_factory=dict)
    overflowed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no value was seen."""
        return not self.counts and not self.overflowed

    def fresh(self) -> Self:
        """No value yet, with the same limit."""
        return type(self)(self.limit)

    def update(self, block: pa.Array) -> Self:
        """Add a block (row) of strings, int64, float64 or bool, without nulls."""
        if self.overflowed or not len(block):
            return self
        found = pc.value_counts(block)
        values, counts = found.field("values").to_pylist(), found.field("counts").to_pylist()
        return self.merge(type(self)(self.limit, dict(zip(values, counts, strict=True))))

    def merge(self, other: Self) -> Self:
        """Counts of both; overflowed where they hold more than `limit` distinct values."""
        counts = dict(self.counts)
        for value, count in other.counts.items():
            counts[value] = counts.get(value, 0) + count
        if self.overflowed or other.overflowed or len(counts) > self.limit:
            return type(self)(self.limit, {}, overflowed=True)
        return type(self)(self.limit, counts)

    def again(self) -> None:
        """None: one pass is enough."""
        return

    @property
    def values(self) -> tuple[Value, ...]:
        """Sorted: numbers as numbers, strings by code point."""
        return tuple(sorted(self.counts))

    @property
    def mode(self) -> Value:
        """The most frequent value; the smallest of them where they tie."""
        return min(self.counts, key=lambda value: (-self.counts[value], value))

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON."""
        pairs = [[value, self.counts[value]] for value in self.values]
        return {"limit": self.limit, "counts": pairs, "overflowed": self.overflowed}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """The statistic with a state that `to_json` gave."""
        return cls(state["limit"], dict(state["counts"]), state["overflowed"])


def order_notes(classes: Sequence[Value]) -> Iterator[str]:
    """A note where the order of the names of classes is not that of the numbers in them: "10" comes before "2".

    >>> list(order_notes(("a1", "a10", "a2")))
    ['classes are in the order of their names, not of their numbers: label 1 is "a10"']
    >>> list(order_notes((1, 2, 10)))
    []
    """
    names = [name for name in classes if isinstance(name, str)]
    if len(names) < len(classes) or len({re.sub(r"\d+", "#", name) for name in names}) != 1:
        return
    numbers = [[int(digits) for digits in re.findall(r"\d+", name)] for name in names]
    at = next((row for row, wanted in enumerate(sorted(numbers)) if numbers[row] != wanted), None)
    if at is not None:
        yield f'classes are in the order of their names, not of their numbers: label {at} is "{names[at]}"'
