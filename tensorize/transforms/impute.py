"""A value for what is missing: in a column, and in the place of NaN in tensors.

>>> import torch
>>> from tensorize.transforms import Impute
>>> x = torch.tensor([[1.0], [float("nan")], [3.0]])
>>> Impute(policy="mean", indicator=True).fit(x)(x)
tensor([[1., 0.],
        [2., 1.],
        [3., 0.]])
>>> Impute(0.0)(torch.tensor([float("nan")]))
tensor([0.])
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import FiniteFloat, StrictBool, StrictInt, StrictStr

from tensorize.core.contracts import Floats, Json, Statistic
from tensorize.core.errors import DataError, RecipeError, UsageError
from tensorize.statistics.categories import Categories
from tensorize.statistics.moments import Moments
from tensorize.statistics.quantiles import Quantiles
from tensorize.transforms.base import NUMERIC, Transform, floats, lazy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tensorize.transforms.module import Module

POLICIES = ("mean", "median", "mode")
_NUMBERS = ("int64", "float64")


class Impute(Transform):
    """`fill` stands for every missing value; with `indicator` a channel tells where that was.

    Unlike the other transforms it takes a column with nulls.

    >>> Impute(fill=2.5).fill_nulls(pa.array([1, None])).to_pylist()
    [1.0, 2.5]
    """

    kinds = NUMERIC
    params: ClassVar[tuple[str, ...]] = ("policy", "indicator")
    example: ClassVar[Mapping[str, str]] = {"policy": "mode"}
    invertible = False

    fill: StrictBool | StrictInt | FiniteFloat | StrictStr
    indicator: bool = False

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Moments | Quantiles | Categories | None:
        """Return what to gather over the train values."""
        statistics = {"mean": Moments, "median": Quantiles, "mode": Categories}
        wanted = statistics.get(params.get("policy", ""))
        return wanted() if wanted else None

    @classmethod
    def observe_as(cls, column: pa.Array, policy: str) -> Any:
        """A column (row) without nulls as the policy's statistic takes it."""
        return column if policy == "mode" else floats(column)

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """`policy` is mean, median, mode or a value; `kind` is the storage of the column (int64, float64, string, bool)."""
        cls.check(params)
        policy, storage = params["policy"], params["kind"]
        indicator = params.get("indicator") == "true"
        if policy in ("mean", "median"):
            if storage not in _NUMBERS:
                raise UsageError(
                    f"there is no {policy} of a column that holds no numbers", hint="say mode, or the value itself"
                )
            cls._need(found, policy)
            return cls(fill=found.mean if policy == "mean" else found.median, indicator=indicator)
        if policy == "mode":
            if not found.counts:
                raise DataError(
                    "there is no mode: the column has no value in train", hint="say --drop COL, or give the value itself"
                )
            return cls(fill=found.mode, indicator=indicator)
        return cls(fill=typed_constant(policy, storage), indicator=indicator)

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
            fill = pa.scalar(self._as(column.type), column.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            raise RecipeError(f"the fill {self.fill!r} does not fit a column of the type {column.type}") from None
        return pc.fill_null(column, fill)

    def _as(self, wanted: pa.DataType) -> bool | int | float | str:
        """The fill; a 0 or 1 that was learned from booleans as numbers is one of them again."""
        return bool(self.fill) if pa.types.is_boolean(wanted) and self.fill in (0.0, 1.0) else self.fill

    def missing(self, column: pa.Array) -> Floats:
        """(row) float64: 1 where the value is missing, else 0."""
        return floats(pc.is_null(column))

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""
        filled = floats(self.fill_nulls(column))[:, None]
        if not self.indicator:
            return filled
        return np.concatenate([filled, self.missing(column)[:, None]], axis=1)

    def channels(self, column: str) -> tuple[str, ...]:
        """Return the names of the channels."""
        return (column, f"{column} is missing") if self.indicator else (column,)

    def module(self) -> nn.Module | None:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return None if isinstance(self.fill, str) else module_class()(float(self.fill), indicator=self.indicator)


def typed_constant(text: str, storage: str) -> bool | int | float | str:
    """The value that a flag gives, in the type of the column. Raises UsageError if it does not fit."""
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


@lazy("Impute")
def module_class() -> type[Module]:
    """`tensorize.transforms.Impute`: a value in the place of NaN, for scripts and models."""
    import torch

    from tensorize.transforms import module

    class _Impute(module.Module):
        """`fill` of each channel in the place of NaN; `policy` (mean, median or mode) says what `fit` learns.

        With `indicator`, (row, channel, …) gains as many channels again: 1 where the value was missing.
        """

        fill: Tensor | None

        def __init__(
            self, fill: Sequence[float] | float | None = None, *, policy: str = "median", indicator: bool = False
        ) -> None:
            super().__init__()
            if policy not in POLICIES:
                raise UsageError(f'there is no policy "{policy}"', hint="mean, median or mode; a constant is Impute(0.0)")
            self.policy, self.indicator = policy, indicator
            self.register_buffer("fill", module.per_channel(fill))

        def forward(self, x: Tensor) -> Tensor:
            """(row, channel, …) or (row) → the same shape, or twice the channels with `indicator`."""
            self._fitted(self.fill)
            assert self.fill is not None
            missing = x.isnan()
            filled = torch.where(missing, module.along_channels(self.fill, x).to(module.floating(x.dtype)), x)
            if not self.indicator:
                return filled
            shape = (-1, 1) if x.ndim == 1 else x.shape
            return torch.cat([filled.reshape(shape), missing.reshape(shape).to(filled.dtype)], dim=1)

        def channels(self, column: str) -> tuple[str, ...]:
            return (column, f"{column} is missing") if self.indicator else (column,)

        def state(self) -> dict[str, Json]:
            self._fitted(self.fill)
            assert self.fill is not None
            return {"fill": self.fill.tolist(), "policy": self.policy, "indicator": self.indicator}

        @classmethod
        def statistic(cls, *, policy: str = "median", **params: str) -> Statistic:
            return _statistic(policy)

        @classmethod
        def from_statistics(
            cls, found: Sequence[Any], *, policy: str = "median", indicator: str = "false", **params: str
        ) -> Self:
            return cls(_fills(found, policy), policy=policy, indicator=indicator == "true", **params)

        def parameters_given(self) -> dict[str, str]:
            return {"policy": self.policy, "indicator": str(self.indicator).lower()}

    return _Impute


def _statistic(policy: str) -> Statistic:
    found = Impute.statistic({"policy": policy})
    if found is None:
        raise UsageError(f'there is no policy "{policy}"', hint="mean, median or mode")
    return found


def _fills(found: Sequence[Any], policy: str) -> list[float]:
    """The fill of each channel. Raises UsageError for one without a value."""
    fills = [float(getattr(item, policy)) if _has_values(item) else math.nan for item in found]
    if any(map(math.isnan, fills)):
        raise UsageError(f"there is no {policy} of a channel without a value")
    return fills


def _has_values(statistic: Any) -> bool:
    if isinstance(statistic, Moments):
        return statistic.count > 0
    return not isinstance(statistic, Categories) or bool(statistic.counts)
