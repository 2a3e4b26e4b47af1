"""Scaling: z-score and min-max, of each channel by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from tensorize.core.contracts import Json
from tensorize.core.errors import UsageError
from tensorize.statistics.extremes import Extremes
from tensorize.statistics.moments import Moments
from tensorize.transforms.base import Transform, along_channels, floating, per_channel


class _Scale(Transform):
    """(x − offset) / width, in float64, cast to the type of `x` at the end. A width of 0 divides by 1."""

    invertible = True
    offset: Tensor | None
    width: Tensor | None

    def _hold(self, offset: Tensor | None, width: Tensor | None) -> None:
        self.register_buffer("offset", offset)
        self.register_buffer("width", None if width is None else torch.where(width == 0, 1.0, width))

    def forward(self, x: Tensor) -> Tensor:
        """(row, channel, …) or (row) → the same shape; float32 where `x` is of integers. NaN stays NaN."""
        self._fitted(self.offset, self.width)
        assert self.offset is not None
        assert self.width is not None
        scaled = (x.to(torch.float64) - along_channels(self.offset, x)) / along_channels(self.width, x)
        return scaled.to(floating(x.dtype))

    def inverse(self, x: Tensor) -> Tensor:
        """Back to the original units, in the type of `x`."""
        self._fitted(self.offset, self.width)
        assert self.offset is not None
        assert self.width is not None
        return (x.to(torch.float64) * along_channels(self.width, x) + along_channels(self.offset, x)).to(floating(x.dtype))


class ZScore(_Scale):
    """(x − mean) / std of each channel. `ddof` is taken off the count in the standard deviation: 1 sample, 0 population.

    >>> x = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    >>> zscore = ZScore().fit(x)
    >>> zscore(x)
    tensor([[-0.7071,  0.0000],
            [ 0.7071,  0.0000]])
    >>> torch.equal(zscore.inverse(zscore(x)), x)
    True
    """

    def __init__(
        self, mean: Sequence[float] | float | None = None, std: Sequence[float] | float | None = None, *, ddof: int = 1
    ) -> None:
        super().__init__()
        if ddof not in (0, 1):
            raise UsageError(f"ddof={ddof}: it is 1 (sample) or 0 (population)")
        self.ddof = ddof
        self.std = per_channel(std)
        self._hold(per_channel(mean), self.std)

    def state(self) -> dict[str, Json]:
        self._fitted(self.offset, self.std)
        assert self.offset is not None
        assert self.std is not None
        return {"mean": self.offset.tolist(), "std": self.std.tolist(), "ddof": self.ddof}

    @classmethod
    def statistic(cls, **params: str) -> Moments:
        return Moments()

    @classmethod
    def from_statistics(cls, found: Sequence[Any], *, ddof: str = "1", **params: str) -> Self:
        if ddof not in ("0", "1"):
            raise UsageError(f"ddof={ddof}: it is 1 (sample) or 0 (population)")
        return cls([item.mean for item in found], [item.std(int(ddof)) for item in found], ddof=int(ddof), **params)

    def parameters_given(self) -> dict[str, str]:
        return {"ddof": str(self.ddof)}


class MinMax(_Scale):
    """(x − min) / (max − min) of each channel. Values outside the range that was learned are not clipped.

    >>> minmax = MinMax().fit(torch.tensor([0.0, 10.0]))
    >>> minmax(torch.tensor([5.0, 20.0]))
    tensor([0.5000, 2.0000])
    """

    def __init__(self, minimum: Sequence[float] | float | None = None, maximum: Sequence[float] | float | None = None) -> None:
        super().__init__()
        low, self.maximum = per_channel(minimum), per_channel(maximum)
        self._hold(low, None if low is None or self.maximum is None else self.maximum - low)

    def state(self) -> dict[str, Json]:
        self._fitted(self.offset, self.maximum)
        assert self.offset is not None
        assert self.maximum is not None
        return {"minimum": self.offset.tolist(), "maximum": self.maximum.tolist()}

    @classmethod
    def statistic(cls, **params: str) -> Extremes:
        return Extremes()

    @classmethod
    def from_statistics(cls, found: Sequence[Any], **params: str) -> Self:
        low, high = ([getattr(item, name) if item.count else 0.0 for item in found] for name in ("minimum", "maximum"))
        return cls(low, high, **params)
