"""Scaling of numbers: z-score, min-max, and none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import pyarrow as pa
from pydantic import Field, FiniteFloat

from tensorize.core.contracts import Array, Floats
from tensorize.core.errors import DataError, UsageError
from tensorize.encoders.base import Encoder, floats
from tensorize.statistics.extremes import Extremes
from tensorize.statistics.moments import Moments

NUMERIC = frozenset({"number", "bool"})


class ZScore(Encoder):
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
        cls.check(params)
        return Moments()

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        ddof = params.get("ddof", "1")
        if ddof not in ("0", "1"):
            raise UsageError(f"ddof={ddof}: it is 1 (sample) or 0 (population)")
        mean, std = statistic.mean, statistic.std(int(ddof))
        if not (math.isfinite(mean) and math.isfinite(std)):
            raise DataError(
                "there are numbers beyond 1e150: their spread is more than float64 can hold", hint="say --raw COL or --drop COL"
            )
        return cls(mean=mean, std=std)

    def encode(self, column: pa.Array) -> Floats:
        return ((floats(column) - self.mean) / (self.std or 1.0))[:, None]

    def decode(self, values: Array) -> pa.Array:
        return pa.array(values[:, 0] * (self.std or 1.0) + self.mean)

    def remarks(self, column: str) -> Sequence[str]:
        return () if self.std else (f'"{column}" is constant in train: its z-score is 0 there',)

    def describe(self) -> str:
        return "z-score"


class MinMax(Encoder):
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
        cls.check(params)
        return Extremes()

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        del params
        if not statistic.count:
            return cls(minimum=0.0, maximum=0.0)
        return cls(minimum=statistic.minimum, maximum=statistic.maximum)

    def encode(self, column: pa.Array) -> Floats:
        return ((floats(column) - self.minimum) / self._width)[:, None]

    def decode(self, values: Array) -> pa.Array:
        return pa.array(values[:, 0] * self._width + self.minimum)

    def remarks(self, column: str) -> Sequence[str]:
        return () if self.maximum > self.minimum else (f'"{column}" is constant in train: min-max makes it 0 there',)

    def describe(self) -> str:
        return "min-max"


class Raw(Encoder):
    """The number as it is; false and true are 0 and 1."""

    kinds = NUMERIC

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        del statistic
        cls.check(params)
        return cls()

    def encode(self, column: pa.Array) -> Floats:
        return floats(column)[:, None]

    def decode(self, values: Array) -> pa.Array:
        return pa.array(values[:, 0])
