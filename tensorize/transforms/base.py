"""The contract of a transform: one step over a column, frozen, whose fields are what it has learned. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from tensorize.core.contracts import Array, Floats, Mask, Statistic
from tensorize.core.errors import RecipeError, UsageError, near

if TYPE_CHECKING:
    from torch import nn

M = TypeVar("M")
NUMERIC = frozenset({"number", "bool"})
UNSEEN = "is a category that train has not"
"""Why a transform refuses a value that is none of its `values`."""


class Transform(BaseModel):
    """One step over one column. The fields are what was learned: a recipe holds exactly these keywords.

    Everything that the loaders, the trainer and the export need to know of a step is said here, so that a plug-in's step
    is used like a built-in one. `params` are the names of the parameters in `--step NAME:COL:key=value`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    kinds: ClassVar[frozenset[str]] = frozenset({"number"})
    """The kinds of columns that it takes: number, category, bool, time. None for a transform of whole tensors."""
    params: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[Mapping[str, str]] = {}
    """Parameters for a column of a, b, c or of 1, 2, 3, if it needs any: the contract tests use them."""
    invertible: ClassVar[bool] = True
    """Whether `decode` gives back what was encoded."""
    categorical: ClassVar[bool] = False
    """Whether the channels are the categories in `values()`, 1 in the channel of each value: see `ids`."""
    identity: ClassVar[bool] = False
    """Whether the channel is the number itself."""

    # what it learns ---------------------------------------------------------------------------------------------

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Statistic | None:
        """Return what to gather over the train values; None if there is nothing to learn."""
        del params
        return None

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """Build the transform from the finished statistic. If nothing is learned, its parameters are its fields.

        `params` also holds the kind of the column as `kind`. Raises UsageError for an unknown or an invalid parameter.
        """
        del found
        cls.check(params)
        try:
            return cls.model_validate({name: params[name] for name in cls.params if name in params})
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, item['loc'])) or cls.__name__}: {item['msg']}" for item in error.errors()]
            raise UsageError(f"a parameter of {cls.__name__} is wrong", lines) from None

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
        """Return a column (row) without nulls as the statistic takes it: by default (row) float64."""
        return floats(column)

    def remarks(self, column: str) -> Sequence[str]:
        """Return warnings about what was learned."""
        del column
        return ()

    # what it does -----------------------------------------------------------------------------------------------

    def encode(self, column: pa.Array) -> Floats:
        """A column (row) without nulls, and without values that `invalid` names → (row, channel) float64."""
        raise UsageError(f"{self.describe()} is a transform of tensors, not of a column")

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the column (row). Raises UsageError if there is no inverse."""
        raise UsageError(f"{self.describe()} cannot be undone")

    def invalid(self, column: pa.Array) -> tuple[Mask, str] | None:
        """Return which values (row) bool `encode` cannot take, and why, such as "is below 0"; None if it takes all."""
        del column
        return None

    def channels(self, column: str) -> tuple[str, ...]:
        """Return the names of the channels that a column becomes."""
        return (column,)

    def describe(self) -> str:
        """Return the step in a word or two, for the summary."""
        return type(self).__name__.lower()

    def module(self) -> nn.Module | None:
        """Return the same step as a module, for models and ONNX: a column (row, 1) → (row, channel); None if there is none.

        The module takes numbers as float64, times as int64 microseconds since 1970, and words as int64 positions in
        `values()`, where −1 stands for any other word. It cannot raise errors: what `invalid` names becomes NaN, or an
        all-zero block if the transform is categorical. A module with `inverse(channels)` serves for targets, too.
        """
        return None

    # what others ask --------------------------------------------------------------------------------------------

    def affine(self) -> tuple[float, float] | None:
        """Return (offset, width) if the step is (x − offset) / width."""
        return None

    def values(self) -> tuple[Any, ...] | None:
        """Return the values that the step knows, in order, if it knows them one by one."""
        return None

    def ids(self, column: pa.Array) -> npt.NDArray[np.int64]:
        """Return the position of each value (row) in `values()`, (row) int64; −1 for any other. For categorical steps."""
        raise UsageError(f"{self.describe()} has no categories")

    @property
    def may_refuse(self) -> bool:
        """Whether there are values that it cannot take."""
        return type(self).invalid is not Transform.invalid

    def write(self, column: pa.Array, out: Array) -> bool:
        """Write the channels into `out` (row, channel), which is zeroed; rows of invalid values stay zero.

        Return whether there were any.
        """
        found = self.invalid(column)
        if found is None or not found[0].any():
            out[...] = self.encode(column)
            return False
        valid = ~found[0]
        out[valid] = self.encode(column.filter(pa.array(valid)))
        return True


def floats(column: pa.Array) -> Floats:
    """A column (row) of numbers or booleans without nulls → (row) float64, contiguous."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise RecipeError(f"a step over numbers meets a column of the type {column.type}")
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.uint8())
    return np.ascontiguousarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def lazy(name: str) -> Callable[[Callable[[], type[M]]], Callable[[], type[M]]]:
    """Make a module class on first use, since it imports torch; `tensorize.transforms` has it under the name given."""

    def decorate(make: Callable[[], type[M]]) -> Callable[[], type[M]]:
        @cache
        @wraps(make)
        def made() -> type[M]:
            found = make()
            found.__module__, found.__name__, found.__qualname__ = "tensorize.transforms", name, name
            return found

        return made

    return decorate
