"""From numbers as a file holds them to the units of the raw data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tensorize.columns.fitted import Channelled, Fitted
from tensorize.core import registry
from tensorize.core.contracts import Array, Role
from tensorize.core.recipe import Recipe


@dataclass(frozen=True)
class Units:
    """What the steps of a recipe did to numbers, undone; those without a part stay as they are."""

    parts: tuple[Channelled, ...] = ()

    def original(self, values: Tensor) -> Tensor:
        """(row), (row, target) or (row, target, step) in the file's numbers → float64 in original units, on the CPU."""
        found = values.detach().cpu().double()
        if not self.parts:
            return found
        table = found.numpy().copy().reshape(len(found), -1, *found.shape[2:])
        for part in self.parts:
            table[:, part.start] = decoded(part, table[:, part.start])
        return torch.from_numpy(table).reshape(found.shape)


def units_of(recipe: Recipe, of: str | None = None) -> Units:
    """The units of a recipe's target; of the one called `of` where there are several."""
    return Units(tuple(part for part in channels(recipe, "target", of) if not part.transform.identity))


def channels(recipe: Recipe, role: Role, of: str | None = None) -> tuple[Channelled, ...]:
    """The numbers among the inputs or targets that can be undone, each with its place among all channels of its role."""
    steps = [step for step in recipe.learned if step.role == role and of in (None, step.of)]
    if any(step.step not in registry.table("transforms") for step in steps):
        return ()
    fitted = Fitted(steps)
    parts = fitted.inputs if role == "input" else fitted.targets
    return tuple(part for part in parts if part.stop - part.start == 1 and part.transform.invertible)


def decoded(part: Channelled, values: Array) -> Array:
    """One channel, (row) or (row, step), in its original units, float64."""
    flat = part.transform.decode(values.reshape(-1, 1).astype(np.float64))
    return np.asarray(flat, dtype=np.float64).reshape(values.shape)
