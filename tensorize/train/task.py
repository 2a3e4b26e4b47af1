"""What is to be predicted, told from the target: one of several classes, or numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Classes:
    """One of several classes; the model gives a score for each. `counts` are their train rows.

    `one_hot` tells how the target is stored: (row, class) float32, or (row) int64. `as_numbers` is for a loss that
    compares every output with a number: it gets the one-hot target.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    column: str = "class"
    one_hot: bool = False
    as_numbers: bool = False

    kind: ClassVar[str] = "classes"
    loss: ClassVar[str] = "CrossEntropyLoss"

    @property
    def outputs(self) -> int:
        return len(self.names)

    def ready(self, target: Tensor) -> Tensor:
        """The stored target as the loss takes it: (row) int64, or (row, class) float32."""
        return target if self.as_numbers else self.truth(target)

    def truth(self, target: Tensor) -> Tensor:
        """The stored target as a class index, (row) int64."""
        return target.argmax(dim=1) if self.one_hot else target

    def shaped(self, output: Tensor) -> Tensor:
        """(row, class) of any float type → float32, as the loss takes it."""
        return output.float()

    def read(self, output: Tensor) -> Tensor:
        """(row, class) → probabilities (row, class) float32."""
        return output.float().softmax(dim=1)

    @property
    def weights(self) -> Tensor:
        """(class) float32: rows / (classes × rows of the class), over the classes that train has; 0 for the others."""
        counts = torch.tensor(self.counts, dtype=torch.float64)
        there = counts > 0
        return torch.where(there, counts.sum() / (there.sum() * counts.clamp(min=1)), 0.0).float()

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        return {**asdict(self), "names": list(self.names), "counts": list(self.counts)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        return cls(**{**state, "names": tuple(state["names"]), "counts": tuple(state["counts"])})


@dataclass(frozen=True)
class Numbers:
    """Numbers of the shape `shape` for each row: () one, (target), or (target, step) for windows.

    `mean` and `std` are those of the train rows, one for each target; with `scaled` the model is trained on
    (target − mean) / std, and read back.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scaled: bool = True

    kind: ClassVar[str] = "numbers"
    loss: ClassVar[str] = "MSELoss"

    @property
    def outputs(self) -> int:
        return math.prod(self.shape)

    def ready(self, target: Tensor) -> Tensor:
        """The stored target (row, …) as the loss takes it: float32, scaled."""
        if not self.scaled:
            return target
        mean, std = self._moments(target)
        return ((target - mean) / std).float()

    def truth(self, target: Tensor) -> Tensor:
        """The target as it is stored."""
        return target

    def shaped(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) of the target's shape, float32."""
        return output.float().reshape(-1, *self.shape)

    def read(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) float32 in the file's numbers."""
        shaped = self.shaped(output)
        if not self.scaled:
            return shaped
        mean, std = self._moments(shaped)
        return (shaped * std + mean).float()

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and std that broadcast over (row, …): float64, float32 on devices that have nothing wider."""
        dtype = torch.float32 if values.device.type == "mps" else torch.float64
        shape = (len(self.mean), *(1 for _ in self.shape[1:])) if self.shape else ()
        mean, std = (torch.tensor(part, dtype=dtype, device=values.device).reshape(shape) for part in (self.mean, self.std))
        return mean, std

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        lists = {key: tuple(value) for key, value in state.items() if key != "scaled"}
        return cls(**lists, scaled=bool(state["scaled"]))


Task = Classes | Numbers
TASKS: Mapping[str, type[Classes] | type[Numbers]] = {"classes": Classes, "numbers": Numbers}
