"""Sliding windows over rows."""

from __future__ import annotations

from torch import Tensor

from tensorize.core.contracts import Json
from tensorize.core.errors import UsageError
from tensorize.transforms.base import Transform


class Windows(Transform):
    """(row, channel) → (window, channel, length), one window each `stride` rows.

    With a horizon the result is a pair: the windows, and the (window, channel, horizon) right after each.

    >>> import torch
    >>> x, y = Windows(3, horizon=1)(torch.arange(5.0)[:, None])
    >>> x[:, 0].tolist(), y[:, 0].tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0], [4.0]])
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
