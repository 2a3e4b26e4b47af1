"""The columns of a recipe, ready to use: transforms built from learned state, and the channels they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
import pyarrow as pa

from tensorize.columns.cells import FaultyCells
from tensorize.columns.dates.text import to_times
from tensorize.core.contracts import Array, Learned
from tensorize.core.errors import SHOWN, RecipeError
from tensorize.transforms.base import Transform
from tensorize.transforms.impute import Impute
from tensorize.transforms.lookup import build


@dataclass(frozen=True)
class Channelled:
    """One transform over one column, and where its channels lie: `start:stop` of the channel axis."""

    column: str
    transform: Transform
    start: int
    stop: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the channels."""
        return self.transform.channels(self.column)

    def is_strict(self, unknown_is_zero: bool) -> bool:
        """Whether values that the transform refuses are errors: for categories, `--unseen unknown` makes them zeros."""
        return self.transform.may_refuse and not (unknown_is_zero and self.transform.categorical)


@dataclass(frozen=True)
class Fitted:
    """Everything learned, as transforms. The channels are the inputs in the order of the recipe, then the indicators."""

    learned: Sequence[Learned]

    @cached_property
    def inputs(self) -> tuple[Channelled, ...]:
        """The steps of the inputs, with their places among all input channels."""
        return _channelled([item for item in self.learned if item.role == "input"])

    @cached_property
    def targets(self) -> tuple[Channelled, ...]:
        """The steps of the targets, with their places among all target channels."""
        return _channelled([item for item in self.learned if item.role == "target"])

    @cached_property
    def fills(self) -> Mapping[str, Impute]:
        """Column → the value for what is missing."""
        return {item.of: cast(Impute, build(item.step, item.state)) for item in self.learned if item.step == "impute"}

    @cached_property
    def indicators(self) -> tuple[str, ...]:
        """The columns that have an indicator of missing values, in the order of the recipe."""
        return tuple(name for name, fill in self.fills.items() if fill.indicator)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The names of all channels."""
        return channel_names(self.inputs, [f"{name} is missing" for name in self.indicators])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the inputs need, each once."""
        return tuple(dict.fromkeys(part.column for part in self.inputs))

    def filled(self, batch: pa.RecordBatch, column: str) -> pa.Array:
        """One column (row) with its missing values filled, where the recipe says so; dates as time stamps."""
        if batch.schema.get_field_index(column) < 0:
            raise RecipeError(f'the recipe has a step for the column "{column}", and its schema no such column')
        values = batch.column(column)
        if values.null_count and column in self.fills:
            values = self.fills[column].fill_nulls(values)
        return values

    def encode(self, batch: pa.RecordBatch, out: Array, parts: Sequence[Channelled]) -> list[Channelled]:
        """Write the channels of `parts` into `out` (row, channel), which is zeroed.

        Return the parts with a value that the transform refuses: its channels stay zero.
        """
        refused: list[Channelled] = []
        for part in parts:
            values = ready(self.filled(batch, part.column), part)
            if part.transform.write(values, out[:, part.start : part.stop]):
                refused.append(part)
        return refused

    def indicate(self, batch: pa.RecordBatch, out: Array) -> None:
        """Write the indicators into the last channels of `out` (row, channel)."""
        first = out.shape[1] - len(self.indicators)
        for offset, name in enumerate(self.indicators):
            out[:, first + offset] = self.fills[name].missing(batch.column(name))


def channel_names(parts: Sequence[Channelled], more: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the channels of `parts`, then `more`. If two coincide, their columns are quoted: `"a"=x`, `"a=x"`."""
    named = [(part.column, name) for part in parts for name in part.names] + [("", name) for name in more]
    times = Counter(name for _, name in named)
    if len(times) == len(named):
        return tuple(name for _, name in named)
    quoted = [
        f'"{column}"{name.removeprefix(column)}' if times[name] > 1 and column and name.startswith(column) else name
        for column, name in named
    ]
    return tuple(name if name not in quoted[:at] else f"{name} ({at + 1})" for at, name in enumerate(quoted))


@dataclass
class Unseen:
    """Gathers the cells that a transform refuses."""

    cells: FaultyCells = field(default_factory=FaultyCells)

    def look(self, batch: pa.RecordBatch, rows: Array, fitted: Fitted, parts: Sequence[Channelled]) -> None:
        """Look at the kept rows of a block; `rows` (row) are their source rows."""
        for part in parts:
            values = fitted.filled(batch, part.column)
            found = part.transform.invalid(ready(values, part))
            if found is not None and found[0].any():
                at = np.flatnonzero(found[0])
                self.cells.add(part.column, rows[at], values.take(pa.array(at[:SHOWN])).to_pylist(), len(at), found[1])


def ready(values: pa.Array, part: Channelled) -> pa.Array:
    """A column (row) of the block as its transform takes it."""
    return ready_values(values, part.transform.kinds, part.column)


def ready_values(values: pa.Array, kinds: frozenset[str], column: str) -> pa.Array:
    """A column (row) with dates as time stamps, if its transform takes dates."""
    return to_times(values, column) if "time" in kinds and pa.types.is_string(values.type) else values


def _channelled(items: Sequence[Learned]) -> tuple[Channelled, ...]:
    parts: list[Channelled] = []
    at = 0
    for item in items:
        transform = build(item.step, item.state)
        width = len(transform.channels(item.of))
        parts.append(Channelled(item.of, transform, at, at + width))
        at += width
    return tuple(parts)
