"""The columns of a recipe, ready to use: encoders built from learned state, and the channels they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from tensorize.columns.cells import Cells
from tensorize.columns.times import to_times
from tensorize.core import registry
from tensorize.core.contracts import Array, Learned
from tensorize.core.errors import SHOWN, RecipeError
from tensorize.encoders.base import Encoder
from tensorize.encoders.impute import Impute
from tensorize.encoders.one_hot import OneHot


@dataclass(frozen=True)
class Channelled:
    """One encoder over one column, and where its channels lie: `start:stop` of the channel axis."""

    column: str
    encoder: Encoder
    start: int
    stop: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the channels."""
        return self.encoder.channels(self.column)

    @property
    def may_be_unseen(self) -> bool:
        """Whether a value may have no place in the encoder: it overrides `Encoder.unseen`."""
        return type(self.encoder).unseen is not Encoder.unseen


@dataclass(frozen=True)
class Fitted:
    """Everything learned, as encoders. The channels are the inputs in the order of the recipe, then the indicators."""

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
        """The columns whose missing values leave a trace, in the order of the recipe."""
        return tuple(name for name, fill in self.fills.items() if fill.indicator)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The names of all channels."""
        return tuple(name for part in self.inputs for name in part.names) + tuple(
            f"{name} is missing" for name in self.indicators
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the inputs need, each once."""
        return tuple(dict.fromkeys(part.column for part in self.inputs))

    def filled(self, batch: pa.RecordBatch, column: str) -> pa.Array:
        """One column (row) with its missing values filled, where the recipe says so; dates as time stamps."""
        if column not in batch.schema.names:
            raise RecipeError(f'the recipe has a step for the column "{column}", and its schema no such column')
        values = batch.column(column)
        if values.null_count and column in self.fills:
            values = self.fills[column].fill_nulls(values)
        return values

    def encode(self, batch: pa.RecordBatch, out: Array, parts: Sequence[Channelled]) -> set[str]:
        """Write the channels of `parts` into `out` (row, channel), which is zeroed; unseen categories stay zero.

        Return the columns with an unseen category.
        """
        unseen: set[str] = set()
        for part in parts:
            values = ready(self.filled(batch, part.column), part)
            if isinstance(part.encoder, OneHot):
                ids = part.encoder.ids(values)
                rows = np.flatnonzero(ids >= 0)
                out[rows, part.start + ids[rows]] = 1
                some_unseen = len(rows) < len(ids)
            else:
                out[:, part.start : part.stop] = part.encoder.encode(values)
                mask = part.encoder.unseen(values)
                some_unseen = mask is not None and bool(mask.any())
            unseen |= {part.column} if some_unseen else set()
        return unseen

    def indicate(self, batch: pa.RecordBatch, out: Array) -> None:
        """Write the indicators into the last channels of `out` (row, channel)."""
        first = out.shape[1] - len(self.indicators)
        for offset, name in enumerate(self.indicators):
            out[:, first + offset] = self.fills[name].missing(batch.column(name))


@dataclass
class Unseen:
    """Gathers the cells that an encoder has no place for."""

    cells: Cells = field(default_factory=Cells)

    def look(self, batch: pa.RecordBatch, rows: Array, fitted: Fitted, parts: Sequence[Channelled]) -> None:
        """Look at the kept rows of a block; `rows` (row) are their source rows."""
        for part in parts:
            values = fitted.filled(batch, part.column)
            mask = part.encoder.unseen(ready(values, part))
            if mask is not None and mask.any():
                at = np.flatnonzero(mask)
                self.cells.add(part.column, rows[at], values.take(pa.array(at[:SHOWN])).to_pylist(), len(at))


def ready(values: pa.Array, part: Channelled) -> pa.Array:
    """A column as its encoder takes it."""
    return ready_values(values, part.encoder.kinds, part.column)


def ready_values(values: pa.Array, kinds: frozenset[str], column: str) -> pa.Array:
    """Dates as time stamps, for encoders of dates."""
    return to_times(values, column) if "time" in kinds and pa.types.is_string(values.type) else values


def build(step: str, state: Mapping[str, Any]) -> Encoder:
    """An encoder from its registered name and its state; a transform of that name is wrapped as one.

    Raises RecipeError for a state that is none.
    """
    from tensorize.encoders.transform import Transformed

    made: type[Encoder] = registry.load("encoders", step) if step in registry.table("encoders") else Transformed
    try:
        return made.model_validate(state)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise RecipeError(f'the recipe\'s step "{step}" is wrong', lines) from None


def _channelled(items: Sequence[Learned]) -> tuple[Channelled, ...]:
    parts: list[Channelled] = []
    at = 0
    for item in items:
        encoder = build(item.step, item.state)
        width = len(encoder.channels(item.of))
        parts.append(Channelled(item.of, encoder, at, at + width))
        at += width
    return tuple(parts)
