"""What is to be predicted, told from the target: one of several classes, or numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

INDEX_LOSSES = frozenset({"CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"})
"""Losses of torch.nn that want a class index; the others want a number for every output."""


@dataclass(frozen=True)
class Classes:
    """One of several classes; the model gives a score for each.

    `one_hot` tells how the target is stored: (row, class) float32, or (row) int64. `as_numbers` is for a loss that
    compares every output with a number: the target stays one-hot.
    """

    names: tuple[str, ...]
    column: str = "target"
    one_hot: bool = False
    as_numbers: bool = False

    kind: ClassVar[str] = "classes"
    loss: ClassVar[str] = "CrossEntropyLoss"

    @property
    def outputs(self) -> int:
        return len(self.names)

    def ready(self, target: Tensor) -> Tensor:
        """The target as the loss takes it: (row) int64, or (row, class) float32."""
        return self.truth(target) if not self.as_numbers else target

    def truth(self, target: Tensor) -> Tensor:
        """The target as the metrics take it: (row) int64, −1 for a row of no class."""
        if not self.one_hot:
            return target
        return torch.where(target.any(dim=1), target.argmax(dim=1), -1)

    def shaped(self, output: Tensor) -> Tensor:
        """The model's output as the loss takes it."""
        return output

    def read(self, output: Tensor) -> Tensor:
        """The model's output as probabilities (row, class)."""
        return output.float().softmax(dim=1)

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        return {"names": list(self.names), "column": self.column, "one_hot": self.one_hot, "as_numbers": self.as_numbers}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        return cls(**{**state, "names": tuple(state["names"])})


@dataclass(frozen=True)
class Numbers:
    """Numbers of the shape `shape` for each row: () one, (target), or (target, step) for windows.

    They are trained as (target − mean) / std of the train rows, each target its own, and read back.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    kind: ClassVar[str] = "numbers"
    loss: ClassVar[str] = "MSELoss"

    @property
    def outputs(self) -> int:
        return math.prod(self.shape)

    def ready(self, target: Tensor) -> Tensor:
        """(row, …) in the file's numbers → float32, standardised."""
        mean, std = self._moments(target)
        return ((target - mean) / std).float()

    def truth(self, target: Tensor) -> Tensor:
        """The target as the metrics take it: as it stands in the file."""
        return target

    def shaped(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) of the target's shape."""
        return output.reshape(len(output), *self.shape)

    def read(self, output: Tensor) -> Tensor:
        """(row, output) → (row, …) float32 in the file's numbers."""
        shaped = self.shaped(output).float()
        mean, std = self._moments(shaped)
        return (shaped * std + mean).float()

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and std as float64 that broadcast over (row, …); float32 on devices that have nothing wider."""
        dtype = torch.float32 if values.device.type == "mps" else torch.float64
        shape = (len(self.mean), *(1 for _ in self.shape[1:])) if self.shape else ()
        mean, std = (torch.tensor(part, dtype=dtype, device=values.device).reshape(shape) for part in (self.mean, self.std))
        return mean, std

    def to_json(self) -> dict[str, Any]:
        """The keywords of the constructor."""
        return {"names": list(self.names), "shape": list(self.shape), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        return cls(**{key: tuple(value) for key, value in state.items()})


Task = Classes | Numbers
TASKS: Mapping[str, type[Classes] | type[Numbers]] = {"classes": Classes, "numbers": Numbers}
