"""One-hot: one channel for each category, and integer ids to one-hot along any axis."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator

from tensorize.core.contracts import Array, Floats, Json, Mask
from tensorize.core.errors import RecipeError, UsageError
from tensorize.statistics.categories import MOST, Categories
from tensorize.statistics.extremes import Extremes
from tensorize.transforms.base import UNSEEN, Transform, lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from tensorize.transforms.module import Module

Category = StrictBool | StrictInt | StrictFloat | StrictStr
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


class OneHot(Transform):
    """The categories, sorted, or in the order that was declared. What is none of them has an all-zero block.

    Numbers match by value, so that 5 and 5.0 are the same category.

    >>> onehot = OneHot(categories=("a", "b"))
    >>> onehot.encode(pa.array(["b", "x"])).tolist(), onehot.ids(pa.array(["b", "x"])).tolist()
    ([[0.0, 1.0], [0.0, 0.0]], [1, -1])
    """

    kinds = frozenset({"number", "category", "bool"})
    params: ClassVar[tuple[str, ...]] = ("values", "max")
    categorical = True

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
        """Return what to gather over the train values."""
        cls.check(params)
        if "values" in params:
            return None
        limit = params.get("max", str(MOST))
        if not limit.isdecimal():
            raise UsageError(f"max={limit}: it is the largest number of categories")
        return Categories(limit=int(limit))

    @classmethod
    def observe(cls, column: pa.Array) -> pa.Array:
        """Return a column (row) without nulls as the statistic takes it."""
        return column

    @classmethod
    def learn(cls, found: Any, params: Mapping[str, str]) -> Self:
        """Build the transform from the finished statistic and the parameters."""
        cls.check(params)
        if "values" in params:
            return cls(categories=declared(params["values"], params.get("kind", "category")))
        return cls(categories=found.values)

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
        """A column (row) without nulls → (row, channel) float64."""
        ids = self.ids(column)
        out = np.zeros((len(ids), len(self.categories)))
        rows = np.flatnonzero(ids >= 0)
        out[rows, ids[rows]] = 1
        return out

    def decode(self, values: Array) -> pa.Array:
        """(row, channel) → the categories (row); null for an all-zero block."""
        none = ~values.any(axis=1)
        return self._values.take(pa.array(values.argmax(axis=1), mask=none))

    def channels(self, column: str) -> tuple[str, ...]:
        """Return the names of the channels."""
        return tuple(f"{column}={value}" for value in self.categories)

    def values(self) -> tuple[Any, ...]:
        """Return the values that the step knows, in order."""
        return self.categories

    def invalid(self, column: pa.Array) -> tuple[Mask, str]:
        """Return which values (row) bool are not known, and why."""
        mask: Mask = self.ids(column) < 0
        return mask, UNSEEN

    def write(self, column: pa.Array, out: Array) -> bool:
        """Write the channels into `out` (row, channel), without a block in between."""
        ids = self.ids(column)
        rows = np.flatnonzero(ids >= 0)
        out[rows, ids[rows]] = 1
        return len(rows) < len(ids)

    def describe(self) -> str:
        """Return the step in a word or two."""
        return "one-hot"

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        words = self.categories and isinstance(self.categories[0], str)
        return match_class()(range(len(self.categories)) if words else [float(value) for value in self.categories])


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


def one_hot(ids: Tensor, classes: int, dim: int = -1, dtype: torch.dtype | None = None) -> Tensor:
    """Put a new axis of `classes` at `dim`, 1 where the id is, by `scatter_`; float32 by default.

    ids: integers 0 … classes − 1 of any shape. With `dim=1`, (row, step) becomes (row, class, step).
    Raises UsageError for ids that are no integers, or outside the range.

    >>> import torch
    >>> one_hot(torch.tensor([[0, 2]]), 3, dim=1)
    tensor([[[1., 0.],
             [0., 0.],
             [0., 1.]]])
    """
    import torch

    if ids.dtype.is_floating_point or ids.dtype == torch.bool:
        raise UsageError(f"ids are integers, not {ids.dtype}")
    if not torch.compiler.is_compiling() and ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= classes):
        raise UsageError(f"ids from {int(ids.min())} to {int(ids.max())} do not fit {classes} classes, 0 to {classes - 1}")
    index = ids.long().unsqueeze(dim)
    shape = list(index.shape)
    shape[dim] = classes
    return torch.zeros(shape, dtype=dtype or torch.float32, device=ids.device).scatter_(dim, index, 1)


@lazy("Match")
def match_class() -> type[nn.Module]:
    """Which of some values a number, or an id, is: the step as a module.

    >>> import torch
    >>> OneHot(categories=(1, 5)).module()(torch.tensor([[5.0], [2.0]], dtype=torch.float64)).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    import torch
    from torch import nn

    class _Match(nn.Module):
        values: Tensor

        def __init__(self, values: Sequence[float]) -> None:
            super().__init__()
            dtype = torch.int64 if isinstance(values, range) else torch.float64
            self.register_buffer("values", torch.tensor(list(values), dtype=dtype))

        def forward(self, x: Tensor) -> Tensor:
            """(row, 1) → (row, value) float64, all zero for a value that is none of them."""
            return (x == self.values).to(torch.float64)

        def inverse(self, x: Tensor) -> Tensor:
            """(row, value) → the value, or the id, (row, 1)."""
            return self.values[x.argmax(dim=1, keepdim=True)]

    return _Match


@lazy("OneHot")
def module_class() -> type[Module]:
    """`tensorize.transforms.OneHot`: integer ids to one-hot, for scripts and models.

    >>> import torch
    >>> from tensorize.transforms import OneHot
    >>> onehot = OneHot(3, dim=1)
    >>> onehot(torch.tensor([2, 0])).tolist(), onehot.inverse(onehot(torch.tensor([2, 0]))).tolist()
    ([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [2, 0])
    """
    from tensorize.transforms.module import Module

    class _OneHot(Module):
        """`one_hot` as a module; `fit` takes the number of classes from the largest id."""

        invertible = True

        def __init__(self, classes: int | None = None, *, dim: int = -1) -> None:
            super().__init__()
            self.classes = None if classes is None else int(classes)
            self.dim = int(dim)

        def forward(self, ids: Tensor) -> Tensor:
            """Ids of any shape, whole numbers → float32 with an axis of classes at `dim`."""
            if self.classes is None:
                raise UsageError("this OneHot knows no classes yet", hint="OneHot(10), or OneHot().fit(ids)")
            return one_hot(ids.long() if ids.dtype.is_floating_point else ids, self.classes, self.dim)

        def inverse(self, x: Tensor) -> Tensor:
            """One-hot → ids, int64."""
            return x.argmax(dim=self.dim)

        def channels(self, column: str) -> tuple[str, ...]:
            return tuple(f"{column}={index}" for index in range(self.classes or 0))

        def state(self) -> dict[str, Json]:
            return {"classes": self.classes, "dim": self.dim}

        @classmethod
        def statistic(cls, **params: str) -> Extremes:
            return Extremes()

        @classmethod
        def from_statistics(cls, found: Sequence[Any], *, dim: str = "-1", **params: str) -> Self:
            return cls(int(max(item.maximum for item in found)) + 1, dim=int(dim), **params)

        def parameters_given(self) -> dict[str, str]:
            return {"dim": str(self.dim)}

    return _OneHot
