"""The steps of one input's columns as modules: numbers, ids of a vocabulary, time stamps.

Each gives its channels (row, channel) float32 and its indicators of missing values (row, column) float32. What a recipe
refuses is NaN: nothing is invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from tensorize.columns.dates.text import to_times
from tensorize.columns.fitted import Channelled
from tensorize.core.errors import UsageError
from tensorize.train.export.ports import MISSING, UNSEEN, Port
from tensorize.transforms import Impute as FillNaN
from tensorize.transforms import ZScore as Scale
from tensorize.transforms.impute import Impute

NAT = torch.iinfo(torch.int64).min
"""The time stamp that is none, as in numpy."""
YEAR = 31_556_952_000_000
"""Microseconds of a mean year."""


def refused(mask: Tensor, channels: Tensor) -> Tensor:
    """NaN in the channels (row, channel) of the rows where `mask` (row) is true."""
    return torch.where(mask[:, None], torch.nan, channels)


class StepModule(nn.Module):
    """The module of one step over its cells; if `strict`, a value of none of its categories is refused."""

    def __init__(self, part: Channelled, unknown_is_zero: bool) -> None:
        """Raises UsageError if the step has no module."""
        super().__init__()
        module = part.transform.module()
        if module is None:
            raise _no_module(part)
        self.module = module
        self.strict = part.transform.categorical and not unknown_is_zero

    def forward(self, cells: Tensor) -> Tensor:
        """Cells (row) → (row, channel) float32."""
        found = self.module(cells[:, None]).reshape(cells.shape[0], -1).to(torch.float32)
        return refused(found.sum(dim=1) == 0, found) if self.strict else found


class NumberBlock(nn.Module):
    """All columns that hold numbers (row, column) float64: filled, then scaled in one go; one-hot and transforms by column."""

    flagged: Tensor
    scaled: Tensor

    def __init__(self, names: Sequence[str], parts: Sequence[Channelled], fills: Mapping[str, Impute], zero: bool) -> None:
        super().__init__()
        self.port = Port("numbers", "numbers", torch.float64, ("row", "column"), (len(names),), tuple(names))
        self.indicated = tuple(name for name, fill in fills.items() if fill.indicator)
        self.register_buffer("flagged", _places(names, self.indicated), persistent=False)
        self.fill = FillNaN([float(fills[name].fill) if name in fills else torch.nan for name in names])
        scales = [(part, scale) for part in parts if (scale := part.transform.affine()) is not None]
        scaled = [part for part, _ in scales]
        others = [part for part in parts if part not in scaled]
        self.places = [place for part in (*scaled, *others) for place in range(part.start, part.stop)]
        self.register_buffer("scaled", _places(names, [part.column for part in scaled]), persistent=False)
        bounds = [scale for _, scale in scales]
        self.scale = Scale([offset for offset, _ in bounds], [width for _, width in bounds]) if bounds else None
        self._others = [names.index(part.column) for part in others]
        self._known = [part.transform.values() for part in others]
        self.others = nn.ModuleList(StepModule(part, zero) for part in others)

    def typical(self, rows: int, draws: torch.Generator) -> Tensor:
        """(row, column) float64 like the train rows: about the offsets, or categories; 0 to 1 where nothing was learned."""
        numbers = torch.rand(rows, len(self.port.labels), dtype=torch.float64, generator=draws)
        if self.scale is not None:
            numbers[:, self.scaled] = self.scale.inverse(numbers[:, self.scaled])
        for column, known in zip(self._others, self._known, strict=True):
            if known:
                values = torch.tensor([float(value) for value in known], dtype=torch.float64)
                numbers[:, column] = values[torch.randint(len(values), (rows,), generator=draws)]
        return numbers

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """(row, column) float64 → channels and indicators."""
        filled = self.fill(numbers)
        filled = torch.where(filled.isinf(), torch.nan, filled)
        found = [] if self.scale is None else [self.scale(filled.index_select(1, self.scaled)).to(torch.float32)]
        for column, module in zip(self._others, self.others, strict=True):
            cells = filled[:, column]
            found.append(refused(cells.isnan(), module(cells)))
        return torch.cat(found, dim=1), numbers.index_select(1, self.flagged).isnan().to(torch.float32)


def _places(names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    return torch.tensor([names.index(name) for name in wanted], dtype=torch.int64)


class CategoryBlock(nn.Module):
    """One column of text: ids (row) int64 in a vocabulary, `UNSEEN` for another value, `MISSING` for none."""

    own: Tensor
    """(part, id) int64: the position of each word among the values of each step; the last id is any other word."""

    def __init__(self, name: str, parts: Sequence[Channelled], fill: Impute | None, zero: bool) -> None:
        super().__init__()
        values = [_values(part) for part in parts]
        vocabulary = list(dict.fromkeys(value for each in values for value in each))
        self.port = Port(name, "category", torch.int64, ("row",), (), tuple(vocabulary))
        self.places = [place for part in parts for place in range(part.start, part.stop)]
        self.indicated = (name,) if fill is not None and fill.indicator else ()
        self._fill = None if fill is None else vocabulary.index(fill.fill) if fill.fill in vocabulary else UNSEEN
        own = [[each.index(word) if word in each else UNSEEN for word in vocabulary] + [UNSEEN] for each in values]
        self.register_buffer("own", torch.tensor(own, dtype=torch.int64), persistent=False)
        self.parts = nn.ModuleList(StepModule(part, zero) for part in parts)

    def typical(self, rows: int, draws: torch.Generator) -> Tensor:
        """Random ids of the vocabulary, (row) int64."""
        return torch.randint(max(1, len(self.port.labels)), (rows,), generator=draws)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(row) int64 → channels and indicators; an id out of range is refused, as is a missing one without a fill."""
        missing = ids == MISSING
        known = ids if self._fill is None else torch.where(missing, self._fill, ids)
        out_of_range = (known < UNSEEN) | (known >= len(self.port.labels))
        place = torch.where(out_of_range | (known == UNSEEN), len(self.port.labels), known)
        found = [part(own[place]) for part, own in zip(self.parts, self.own, strict=True)]
        channels = refused(out_of_range, torch.cat(found, dim=1))
        flags = missing[:, None].to(torch.float32)
        return channels, flags if self.indicated else flags[:, :0]


