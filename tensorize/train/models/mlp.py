"""A multi-layer perceptron."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class Mlp(nn.Sequential):
    """Linear layers with ReLU and dropout between them; inputs with more than one axis are flattened.

    >>> import torch
    >>> Mlp(inputs=(3, 8, 8), outputs=10, hidden=(32,))(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, inputs: Sequence[int], outputs: int, *, hidden: Sequence[int] = (128, 128), dropout: float = 0.0
    ) -> None:
        widths = [math.prod(inputs), *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        super().__init__(*layers, nn.Linear(widths[-1], outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(row, …) → (row, output)."""
        out: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return out
