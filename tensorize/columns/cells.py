"""Faulty cells of a table: gathered over all blocks, then told all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tensorize.columns.rows import RowBlock
from tensorize.core.contracts import Array, Mask
from tensorize.core.errors import SHOWN, DataError, plural, shown, some
from tensorize.core.schema import Schema
from tensorize.transforms.base import UNSEEN


class FaultyCells:
    """How many faulty cells there are in each column, and the first few of them as (source row, column, value)."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: list[tuple[int, str, str]] = []
        self.why: dict[str, str] = {}
        """Column → what is wrong with its cells, where that is not the same for all."""

    def merge(self, other: FaultyCells) -> Self:
        """Add what was found in the blocks that follow."""
        self.counts.update(other.counts)
        self.why.update(other.why)
        self.first = sorted([*self.first, *other.first])[:SHOWN]
        return self

    def look(self, block: RowBlock, kept: Mask, column: str, is_faulty: Callable[[pa.Array], Any]) -> None:
        """Add the kept cells of a column of which `is_faulty(column)`, (row) bool, is true."""
        values = block.batch.column(column)
        faulty = is_faulty(values)
        if faulty.true_count:
            at = np.flatnonzero(faulty.fill_null(False).to_numpy(zero_copy_only=False) & kept)
            self.add(column, at + block.start, values.take(pa.array(at[:SHOWN])).to_pylist(), len(at))

    def add(self, column: str, rows: Array, values: Sequence[Any], count: int, why: str = "") -> None:
        """Add `count` cells, of which the first few are given: their source rows (row) int64, and values."""
        if not count:
            return
        self.counts[column] += count
        self.why |= {column: why} if why else {}
        said = ["(empty)" if value is None else str(value) for value in values[:SHOWN]]
        found = [(int(row), column, value) for row, value in zip(rows[:SHOWN], said, strict=True)]
        self.first = sorted([*self.first, *found])[:SHOWN]

    @property
    def total(self) -> int:
        """How many faulty cells there are."""
        return sum(self.counts.values())

    def lines(self, places: Sequence[str]) -> list[str]:
        """What a message lists: the first cells, and the count of each column."""
        cells = [f"{place}  {column}  {value}" for place, (_, column, value) in zip(places, self.first, strict=True)]
        each = ", ".join(f"{name} {count:,}" for name, count in self.counts.most_common())
        return [*some(cells, self.total), f"in: {each}"]


def missing_error(cells: FaultyCells, places: Sequence[str], schema: Schema, targets: Sequence[str], learns: bool) -> DataError:
    """The error for missing values that no policy covers; `learns` is False where there can be no mean."""
    inputs = [name for name in cells.counts if name not in targets]
    if not learns:
        hint = "say what to do: --missing drop" + (f', or a value such as --missing "{inputs[0]}=VALUE"' if inputs else "")
    else:
        dates = [name for name in inputs if schema[name].kind == "time"]
        words = [name for name in inputs if schema[name].kind == "category"]
        hints = [f"a target is not filled: {_each(targets, cells, 'drop')}"] if set(cells.counts) & set(targets) else []
        hints += [f"a date has no mean: {_each(dates, cells, 'mode')}, or drop"] if dates else []
        if set(inputs) - set(dates):
            hints.append("say what to do: --missing drop | mean | median | mode | VALUE (with --indicator to keep a trace)")
            hints += [f'for one column: --missing "{words[0]}=mode"'] if words else []
        hint = "; ".join(hints)
    fix = fills(list(cells.counts), schema, targets) if learns else None
    return DataError(f"{plural(cells.total, 'value is', 'values are')} missing", cells.lines(places), hint, fix)


def fills(lacking: Sequence[str], schema: Schema, targets: Sequence[str]) -> dict[str, Any]:
    """What most people would do about missing values: the median, the most frequent value, and a trace; no target is filled."""
    inputs = [name for name in lacking if name not in targets]
    numbers = [name for name in inputs if schema[name].kind == "number"]
    flags = [*(["mode"] if len(numbers) < len(inputs) else []), *(["median"] if numbers else [])]
    flags += [f"{name}=drop" for name in targets if name in lacking]
    return {"missing": flags, **({"indicator": True} if inputs else {})}


def _each(names: Sequence[str], cells: FaultyCells, policy: str) -> str:
    """The flags that give a policy to each of some columns that lack values."""
    return " ".join(f'--missing "{name}={policy}"' for name in names if name in cells.counts)


def endless_error(cells: FaultyCells, places: Sequence[str]) -> DataError:
    """The error for numbers that are infinite, or too large for float64."""
    hint = "say that infinite means missing: --na inf, with --missing drop | mean | median; or drop the column"
    return DataError(f"{plural(cells.total, 'number is', 'numbers are')} infinite", cells.lines(places), hint, {"na": ["inf"]})


def unseen_error(cells: FaultyCells, places: Sequence[str], targets: Sequence[str], fixed: Sequence[str]) -> DataError:
    """The error for categories that are not in the recipe; `fixed` are columns with a step other than one-hot."""
    what = f"{plural(cells.total, 'value is a category', 'values are categories')} that train has not"
    hint = "say --unseen unknown for an all-zero block (id 0 with ids)"
    if set(cells.counts) <= set(fixed):
        hint = f'the step of "{next(iter(cells.counts))}" takes no other values, whatever --unseen says: leave the rows out'
    if any(name in cells.counts for name in targets):
        hint = "a target needs a class: leave the rows out with --where, or split with --stratify"
    return DataError(what, cells.lines(places), hint)


def unseen_notes(cells: FaultyCells, where: str) -> list[str]:
    """A note for each column with values that `--unseen unknown` lets pass; `where` is what they are now: `all zero`."""
    notes = []
    for name, count in cells.counts.items():
        values = [value for _, column, value in cells.first if column == name]
        said = ", ".join(shown(value) for value in dict.fromkeys(values))
        what = f'{plural(count, "value")} of "{name}" {"was" if count == 1 else "were"} not in train, now {where}'
        notes.append(f"{what}: {said}{', …' if count > len(values) else ''}" if said else what)
    return notes


def refused_error(cells: FaultyCells, places: Sequence[str], targets: Sequence[str], fixed: Sequence[str]) -> DataError:
    """The error for values that a transform refuses, each column's with its reason; `fixed` as in `unseen_error`."""
    if set(cells.why.values()) == {UNSEEN}:
        return unseen_error(cells, places, targets, fixed)
    reasons = [f'"{name}": a value {why}' for name, why in cells.why.items()]
    first = next(iter(cells.counts))
    return DataError(
        f"{plural(cells.total, 'value is', 'values are')} refused by the step of the column",
        [*cells.lines(places), *reasons],
        f'omit the rows with --where, or choose another step for "{first}" as the recipe is made',
    )
