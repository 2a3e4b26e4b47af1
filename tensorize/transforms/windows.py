"""Sliding windows over rows."""

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


class Windows(Transform):
    """(row, channel) → (window, channel, length), one window each `stride` rows, and what comes right after each."""

    kinds: ClassVar[frozenset[str]] = frozenset()
    params: ClassVar[tuple[str, ...]] = ("length", "horizon", "stride")
    example: ClassVar[Mapping[str, str]] = {"length": "2"}
    invertible = False

    length: int = Field(ge=1)
    horizon: int = Field(0, ge=0)
    stride: int = Field(1, ge=1)

    def module(self) -> nn.Module:
        """Return the step as a module, (row, 1) → (row, channel) float64."""
        return module_class()(self.length, horizon=self.horizon, stride=self.stride)


@lazy("Windows")
def module_class() -> type[Module]:
    """`tensorize.transforms.Windows`, for scripts and models.

    >>> import torch
    >>> from tensorize.transforms import Windows
    >>> x, y = Windows(3, horizon=1)(torch.arange(5.0)[:, None])
    >>> x[:, 0].tolist(), y[:, 0].tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0], [4.0]])
    """
    from tensorize.transforms.module import Module

    class _Windows(Module):
        """(row, channel) → (window, channel, length), one window each `stride` rows.

        With a horizon the result is a pair: the windows, and the (window, channel, horizon) right after each.
        """

        def __init__(self, length: int, *, horizon: int = 0, stride: int = 1) -> None:
            super().__init__()
            if length < 1 or horizon < 0 or stride < 1:
                raise UsageError("length and stride are at least 1, and horizon at least 0")
            self.length, self.horizon, self.stride = length, horizon, stride

        def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            """A view into `x`, where it can be one. Raises UsageError for fewer rows than one window and its horizon."""
            span = self.length + self.horizon
            if x.ndim != 2 or x.shape[0] < span:
                raise UsageError(f"windows take (row, channel) of at least {span} rows, not the shape {tuple(x.shape)}")
            windows = x.unfold(0, span, self.stride)
            return (windows[..., : self.length], windows[..., self.length :]) if self.horizon else windows

        def state(self) -> dict[str, Json]:
            return {"length": self.length, "horizon": self.horizon, "stride": self.stride}

    return _Windows
