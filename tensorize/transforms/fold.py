"""Rows to samples of several rows each, by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tensorize.core.contracts import Json
from tensorize.core.errors import UsageError
from tensorize.transforms.base import Transform, lazy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tensorize.transforms.module import Module


class Fold(Transform):
    """(row, channel) → (row / length, channel, length): every `length` rows become one sample."""

    kinds: ClassVar[frozenset[str]] = frozenset()
    params: ClassVar[tuple[str, ...]] = ("length",)
    example: ClassVar[Mapping[str, str]] = {"length": "2"}

    length: int = Field(ge=1)

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return module_class()(self.length)


@lazy("Fold")
def module_class() -> type[Module]:
    """`tensorize.transforms.Fold`, for scripts and models.

    >>> import torch
    >>> from tensorize.transforms import Fold
    >>> Fold(2)(torch.tensor([[1, 10], [2, 20], [3, 30], [4, 40]])).tolist()
    [[[1, 2], [10, 20]], [[3, 4], [30, 40]]]
    """
    from tensorize.transforms.module import Module

    class _Fold(Module):
        """(row, channel) → (row / length, channel, length): every `length` rows become one sample."""

        invertible = True

        def __init__(self, length: int) -> None:
            super().__init__()
            if length < 1:
                raise UsageError(f"a fold of {length} rows is none")
            self.length = length

        def forward(self, x: Tensor) -> Tensor:
            """Raises UsageError for rows that do not fill the last sample, or a tensor that is not (row, channel)."""
            if x.ndim != 2:
                raise UsageError(f"a fold takes (row, channel), not the shape {tuple(x.shape)}")
            if x.shape[0] % self.length:
                raise UsageError(
                    f"{x.shape[0]} rows do not fill samples of {self.length}: {x.shape[0] % self.length} are left over"
                )
            return x.reshape(-1, self.length, x.shape[1]).transpose(1, 2)

        def inverse(self, x: Tensor) -> Tensor:
            """(sample, channel, length) → (row, channel)."""
            return x.transpose(1, 2).reshape(-1, x.shape[1])

        def state(self) -> dict[str, Json]:
            return {"length": self.length}

    return _Fold
