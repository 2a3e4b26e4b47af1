"""The whole graph as one module: raw input, the recipe's preprocessing, the model, a prediction in original units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tensorize.columns.fitted import Channelled
from tensorize.core.contracts import traits_of
from tensorize.core.errors import UsageError
from tensorize.core.recipe import Recipe
from tensorize.train.export.columns import Columns, SeriesColumns
from tensorize.train.export.pixels import Pixels
from tensorize.train.metrics import units_of
from tensorize.train.parts import Shape
from tensorize.train.task import Classes, Numbers, One, Targets

if TYPE_CHECKING:
    from tensorize.train.checkpoint import Checkpoint

Preprocessing = Columns | SeriesColumns | Pixels


GRAPHS: Mapping[str, Callable[[Recipe, tuple[int, ...]], Preprocessing]] = {
    "columns": lambda recipe, inputs: Columns(recipe),
    "steps": lambda recipe, inputs: SeriesColumns(recipe, inputs[-1]),
    "pixels": lambda recipe, inputs: Pixels(recipe),
}
"""`graph` in the traits of a loader → its steps as a module, from the recipe and the shape of one row of the model's input."""


def preprocessing(recipe: Recipe, inputs: Shape) -> Preprocessing:
    """The recipe's steps as a module; `inputs` is the shape of one row of the model's input, without the row's axis.

    Raises UsageError for a kind of data, or a step, that has no module, and for several inputs.
    """
    name = traits_of(recipe.loader).graph
    if isinstance(inputs, Mapping) or name not in GRAPHS:
        raise UsageError(
            f"a model of {recipe.kind} cannot be exported: its preprocessing has no graph",
            hint="models of tables, series and images can, and those of loaders that derive from them",
        )
    return GRAPHS[name](recipe, inputs)


class Predictor(nn.Module):
    """Raw input → `probabilities` (row, class) float32, or `prediction` (row, …) float64 in the target's own units.

    A row with a cell that the recipe refuses (see `Columns`) is NaN throughout.
    """

    def __init__(self, checkpoint: Checkpoint, module: nn.Module | None = None) -> None:
        super().__init__()
        if isinstance(checkpoint.task, Targets):
            raise UsageError(f"a model of several targets ({', '.join(checkpoint.task.parts)}) cannot be exported")
        self.before = preprocessing(checkpoint.recipe, checkpoint.inputs)
        self.model = checkpoint.build(module)
        self.task: One = checkpoint.task
        self.after = OriginalUnits(checkpoint.recipe, checkpoint.task) if isinstance(checkpoint.task, Numbers) else None

    @property
    def output(self) -> str:
        """The name of what comes out."""
        return "probabilities" if isinstance(self.task, Classes) else "prediction"

    @property
    def unit(self) -> Tensor:
        """What a difference is measured in: 1 for probabilities, the standard deviation of each target for numbers."""
        if self.after is None or not isinstance(self.task, Numbers):
            return torch.ones(())
        return torch.tensor(self.task.std, dtype=torch.float64).reshape(self.after.width.shape) * self.after.width

    def forward(self, *given: Tensor) -> Tensor:
        """A tensor (row, …) for each port → the prediction (row, …)."""
        inputs = self.before(*given)
        prediction = self.task.read(self.model(inputs))
        if self.after is not None:
            prediction = self.after(prediction)
        bad = ~inputs.isfinite().flatten(1).all(dim=1)
        return torch.where(bad.reshape(-1, *(1 for _ in prediction.shape[1:])), torch.nan, prediction)


class OriginalUnits(nn.Module):
    """Numbers as the file has them → those of the raw data, if a flag scaled a target: (row, …) float64, as `Units` does."""

    offset: Tensor
    width: Tensor

    def __init__(self, recipe: Recipe, task: Numbers) -> None:
        """Raises UsageError for a step of a target without a module that has an inverse."""
        super().__init__()
        count = task.shape[0] if task.shape else 1
        offset, width = torch.zeros(count, dtype=torch.float64), torch.ones(count, dtype=torch.float64)
        others: dict[int, nn.Module] = {}
        for part in units_of(recipe).parts:
            scale = part.transform.affine()
            if scale is None:
                others[part.start] = _invertible(part)
            else:
                offset[part.start], width[part.start] = scale
        shape = (count, *(1 for _ in task.shape[1:])) if task.shape else ()
        self.register_buffer("offset", offset.reshape(shape), persistent=False)
        self.register_buffer("width", width.reshape(shape), persistent=False)
        self._places = list(others)
        self.others = nn.ModuleList(others.values())

    def forward(self, numbers: Tensor) -> Tensor:
        """(row), (row, target) or (row, target, step) float32 → the same shape, float64."""
        found = numbers.to(torch.float64) * self.width + self.offset
        if not self._places:
            return found
        targets = [found] if found.ndim == 1 else list(found.unbind(1))
        for place, module in zip(self._places, self.others, strict=True):
            targets[place] = _inverse(module, targets[place].reshape(-1, 1)).reshape(targets[place].shape)
        return targets[0] if found.ndim == 1 else torch.stack(targets, dim=1)


def _inverse(module: Any, channels: Tensor) -> Tensor:
    found: Tensor = module.inverse(channels)
    return found


def _invertible(part: Channelled) -> nn.Module:
    module = part.transform.module()
    if module is None or not hasattr(module, "inverse"):
        raise UsageError(f'the step "{part.transform.describe()}" of the target "{part.column}" cannot go into a graph')
    return module
