"""Ranks in an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from tensorize.core.contracts import Array, Floats, Json, Mask
from tensorize.core.errors import UsageError
from tensorize.statistics.categories import Categories
from tensorize.transforms.base import UNSEEN, Transform, lazy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tensorize.transforms.module import Module


class Ordinal(Transform):
    """0 for the lowest, 1 for the next. Declared, never learned.

    >>> Ordinal(order=("bad", "ok", "good")).encode(pa.array(["good", "bad"])).tolist()
    [[2.0], [0.0]]
    """

    kinds = frozenset({"category"})
    params: ClassVar[tuple[str, ...]] = ("order",)
    example: ClassVar[Mapping[str, str]] = {"order": "c<a<b"}

    order: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("order")
    @classmethod
    def _distinct(cls, order: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(order)) < len(order):
            raise ValueError("a value stands twice in the order")
        return order

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """Build the transform from the finished statistic and the parameters."""
        del found
        cls.check(params)
        order = tuple(part.strip() for part in params.get("order", "").split("<"))
        if len(order) < 2 or len(set(order)) < len(order):
            raise UsageError(
                f"an order is wanted, got {params.get('order', '')!r}", hint="write it as --ordinal 'COL:bad<ok<good'"
            )
        return cls(order=order)

    def _ranks(self, column: pa.Array) -> Floats:
        """(row) float64, −1 if a value is not in the order."""
        found = pc.fill_null(pc.index_in(column, value_set=pa.array(self.order)), -1)
        ranks: Floats = found.to_numpy(zero_copy_only=False).astype(np.float64)
        return ranks

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""
        return self._ranks(column)[:, None]

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the column (row)."""
        ranks = np.clip(np.rint(values[:, 0]), 0, len(self.order) - 1).astype(np.int64)
        return pa.array(self.order).take(pa.array(ranks))

    def values(self) -> tuple[str, ...]:
        """Return the values that the step knows, in order."""
        return self.order

    def invalid(self, column: pa.Array) -> tuple[Mask, str]:
        """Return which values (row) bool are not known, and why."""
        mask: Mask = self._ranks(column) < 0
        return mask, UNSEEN

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return rank_class()(len(self.order))


@lazy("Rank")
def rank_class() -> type[nn.Module]:
    """Ids to ranks: the step as a module, whose words are in the order already.

    >>> import torch
    >>> Ordinal(order=("bad", "good")).module()(torch.tensor([[1], [-1]])).tolist()
    [[1.0], [nan]]
    """
    import torch
    from torch import nn

    class _Rank(nn.Module):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.count = count

        def forward(self, ids: Tensor) -> Tensor:
            """(row, 1) int64 → (row, 1) float64, NaN for an id that is none."""
            return torch.where((ids >= 0) & (ids < self.count), ids.to(torch.float64), torch.nan)

        def inverse(self, ranks: Tensor) -> Tensor:
            """(row, 1) → ids (row, 1) int64, the nearest."""
            return ranks.round().clamp(0, self.count - 1).to(torch.int64)

    return _Rank


@lazy("Ordinal")
def module_class() -> type[Module]:
    """`tensorize.transforms.Ordinal`: numbers to their rank, for scripts and models.

    >>> import torch
    >>> from tensorize.transforms import Ordinal
    >>> ordinal = Ordinal([1.0, 5.0, 10.0])
    >>> ordinal(torch.tensor([10.0, 1.0])), ordinal.inverse(torch.tensor([2.0]))
    (tensor([2., 0.]), tensor([10.]))
    """
    import torch

    from tensorize.transforms.module import Module, floating

    class _Ordinal(Module):
        """0 for the first value of `order`, 1 for the next. `fit` takes the sorted values. Raises UsageError for others."""

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

    return _Ordinal
