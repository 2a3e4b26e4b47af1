"""One channel for each category."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator

from tensorize.core.contracts import Array, Floats, Mask
from tensorize.core.errors import RecipeError, UsageError
from tensorize.encoders.base import Encoder
from tensorize.statistics.categories import MOST, Categories

Category = StrictBool | StrictInt | StrictFloat | StrictStr
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


class OneHot(Encoder):
    """The categories, sorted, or in the order that was declared. What is none of them has an all-zero block.

    Numbers match by value, so that 5 and 5.0 are the same category.

    >>> onehot = OneHot(categories=("a", "b"))
    >>> onehot.encode(pa.array(["b", "x"])).tolist(), onehot.ids(pa.array(["b", "x"])).tolist()
    ([[0.0, 1.0], [0.0, 0.0]], [1, -1])
    """

    kinds = frozenset({"number", "category", "bool"})
    params: ClassVar[tuple[str, ...]] = ("values", "max")

    categories: Annotated[tuple[Category, ...], Field(max_length=MOST)]

    @field_validator("categories")
    @classmethod
    def _of_one_sort(cls, found: tuple[Category, ...]) -> tuple[Category, ...]:
        sorts = {type(value) for value in found}
        if not (sorts <= {int, float} or len(sorts) == 1) or len(set(found)) < len(found):
            raise ValueError("categories are words, numbers or booleans, each once")
        if int in sorts and any(isinstance(value, int) and abs(value) >= 1 << 63 for value in found):
            raise ValueError("a category has more than 64 bits")
        return found

    @classmethod
    def statistic(cls, params: Mapping[str, str]) -> Categories | None:
        cls.check(params)
        if "values" in params:
            return None
        limit = params.get("max", str(MOST))
        if not limit.isdecimal():
            raise UsageError(f"max={limit}: it is the largest number of categories")
        return Categories(limit=int(limit))

    @classmethod
    def observe(cls, column: pa.Array) -> pa.Array:
        return column

    @classmethod
    def learn(cls, statistic: Any, params: Mapping[str, str]) -> Self:
        cls.check(params)
        if "values" in params:
            return cls(categories=declared(params["values"], params.get("kind", "category")))
        return cls(categories=statistic.values)

    @property
    def width(self) -> int:
        """The number of categories."""
        return len(self.categories)

    @cached_property
    def _values(self) -> pa.Array:
        """The categories as a column of one type."""
        if any(isinstance(value, float) for value in self.categories):
            return pa.array([float(value) for value in self.categories], pa.float64())
        return pa.array(self.categories) if self.categories else pa.array([], pa.string())

    def ids(self, column: pa.Array) -> npt.NDArray[np.int64]:
        """The position of each value (row) among the categories, (row) int64; −1 for one that is none."""
        values = self._values
        if column.type != values.type:
            column = _as_type(column, values.type)
        found = pc.index_in(column, value_set=values)
        if found.null_count:
            found = pc.fill_null(found, -1)
        places: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
        return places

    def encode(self, column: pa.Array) -> Floats:
        ids = self.ids(column)
        out = np.zeros((len(ids), self.width))
        rows = np.flatnonzero(ids >= 0)
        out[rows, ids[rows]] = 1
        return out

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the categories (row); null for an all-zero block."""
        none = ~values.any(axis=1)
        return self._values.take(pa.array(values.argmax(axis=1), mask=none))

    def channels(self, column: str) -> tuple[str, ...]:
        return tuple(f"{column}={value}" for value in self.categories)

    def unseen(self, column: pa.Array) -> Mask:
        mask: Mask = self.ids(column) < 0
        return mask

    def describe(self) -> str:
        return "one-hot"


def _as_type(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """A column in the type of the categories; numbers that have no such value become null."""
    if pa.types.is_integer(wanted) and pa.types.is_floating(column.type):
        whole = pc.if_else(pc.equal(pc.floor(column), column), column, None)
        return pc.cast(whole, wanted, safe=False)
    try:
        return pc.cast(column, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise RecipeError(f"the categories are of the type {wanted}, and the column holds {column.type}") from None


def declared(text: str, kind: str) -> tuple[Any, ...]:
    """`10` → 0…9, `1..4` → 1…4, `red,green` → those, as numbers where the column holds numbers.

    >>> declared("1..4", "number"), declared("red,green", "category")
    ((1, 2, 3, 4), ('red', 'green'))
    """
    match = _RANGE.fullmatch(text.strip())
    if match or text.strip().isdecimal():
        first, last = (int(match[1]), int(match[2])) if match else (0, int(text) - 1)
        if not 0 <= last - first < MOST:
            raise UsageError(f"{text!r} declares no categories", hint="write 10 for 0…9, or 1..4")
        numbers = tuple(range(first, last + 1))
        return numbers if kind == "number" else tuple(map(str, numbers))
    words = tuple(part.strip() for part in text.split(","))
    if len(set(words)) < len(words):
        raise UsageError(f"{text!r} declares a category twice")
    if kind == "bool":
        return tuple(word.lower() in ("true", "1") for word in words)
    return tuple(_number(word) for word in words) if kind == "number" else words


def _number(word: str) -> int | float:
    try:
        return int(word) if re.fullmatch(r"[+-]?\d+", word) else float(word)
    except ValueError:
        raise UsageError(
            f"{word!r} is no number, and the column holds numbers", hint="override its kind: --type COL:category"
        ) from None
