"""Integer ids to one-hot, along any axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from tensorize.core.contracts import Json
from tensorize.core.errors import UsageError
from tensorize.statistics.extremes import Extremes
from tensorize.transforms.base import Transform


def one_hot(ids: Tensor, classes: int, dim: int = -1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Put a new axis of `classes` at `dim`, 1 where the id is, by `scatter_`.

    ids: integers 0 … classes − 1 of any shape. With `dim=1`, (row, step) becomes (row, class, step).
    Raises UsageError for ids that are no integers, or outside the range.

    >>> one_hot(torch.tensor([[0, 2]]), 3, dim=1)
    tensor([[[1., 0.],
             [0., 0.],
             [0., 1.]]])
    """
    if ids.dtype.is_floating_point or ids.dtype == torch.bool:
        raise UsageError(f"ids are integers, not {ids.dtype}")
    if not torch.compiler.is_compiling() and ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= classes):
        raise UsageError(f"ids from {int(ids.min())} to {int(ids.max())} do not fit {classes} classes, 0 to {classes - 1}")
    index = ids.long().unsqueeze(dim)
    shape = list(index.shape)
    shape[dim] = classes
    return torch.zeros(shape, dtype=dtype, device=ids.device).scatter_(dim, index, 1)


class OneHot(Transform):
    """`one_hot` as a module; `fit` takes the number of classes from the largest id.

    >>> onehot = OneHot(3, dim=1)
    >>> onehot(torch.tensor([2, 0])).tolist(), onehot.inverse(onehot(torch.tensor([2, 0]))).tolist()
    ([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [2, 0])
    """

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
