"""Pixels as a module: what the loader `images` does with those that have the right size already."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tensorize.core.recipe import Recipe
from tensorize.loaders.images.normalize import divisors
from tensorize.loaders.images.state import State
from tensorize.train.export.ports import Port
from tensorize.transforms import ZScore


class Pixels(nn.Module):
    """`pixels` (row, channel, height, width) uint8 (uint16 for 16-bit images) → normalised float32 of that shape.

    ((value / top) − mean) / std in float64, then the cast: the very bits of the prepared file.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        state = State.of(recipe.learned)
        shape = (len(state.normalize.mean), state.shape.height, state.shape.width)
        dtype = torch.uint8 if state.shape.bits == 8 else torch.uint16
        self.ports = (Port("pixels", "pixels", dtype, ("row", "channel", "height", "width"), shape),)
        self.top = (1 << state.shape.bits) - 1
        self.scale = ZScore(state.normalize.mean, divisors(state.normalize).tolist())

    def typical(self, rows: int, draws: torch.Generator) -> tuple[Tensor, ...]:
        """Random pixels (row, channel, height, width)."""
        port = self.ports[0]
        return (torch.randint(self.top + 1, (rows, *port.shape), generator=draws).to(port.dtype),)

    def forward(self, *given: Tensor) -> Tensor:
        """(row, channel, height, width) → the same shape, float32."""
        scaled: Tensor = self.scale(given[0].to(torch.float64) / self.top)
        return scaled.to(torch.float32)
