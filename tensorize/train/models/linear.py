"""One linear layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn


class Linear(nn.Sequential):
    """Every input value times a weight, plus a bias: linear and logistic regression.

    >>> Linear(inputs=(11,), outputs=10)
    Linear(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=11, out_features=10, bias=True)
    )
    """

    few_steps: ClassVar[Mapping[str, Any]] = {"lr": 0.03}
    """Settings for few rows, where nothing else is said: a linear model takes large steps, and cannot learn too well."""

    def __init__(self, inputs: Sequence[int], outputs: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(math.prod(inputs), outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(row, …) → (row, output)."""
        out: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return out
