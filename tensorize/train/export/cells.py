"""The steps of one input's columns as modules: numbers, ids of a vocabulary, time stamps.

Each gives its channels (row, channel) float32 and its indicators of missing values (row, column) float32. What a recipe
refuses is NaN: nothing is invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import torch
from torch import Tensor, nn

from tensorize.columns.fitted import Channelled
from tensorize.columns.times import to_times
from tensorize.core.errors import UsageError
from tensorize.encoders.calendar import Calendar
from tensorize.encoders.impute import Impute
from tensorize.encoders.one_hot import OneHot
from tensorize.encoders.ordinal import Ordinal
from tensorize.encoders.scale import MinMax, Raw, ZScore
from tensorize.encoders.transform import Transformed
from tensorize.train.export.calendar import CalendarParts
from tensorize.train.export.ports import MISSING, UNSEEN, Port
from tensorize.train.units import affine
from tensorize.transforms import Impute as FillNaN
from tensorize.transforms import ZScore as Scale

NAT = torch.iinfo(torch.int64).min
"""The time stamp that is none, as in numpy."""
YEAR = 31_556_952_000_000
"""Microseconds of a mean year."""


def refused(mask: Tensor, channels: Tensor) -> Tensor:
    """NaN in the channels (row, channel) of the rows where `mask` (row) is true."""
    return torch.where(mask[:, None], torch.nan, channels)


class Match(nn.Module):
    """Which of `values` a cell is, as a one-hot block or, if `ranked`, as the place; without a place all zero or refused."""

    values: Tensor

    def __init__(self, values: Tensor, *, strict: bool, ranked: bool = False) -> None:
        super().__init__()
        self.register_buffer("values", values, persistent=False)
        self.strict, self.ranked = strict, ranked

    def forward(self, cells: Tensor) -> Tensor:
        """Cells (row) → (row, value) or (row, 1) float32."""
        hits = (cells[:, None] == self.values).to(torch.float32)
        block = hits
        if self.ranked:
            ranks = torch.arange(hits.shape[1], dtype=torch.float32, device=hits.device)
            block = (hits * ranks).sum(dim=1, keepdim=True)
        return refused(hits.sum(dim=1) == 0, block) if self.strict else block


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
        scaled = [part for part in parts if isinstance(part.encoder, ZScore | MinMax | Raw)]
        others = [part for part in parts if part not in scaled]
        self.places = [place for part in (*scaled, *others) for place in range(part.start, part.stop)]
        self.register_buffer("scaled", _places(names, [part.column for part in scaled]), persistent=False)
        bounds = [affine(part.encoder) for part in scaled]
        self.scale = Scale([offset for offset, _ in bounds], [width for _, width in bounds]) if scaled else None
        self._others = [names.index(part.column) for part in others]
        self.others = nn.ModuleList(_number_module(part, zero) for part in others)

    def typical(self, rows: int, draws: torch.Generator) -> Tensor:
        """Numbers like those that were learned from: about the offsets, and of the categories; 0 to 1 where nothing was."""
        numbers = torch.rand(rows, len(self.port.labels), dtype=torch.float64, generator=draws)
        if self.scale is not None:
            numbers[:, self.scaled] = self.scale.inverse(numbers[:, self.scaled])
        for column, module in zip(self._others, self.others, strict=True):
            if isinstance(module, Match) and len(module.values):
                numbers[:, column] = module.values[torch.randint(len(module.values), (rows,), generator=draws)]
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


class _Transformed(nn.Module):
    """A registered transform over one column."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, cells: Tensor) -> Tensor:
        """Cells (row) float64 → (row, channel) float32."""
        out: Tensor = self.transform(cells[:, None])
        return out.reshape(cells.shape[0], -1).to(torch.float32)


def _number_module(part: Channelled, zero: bool) -> nn.Module:
    if isinstance(part.encoder, OneHot):
        values = torch.tensor([float(value) for value in part.encoder.categories], dtype=torch.float64)
        return Match(values, strict=not zero)
    if isinstance(part.encoder, Transformed):
        return _Transformed(part.encoder.module)
    raise _no_module(part)