def _values(part: Channelled) -> tuple[Any, ...]:
    values = part.transform.values()
    if values is None:
        raise _no_module(part)
    return values


class TimeBlock(nn.Module):
    """One column of times: microseconds since 1970 (row) int64, `NAT` for none."""

    def __init__(self, name: str, parts: Sequence[Channelled], fill: Impute | None) -> None:
        super().__init__()
        self.port = Port(name, "time", torch.int64, ("row",))
        self.places = [place for part in parts for place in range(part.start, part.stop)]
        self.indicated = (name,) if fill is not None and fill.indicator else ()
        self._fill = None if fill is None else to_times(pa.array([str(fill.fill)]), name).cast(pa.int64())[0].as_py()
        self.parts = nn.ModuleList(StepModule(part, unknown_is_zero=False) for part in parts)

    def typical(self, rows: int, draws: torch.Generator) -> Tensor:
        """Random times of the 50 years from 1990 on, (row) int64 microseconds."""
        return torch.randint(20 * YEAR, 70 * YEAR, (rows,), generator=draws)

    def forward(self, stamps: Tensor) -> tuple[Tensor, Tensor]:
        """(row) int64 → channels and indicators."""
        missing = stamps == NAT
        channels = torch.cat([part(torch.where(missing, self._fill or 0, stamps)) for part in self.parts], dim=1)
        flags = missing[:, None].to(torch.float32)
        found = channels if self._fill is not None else refused(missing, channels)
        return found, flags if self.indicated else flags[:, :0]


def _no_module(part: Channelled) -> UsageError:
    return UsageError(
        f'the step "{part.transform.describe()}" of column "{part.column}" cannot go into a graph',
        hint="its transform has no module for such a column: see Transform.module",
    )
