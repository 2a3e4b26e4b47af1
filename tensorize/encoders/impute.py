"""A value for what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import FiniteFloat, StrictBool, StrictInt, StrictStr

from tensorize.core.contracts import Floats
from tensorize.core.errors import DataError, RecipeError, UsageError
from tensorize.encoders.base import Encoder, floats
from tensorize.statistics.categories import Categories
from tensorize.statistics.moments import Moments
from tensorize.statistics.quantiles import Quantiles

_NUMBERS = ("int64", "float64")


class Impute(Encoder):
    """`fill` stands for every missing value; with `indicator` a channel tells where that was.

    Unlike the other encoders it takes a column with nulls.

    >>> Impute(fill=2.5).fill_nulls(pa.array([1, None])).to_pylist()
    [1.0, 2.5]
    """

    kinds = frozenset({"number", "category", "bool"})
    params: ClassVar[tuple[str, ...]] = ("policy", "indicator")
    invertible = False

    fill: StrictBool | StrictInt | FiniteFloat | StrictStr
    indicator: bool = False

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Moments | Quantiles | Categories | None:
        statistics = {"mean": Moments, "median": Quantiles, "mode": Categories}
        wanted = statistics.get(params.get("policy", ""))
        return wanted() if wanted else None

    @classmethod
    def observe_as(cls, column: pa.Array, policy: str) -> Any:
        """A column (row) without nulls as the policy's statistic takes it."""
        return column if policy == "mode" else floats(column)

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        """`policy` is mean, median, mode or a value; `kind` is the storage of the column (int64, float64, string, bool)."""
        cls.check(params)
        policy, storage = params["policy"], params["kind"]
        indicator = params.get("indicator") == "true"
        if policy in ("mean", "median"):
            if storage not in _NUMBERS:
                raise UsageError(
                    f"there is no {policy} of a column that holds no numbers", hint="say mode, or the value itself"
                )
            cls._need(statistic, policy)
            return cls(fill=statistic.mean if policy == "mean" else statistic.median, indicator=indicator)
        if policy == "mode":
            if not statistic.counts:
                raise DataError(
                    "there is no mode: the column has no value in train", hint="say --drop COL, or give the value itself"
                )
            return cls(fill=statistic.mode, indicator=indicator)
        return cls(fill=constant(policy, storage), indicator=indicator)

    @staticmethod
    def _need(statistic: Any, policy: str) -> None:
        empty = statistic.count == 0 if isinstance(statistic, Moments) else statistic.median != statistic.median
        if empty:
            raise DataError(
                f"there is no {policy}: the column has no value in train", hint="say --drop COL, or give the value itself"
            )

    def fill_nulls(self, column: pa.Array) -> pa.Array:
        """A column (row) with the fill in every missing place; integers become float64 where the fill is no integer."""
        if isinstance(self.fill, float) and pa.types.is_integer(column.type):
            column = pc.cast(column, pa.float64())
        try:
            fill = pa.scalar(self.fill, column.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            raise RecipeError(f"the fill {self.fill!r} does not fit a column of the type {column.type}") from None
        return pc.fill_null(column, fill)

    def missing(self, column: pa.Array) -> Floats:
        """(row) float64: 1 where the value is missing, else 0."""
        return floats(pc.is_null(column))

    def encode(self, column: pa.Array) -> Floats:
        filled = floats(self.fill_nulls(column))[:, None]
        if not self.indicator:
            return filled
        return np.concatenate([filled, self.missing(column)[:, None]], axis=1)

    def channels(self, column: str) -> tuple[str, ...]:
        return (column, f"{column} is missing") if self.indicator else (column,)


def constant(text: str, storage: str) -> bool | int | float | str:
    """The value that a flag gives, in the type of the column. Raises UsageError where it does not fit."""
    try:
        if storage == "int64":
            return int(text) if text.lstrip("+-").isdecimal() else _finite(text)
        if storage == "float64":
            return _finite(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number, and the column holds numbers") from None
    if storage == "bool":
        if text.lower() not in ("true", "false", "0", "1"):
            raise UsageError(f"{text!r} is neither true nor false")
        return text.lower() in ("true", "1")
    return text


def _finite(text: str) -> float:
    """Raises ValueError for NaN and infinity, too: neither can stand for a missing value."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
