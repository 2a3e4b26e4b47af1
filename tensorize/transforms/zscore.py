"""z-score: (x − mean) / std."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa
from pydantic import Field, FiniteFloat

from tensorize.core.contracts import Array, Floats, Json
from tensorize.core.errors import DataError, UsageError
from tensorize.statistics.moments import Moments
from tensorize.transforms.base import NUMERIC, Transform, floats, lazy

if TYPE_CHECKING:
    from torch import nn

    from tensorize.transforms.module import Scale


class ZScore(Transform):
    """(x − mean) / std, in float64. A std of 0 (a constant column, a single row) divides by 1.

    >>> ZScore(mean=2.0, std=0.5).encode(pa.array([2.0, 3.0])).tolist()
    [[0.0], [2.0]]
    """

    kinds = NUMERIC
    params: ClassVar[tuple[str, ...]] = ("ddof",)

    mean: FiniteFloat
    std: FiniteFloat = Field(ge=0)

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Moments:
        """Return what to gather over the train values."""
        cls.check(params)
        return Moments()

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """`ddof` is subtracted from the count in the standard deviation: 1 sample, 0 population."""
        ddof = params.get("ddof", "1")
        if ddof not in ("0", "1"):
            raise UsageError(f"ddof={ddof}: it is 1 (sample) or 0 (population)")
        mean, std = found.mean, found.std(int(ddof))
        if not (math.isfinite(mean) and math.isfinite(std)):
            raise DataError(
                "there are numbers beyond 1e150: their spread is more than float64 can hold", hint="say --raw COL or --drop COL"
            )
        return cls(mean=mean, std=std)

    def affine(self) -> tuple[float, float]:
        """Return (offset, width)."""
        return self.mean, self.std or 1.0

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""
        return ((floats(column) - self.mean) / (self.std or 1.0))[:, None]

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the column (row)."""
        return pa.array(values[:, 0] * (self.std or 1.0) + self.mean)

    def remarks(self, column: str) -> Sequence[str]:
        """Return a warning if the column is constant."""
        return () if self.std else (f'"{column}" is constant in train: its z-score is 0 there',)

    def describe(self) -> str:
        """Return the step in a word or two."""
        return "z-score"

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return module_class()(self.mean, self.std)


@lazy("ZScore")
def module_class() -> type[Scale]:
    """`tensorize.transforms.ZScore`: (x − mean) / std of each channel, for scripts and models.

    >>> import torch
    >>> from tensorize.transforms import ZScore
    >>> x = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    >>> zscore = ZScore().fit(x)
    >>> zscore(x)
    tensor([[-0.7071,  0.0000],
            [ 0.7071,  0.0000]])
    >>> torch.equal(zscore.inverse(zscore(x)), x)
    True
    """
    from tensorize.transforms import module

    class _ZScore(module.Scale):
        """(x − mean) / std of each channel. `ddof` is subtracted from the count in the standard deviation."""

        def __init__(
            self, mean: Sequence[float] | float | None = None, std: Sequence[float] | float | None = None, *, ddof: int = 1
        ) -> None:
            super().__init__()
            if ddof not in (0, 1):
                raise UsageError(f"ddof={ddof}: it is 1 (sample) or 0 (population)")
            self.ddof = ddof
            self.std = module.per_channel(std)
            self._hold(module.per_channel(mean), self.std)

        def state(self) -> dict[str, Json]:
            self._fitted(self.offset, self.std)
            assert self.offset is not None
            assert self.std is not None
            return {"mean": self.offset.tolist(), "std": self.std.tolist(), "ddof": self.ddof}

        @classmethod
        def statistic(cls, **params: str) -> Moments:
            return ZScore.statistic(params)

        @classmethod
        def from_statistics(cls, found: Sequence[Any], *, ddof: str = "1", **params: str) -> Self:
            learned = [ZScore.learn(item, {"ddof": ddof}) for item in found]
            return cls([item.mean for item in learned], [item.std for item in learned], ddof=int(ddof), **params)

        def parameters_given(self) -> dict[str, str]:
            return {"ddof": str(self.ddof)}

    return _ZScore
