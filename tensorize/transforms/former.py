"""Steps of older recipes, which hold a module of `tensorize.transforms` by its name and state: `--step MinMax:COL`.

Recipes with the steps ZScore, MinMax, OneHot, Ordinal and Impute are read and applied to the same bits for ever. Unlike
the steps of the lower-case names they work on torch tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import JsonValue

from tensorize.core.contracts import Array, Floats, Statistic
from tensorize.transforms.base import NUMERIC, Transform, floats

if TYPE_CHECKING:
    from torch import nn


class Former(Transform):
    """`state` are the keywords of the module `name`. Works on float64 on the CPU."""

    kinds = NUMERIC
    script: ClassVar[str] = ""

    name: str
    state: dict[str, JsonValue]

    @classmethod
    def _class(cls) -> Any:
        return getattr(import_module("tensorize.transforms"), cls.script)

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Statistic | None:
        """Return what to gather over the train values."""
        cls.check(params)
        found: Statistic | None = cls._class().statistic(**_own(params))
        return found

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """As the module is fitted to one channel."""
        cls.check(params)
        made = cls._class().from_statistics([found] if found is not None else [], **_own(params))
        return cls(name=cls.script, state=made.state())

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""
        import torch

        values = floats(column)[:, None]
        out = self.module()(torch.tensor(values)).numpy()
        return np.asarray(out.reshape(len(values), -1), dtype=np.float64)

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the column (row)."""
        import torch

        made: Any = self.module()
        return pa.array(made.inverse(torch.tensor(values)).numpy().reshape(-1))

    def channels(self, column: str) -> tuple[str, ...]:
        """Return the names of the channels."""
        made: Any = self.module()
        names: tuple[str, ...] = made.channels(column)
        return names

    def describe(self) -> str:
        """Return the step in a word or two."""
        return self.script

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        made: nn.Module = self._class()(**self.state)
        return made


class FormerZScore(Former):
    """`--step ZScore:COL`."""

    script = "ZScore"
    params: ClassVar[tuple[str, ...]] = ("ddof",)


class FormerMinMax(Former):
    """`--step MinMax:COL`."""

    script = "MinMax"


class FormerOneHot(Former):
    """`--step OneHot:COL`: ids from 0 on."""

    script = "OneHot"
    params: ClassVar[tuple[str, ...]] = ("dim",)


class FormerOrdinal(Former):
    """`--step Ordinal:COL:order=1<5<10`: numbers."""

    script = "Ordinal"
    params: ClassVar[tuple[str, ...]] = ("order",)


class FormerImpute(Former):
    """`--step Impute:COL`."""

    script = "Impute"
    params: ClassVar[tuple[str, ...]] = ("policy", "indicator")


_FORMER = (FormerZScore, FormerMinMax, FormerOneHot, FormerOrdinal, FormerImpute)
FORMER: Mapping[str, type[Former]] = {made.script: made for made in _FORMER}


def _own(params: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if key != "kind"}
