"""Min-max scaling: (x − min) / (max − min)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from pydantic import FiniteFloat

from tensorize.core.contracts import Array, Floats, Json
from tensorize.statistics.extremes import Extremes
from tensorize.transforms.base import NUMERIC, Transform, floats, lazy

if TYPE_CHECKING:
    from torch import nn

    from tensorize.transforms.module import Scale


class MinMax(Transform):
    """(x − min) / (max − min), in float64; not clipped. A constant column divides by 1.

    >>> MinMax(minimum=0.0, maximum=10.0).encode(pa.array([5.0, 20.0])).tolist()
    [[0.5], [2.0]]
    """

    kinds = NUMERIC

    minimum: FiniteFloat
    maximum: FiniteFloat

    @property
    def _width(self) -> float:
        return (self.maximum - self.minimum) or 1.0

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Extremes:
        """Return what to gather over the train values."""
        cls.check(params)
        return Extremes()

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """The extremes of the train values; 0 and 0 if there are none."""
        del params
        if not found.count:
            return cls(minimum=0.0, maximum=0.0)
        return cls(minimum=found.minimum, maximum=found.maximum)

    def affine(self) -> tuple[float, float]:
        """Return (offset, width)."""
        return self.minimum, self._width

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""
        return ((floats(column) - self.minimum) / self._width)[:, None]

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the column (row)."""
        return pa.array(values[:, 0] * self._width + self.minimum)

    def remarks(self, column: str) -> Sequence[str]:
        """Return a warning if the column is constant."""
        return () if self.maximum > self.minimum else (f'"{column}" is constant in train: min-max makes it 0 there',)

    def describe(self) -> str:
        """Return the step in a word or two."""
        return "min-max"

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return module_class()(self.minimum, self.maximum)


@lazy("MinMax")
def module_class() -> type[Scale]:
    """`tensorize.transforms.MinMax`: (x − min) / (max − min) of each channel, for scripts and models.

    >>> import torch
    >>> from tensorize.transforms import MinMax
    >>> minmax = MinMax().fit(torch.tensor([0.0, 10.0]))
    >>> minmax(torch.tensor([5.0, 20.0]))
    tensor([0.5000, 2.0000])
    """
    from tensorize.transforms import module

    class _MinMax(module.Scale):
        """(x − min) / (max − min) of each channel. Values outside the range that was learned are not clipped."""

        def __init__(
            self, minimum: Sequence[float] | float | None = None, maximum: Sequence[float] | float | None = None
        ) -> None:
            super().__init__()
            low, self.maximum = module.per_channel(minimum), module.per_channel(maximum)
            self._hold(low, None if low is None or self.maximum is None else self.maximum - low)

        def state(self) -> dict[str, Json]:
            self._fitted(self.offset, self.maximum)
            assert self.offset is not None
            assert self.maximum is not None
            return {"minimum": self.offset.tolist(), "maximum": self.maximum.tolist()}

        @classmethod
        def statistic(cls, **params: str) -> Extremes:
            return MinMax.statistic(params)

        @classmethod
        def from_statistics(cls, found: Sequence[Any], **params: str) -> Self:
            learned = [MinMax.learn(item, params) for item in found]
            return cls([item.minimum for item in learned], [item.maximum for item in learned])

    return _MinMax
