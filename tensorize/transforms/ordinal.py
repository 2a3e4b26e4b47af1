"""Values to their rank in a declared order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from tensorize.core.contracts import Json
from tensorize.core.errors import UsageError
from tensorize.statistics.categories import Categories
from tensorize.transforms.base import Transform, floating


class Ordinal(Transform):
    """0 for the first value of `order`, 1 for the next. `fit` takes the sorted values. Raises UsageError for other values.

    >>> ordinal = Ordinal([1.0, 5.0, 10.0])
    >>> ordinal(torch.tensor([10.0, 1.0])), ordinal.inverse(torch.tensor([2.0]))
    (tensor([2., 0.]), tensor([10.]))
    """

    invertible = True
    order: Tensor

    def __init__(self, order: Sequence[float] | str = ()) -> None:
        super().__init__()
        values = [float(part) for part in order.split("<")] if isinstance(order, str) else list(order)
        if len(set(values)) < len(values):
            raise UsageError("an order names each value once", hint="such as 1<5<10")
        self.register_buffer("order", torch.tensor(values, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Values of any shape → ranks of that shape, float32 where `x` is of integers."""
        if not self.order.numel():
            raise UsageError("this Ordinal knows no order yet", hint="Ordinal([1, 5, 10]), or Ordinal().fit(x)")
        ordered, places = self.order.sort()
        wanted = x.to(torch.float64)
        found = torch.searchsorted(ordered, wanted.contiguous()).clamp(max=ordered.numel() - 1)
        if not torch.compiler.is_compiling() and not bool((ordered[found] == wanted).all()):
            bad = wanted[ordered[found] != wanted].flatten()[:5].tolist()
            raise UsageError(f"values that are not in the order: {', '.join(map(str, bad))}")
        return places[found].to(floating(x.dtype))

    def inverse(self, x: Tensor) -> Tensor:
        """Ranks → values."""
        return self.order[x.long()].to(floating(x.dtype))

    def state(self) -> dict[str, Json]:
        return {"order": self.order.tolist()}

    @classmethod
    def statistic(cls, *, order: str = "", **params: str) -> Categories | None:
        return None if order else Categories()

    @classmethod
    def from_statistics(cls, found: Sequence[Any], *, order: str = "", **params: str) -> Self:
        return cls(order or sorted({value for item in found for value in item.values}), **params)