class CategoryBlock(nn.Module):
    """One column of text: ids (row) int64 in a vocabulary, `UNSEEN` for another value, `MISSING` for none."""

    def __init__(self, name: str, parts: Sequence[Channelled], fill: Impute | None, zero: bool) -> None:
        super().__init__()
        values = [_values(part) for part in parts]
        vocabulary = list(dict.fromkeys(value for each in values for value in each))
        self.port = Port(name, "category", torch.int64, ("row",), (), tuple(vocabulary))
        self.places = [place for part in parts for place in range(part.start, part.stop)]
        self.indicated = (name,) if fill is not None and fill.indicator else ()
        self._fill = None if fill is None else vocabulary.index(fill.fill) if fill.fill in vocabulary else UNSEEN
        self.parts = nn.ModuleList(
            Match(
                torch.tensor([vocabulary.index(value) for value in each], dtype=torch.int64),
                strict=not (zero and isinstance(part.encoder, OneHot)),
                ranked=isinstance(part.encoder, Ordinal),
            )
            for part, each in zip(parts, values, strict=True)
        )

    def typical(self, rows: int, draws: torch.Generator) -> Tensor:
        """Any ids of the vocabulary."""
        return torch.randint(max(1, len(self.port.labels)), (rows,), generator=draws)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(row) int64 → channels and indicators; an id out of range is refused, as is a missing one without a fill."""
        missing = ids == MISSING
        known = ids if self._fill is None else torch.where(missing, self._fill, ids)
        out_of_range = (known < UNSEEN) | (known >= len(self.port.labels))
        channels = refused(out_of_range, torch.cat([part(known) for part in self.parts], dim=1))
        flags = missing[:, None].to(torch.float32)
        return channels, flags if self.indicated else flags[:, :0]


def _values(part: Channelled) -> tuple[object, ...]:
    if isinstance(part.encoder, OneHot):
        return part.encoder.categories
    if isinstance(part.encoder, Ordinal):
        return part.encoder.order
    raise _no_module(part)


class TimeBlock(nn.Module):
    """One column of times: microseconds since 1970 (row) int64, `NAT` for none."""

    def __init__(self, name: str, parts: Sequence[Channelled], fill: Impute | None) -> None:
        super().__init__()
        self.port = Port(name, "time", torch.int64, ("row",))
        self.places = [place for part in parts for place in range(part.start, part.stop)]
        self.indicated = (name,) if fill is not None and fill.indicator else ()
        self._fill = None if fill is None else to_times(pa.array([str(fill.fill)]), name).cast(pa.int64())[0].as_py()
        self.parts = nn.ModuleList(CalendarParts(_parts(part)) for part in parts)

    def typical(self, rows: int, draws: torch.Generator) -> Tensor:
        """Any microsecond of the 50 years from 1990 on."""
        return torch.randint(20 * YEAR, 70 * YEAR, (rows,), generator=draws)

    def forward(self, stamps: Tensor) -> tuple[Tensor, Tensor]:
        """(row) int64 → channels and indicators."""
        missing = stamps == NAT
        channels = torch.cat([part(torch.where(missing, self._fill or 0, stamps)) for part in self.parts], dim=1)
        flags = missing[:, None].to(torch.float32)
        found = channels.to(torch.float32)
        return found if self._fill is not None else refused(missing, found), flags if self.indicated else flags[:, :0]


def _parts(part: Channelled) -> Sequence[str]:
    if isinstance(part.encoder, Calendar):
        return part.encoder.parts
    raise _no_module(part)


def _no_module(part: Channelled) -> UsageError:
    return UsageError(
        f'the step "{part.encoder.describe()}" of column "{part.column}" cannot go into a graph',
        hint="an encoder of a plug-in works on Arrow columns; write it as a transform (nn.Module), and it can",
    )
