"""A value for what is missing (NaN), with an indicator on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from tensorize.core.contracts import Json, Statistic
from tensorize.core.errors import UsageError
from tensorize.statistics.categories import Categories
from tensorize.statistics.moments import Moments
from tensorize.statistics.quantiles import Quantiles
from tensorize.transforms.base import Transform, along_channels, floating, per_channel

POLICIES = ("mean", "median", "mode")


class Impute(Transform):
    """`fill` of each channel in the place of NaN; `policy` (mean, median or mode) says what `fit` learns.

    With `indicator`, (row, channel, …) gains as many channels again: 1 where the value was missing.

    >>> x = torch.tensor([[1.0], [float("nan")], [3.0]])
    >>> Impute(policy="mean", indicator=True).fit(x)(x)
    tensor([[1., 0.],
            [2., 1.],
            [3., 0.]])
    >>> Impute(0.0)(torch.tensor([float("nan")]))
    tensor([0.])
    """

    fill: Tensor | None

    def __init__(self, fill: Sequence[float] | float | None = None, *, policy: str = "median", indicator: bool = False) -> None:
        super().__init__()
        if policy not in POLICIES:
            raise UsageError(f'there is no policy "{policy}"', hint="mean, median or mode; a constant is Impute(0.0)")
        self.policy, self.indicator = policy, indicator
        self.register_buffer("fill", per_channel(fill))

    def forward(self, x: Tensor) -> Tensor:
        """(row, channel, …) or (row) → the same shape, or twice the channels with `indicator`."""
        self._fitted(self.fill)
        assert self.fill is not None
        missing = x.isnan()
        filled = torch.where(missing, along_channels(self.fill, x).to(floating(x.dtype)), x)
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
        made: dict[str, Statistic] = {"mean": Moments(), "median": Quantiles(), "mode": Categories()}
        if policy not in made:
            raise UsageError(f'there is no policy "{policy}"', hint="mean, median or mode")
        return made[policy]

    @classmethod
    def from_statistics(cls, found: Sequence[Any], *, policy: str = "median", indicator: str = "false", **params: str) -> Self:
        fills = [float(getattr(item, policy)) if _has_values(item) else float("nan") for item in found]
        if any(fill != fill for fill in fills):  # noqa: PLR0124 - NaN is not equal to itself
            raise UsageError(f"there is no {policy} of a channel without a value")
        return cls(fills, policy=policy, indicator=indicator == "true", **params)

    def parameters_given(self) -> dict[str, str]:
        return {"policy": self.policy, "indicator": str(self.indicator).lower()}


def _has_values(statistic: Any) -> bool:
    if isinstance(statistic, Moments):
        return statistic.count > 0
    return not isinstance(statistic, Categories) or bool(statistic.counts)
