"""The columns of a recipe as a module: raw numbers, ids and times in, the channels of the prepared file out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from tensorize.columns.fitted import Fitted
from tensorize.core.recipe import Recipe
from tensorize.core.schema import Column
from tensorize.train.export.cells import CategoryBlock, NumberBlock, TimeBlock
from tensorize.train.export.ports import Port

Block = NumberBlock | CategoryBlock | TimeBlock


class Columns(nn.Module):
    """Raw columns of rows → channels (row, channel) float32, with the very bits of the prepared file.

    Takes one tensor for each of `ports`: `numbers` (row, column) float64, where NaN is a missing value, then one (row)
    int64 for each column of text: ids in its vocabulary, or microseconds since 1970. A graph can raise no error: a cell
    that the recipe refuses makes NaN of its channels, never a guess.
    """

    order: Tensor

    def __init__(self, recipe: Recipe) -> None:
        """Raises UsageError, with all columns at once, for steps that have no module."""
        super().__init__()
        fitted = Fitted(recipe.learned)
        unknown_is_zero = recipe.parsed_options().unseen == "unknown"
        self.blocks: nn.ModuleList = nn.ModuleList(
            _block(columns, fitted, unknown_is_zero) for columns in _grouped(recipe, fitted)
        )
        found = self._blocks
        self.ports: tuple[Port, ...] = tuple(block.port for block in found)
        self.channels = fitted.channels
        places = [place for block in found for place in block.places]
        first = len(places)
        places += [first + fitted.indicators.index(name) for block in found for name in block.indicated]
        self.register_buffer("order", torch.tensor(places).argsort(), persistent=False)

    def typical(self, rows: int, draws: torch.Generator) -> tuple[Tensor, ...]:
        """Random input like the train rows: a tensor (row, …) for each port."""
        return tuple(block.typical(rows, draws) for block in self._blocks)

    @property
    def _blocks(self) -> list[Block]:
        return list(self.blocks)  # type: ignore[arg-type]

    def forward(self, *given: Tensor) -> Tensor:
        """One tensor for each port → (row, channel) float32."""
        found = [block(values) for block, values in zip(self.blocks, given, strict=True)]
        channels = [values for values, _ in found] + [flags for _, flags in found]
        return torch.cat(channels, dim=1).index_select(1, self.order)


def _grouped(recipe: Recipe, fitted: Fitted) -> Iterator[tuple[Column, ...]]:
    """The columns of each port: all that hold numbers first, then each column of text by itself, in the order of the file."""
    needed = [column for column in recipe.schema.columns if column.name in fitted.columns]
    numbers = tuple(column for column in needed if column.storage != "string")
    if numbers:
        yield numbers
    yield from ((column,) for column in needed if column.storage == "string")


def _block(columns: Sequence[Column], fitted: Fitted, unknown_is_zero: bool) -> Block:
    parts = [part for part in fitted.inputs if part.column in {column.name for column in columns}]
    fills = {column.name: fitted.fills[column.name] for column in columns if column.name in fitted.fills}
    if columns[0].storage != "string":
        return NumberBlock([column.name for column in columns], parts, fills, unknown_is_zero)
    (column,) = columns
    if column.kind == "time":
        return TimeBlock(column.name, parts, fills.get(column.name))
    return CategoryBlock(column.name, parts, fills.get(column.name), unknown_is_zero)


class SeriesColumns(nn.Module):
    """`Columns` over every step of a series: `numbers` (row, column, step), the others (row, step) → (row, channel, step)."""

    def __init__(self, recipe: Recipe, length: int) -> None:
        super().__init__()
        self.columns = Columns(recipe)
        self.length = length
        self.ports = tuple(port.with_steps(length) for port in self.columns.ports)

    def typical(self, rows: int, draws: torch.Generator) -> tuple[Tensor, ...]:
        """Random input like the train rows: a tensor (row, …) for each port."""
        steps = [x.reshape(rows, self.length, *x.shape[1:]) for x in self.columns.typical(rows * self.length, draws)]
        return tuple(x.transpose(1, 2).contiguous() if x.ndim == 3 else x for x in steps)

    def forward(self, *given: Tensor) -> Tensor:
        """(row, …, step) for each port → (row, channel, step): each step is encoded as a row."""
        rows = [x.transpose(1, 2).reshape(-1, x.shape[1]) if x.ndim == 3 else x.reshape(-1) for x in given]
        channels: Tensor = self.columns(*rows)
        return channels.reshape(-1, self.length, channels.shape[1]).transpose(1, 2)
