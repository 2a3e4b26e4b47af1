"""What every encoder is: a frozen model whose fields are its learned state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from tensorize.core.contracts import Array, Floats, Mask, Statistic
from tensorize.core.errors import RecipeError, UsageError, near


class Encoder(BaseModel):
    """One column → channels. The fields are what was learned: a recipe holds exactly these keywords.

    `params` are the `key=value` pairs of a step, and `kind`, the kind of its column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    kinds: ClassVar[frozenset[str]] = frozenset({"number"})
    params: ClassVar[tuple[str, ...]] = ()
    invertible: ClassVar[bool] = True

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Statistic | None:
        """What to gather over the train values; None where there is nothing to learn."""
        del params
        return None

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        """Build from a finished statistic. Raises UsageError for a parameter that does not exist."""
        raise NotImplementedError(f"{cls.__name__} does not say how it learns")  # a transform has a Learner for it

    @classmethod
    def check(cls, params: Mapping[str, str]) -> None:
        """Raise UsageError for an unknown parameter."""
        known = (*cls.params, "kind")
        for name in params:
            if name not in known:
                hint = "parameters: " + (", ".join(cls.params) or "none")
                raise UsageError(f'{cls.__name__} has no parameter "{name}"{near(name, cls.params)}', hint=hint)

    @classmethod
    def observe(cls, column: pa.Array) -> Any:
        """A column (row) without nulls, as the statistic takes it: float64, where nothing else is said."""
        return floats(column)

    @abstractmethod
    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls → (row, channel) float64."""

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → a column (row). Raises UsageError where there is no way back."""
        raise UsageError(f"{self.describe()} cannot be undone")

    def channels(self, column: str) -> tuple[str, ...]:
        """The names of the channels that a column becomes."""
        return (column,)

    def unseen(self, column: pa.Array) -> Mask | None:
        """(row) bool: values that have no place here; None where every value has one."""
        del column
        return None

    def remarks(self, column: str) -> Sequence[str]:
        """Warnings about what was learned."""
        del column
        return ()

    def describe(self) -> str:
        """The step in a word or two, for the summary."""
        return type(self).__name__.lower()


def floats(column: pa.Array) -> Floats:
    """A column (row) of numbers or booleans without nulls → (row) float64, contiguous."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise RecipeError(f"a step over numbers meets a column of the type {column.type}")
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.uint8())
    return np.ascontiguousarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
