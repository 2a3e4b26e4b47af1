"""A registered transform as a step over a column: how a plug-in's `nn.Module` gets into a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pydantic import JsonValue

from tensorize.core import registry
from tensorize.core.contracts import Array, Floats, Statistic
from tensorize.encoders.base import Encoder, floats

if TYPE_CHECKING:
    from tensorize.transforms.base import Transform


class Transformed(Encoder):
    """`name` is the registered transform, `state` the keywords of its constructor. Works on float64 on the CPU."""

    kinds = frozenset({"number", "bool"})

    name: str
    state: dict[str, JsonValue]

    @cached_property
    def module(self) -> Transform:
        module: Transform = registry.load("transforms", self.name)(**self.state)
        return module

    @classmethod
    def of(cls, name: str) -> Learner:
        """The learner for the transform of this name."""
        return Learner(name)

    def encode(self, column: pa.Array) -> Floats:
        return self._run(floats(column)[:, None])

    def _run(self, values: Floats) -> Floats:
        import torch

        out: Any = self.module(torch.tensor(values)).numpy()
        return np.asarray(out.reshape(len(values), -1), dtype=np.float64)

    def decode(self, values: Array) -> pa.Array:
        import torch

        return pa.array(self.module.inverse(torch.tensor(values)).numpy().reshape(-1))

    def channels(self, column: str) -> tuple[str, ...]:
        return self.module.channels(column)

    def describe(self) -> str:
        return self.name


class Learner:
    """What `Encoder`'s class methods are to a built-in step, for a transform of a name."""

    kinds = Transformed.kinds

    def __init__(self, name: str) -> None:
        self._name = name
        self._class: type[Transform] = registry.load("transforms", name)

    def statistic(self, params: Mapping[str, str]) -> Statistic | None:
        found: Statistic | None = self._class.statistic(**_own(params))
        return found

    def observe(self, column: pa.Array) -> Floats:
        return floats(column)

    def learn(self, statistic: Any, params: Mapping[str, str]) -> Transformed:
        return Transformed(name=self._name, state=self._class.learned(statistic, **_own(params)).state())


def _own(params: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if key != "kind"}
