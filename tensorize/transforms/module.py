"""The modules of transforms: tensor → tensor, and how their state is learned in a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from tensorize.core.contracts import BLOCK_ROWS, Floats, Json, Statistic
from tensorize.core.errors import UsageError


class Module(nn.Module):
    """Tensor → tensor. `state()` holds the constructor's keywords as JSON.

    A module that learns says with `statistic` what it looks at in each channel, and makes itself from the finished
    statistics in `from_statistics`; `fit` does the rest. Parameters come as text.
    """

    invertible: ClassVar[bool] = False

    def state(self) -> dict[str, Json]:
        """Return the keywords of the constructor that make this very module."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its state is")

    def inverse(self, x: Tensor) -> Any:
        """Undo `forward`. Raises UsageError if there is no inverse."""
        raise UsageError(f"{type(self).__name__} cannot be undone")

    def channels(self, column: str) -> tuple[str, ...]:
        """Return the names of the channels that one column becomes."""
        return (column,)

    @classmethod
    def statistic(cls, **params: str) -> Statistic | None:
        """Return what to gather over the values of one channel; None if there is nothing to learn."""
        del params
        return None

    @classmethod
    def from_statistics(cls, found: Sequence[Any], **params: str) -> Self:
        """Build the module from the finished statistics, one for each channel."""
        del found
        return cls(**params)

    def parameters_given(self) -> dict[str, str]:
        """Return what `fit` keeps of an instance that has not learned yet, as text, such as `{"ddof": "0"}`."""
        return {}

    def fit(self, x: Tensor) -> Self:
        """Return a new module, learned from `x` (row, channel, …) or (row); NaN counts as missing."""
        params = self.parameters_given()
        found = [_gathered(self.statistic(**params), values) for values in channel_values(x)]
        return self.from_statistics(found, **params)

    def _fitted(self, *state: Tensor | None) -> None:
        """Raise UsageError if there is no state yet."""
        if any(part is None for part in state):
            name = type(self).__name__
            raise UsageError(f"this {name} has learned nothing yet", hint=f"{name}().fit(x), or give its state")


class Scale(Module):
    """(x − offset) / width of each channel, in float64, cast to the type of `x` at the end. A width of 0 divides by 1."""

    invertible = True
    offset: Tensor | None
    width: Tensor | None

    def _hold(self, offset: Tensor | None, width: Tensor | None) -> None:
        self.register_buffer("offset", offset)
        self.register_buffer("width", None if width is None else torch.where(width == 0, 1.0, width))

    def forward(self, x: Tensor) -> Tensor:
        """(row, channel, …) or (row) → the same shape; float32 for integers. NaN stays NaN."""
        self._fitted(self.offset, self.width)
        assert self.offset is not None
        assert self.width is not None
        scaled = (x.to(torch.float64) - along_channels(self.offset, x)) / along_channels(self.width, x)
        return scaled.to(floating(x.dtype))

    def inverse(self, x: Tensor) -> Tensor:
        """Scaled channels → the same shape in the original units, in the floating dtype of `x`."""
        self._fitted(self.offset, self.width)
        assert self.offset is not None
        assert self.width is not None
        return (x.to(torch.float64) * along_channels(self.width, x) + along_channels(self.offset, x)).to(floating(x.dtype))


class Elementwise(nn.Module):
    """A function of each value, and the one that undoes it: what `Transform.module` returns for a step of that sort.

    >>> root = Elementwise(torch.sqrt, torch.square)
    >>> root(torch.tensor([[9.0]])), root.inverse(torch.tensor([[3.0]]))
    (tensor([[3.]]), tensor([[9.]]))
    """

    def __init__(self, function: Callable[[Tensor], Tensor], inverse: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self._function, self._inverse = function, inverse

    def forward(self, x: Tensor) -> Tensor:
        """Any shape → the same shape."""
        return self._function(x)

    def inverse(self, x: Tensor) -> Tensor:
        """Undo `forward`. Raises UsageError if there is no inverse."""
        if self._inverse is None:
            raise UsageError("this step cannot be undone")
        return self._inverse(x)


def channel_values(x: Tensor) -> Iterator[Floats]:
    """The values of each channel (value) float64 that are not NaN; (row) is one channel, (row, channel, …) has axis 1."""
    values = x.detach().cpu().to(torch.float64).numpy()
    columns = [values] if values.ndim < 2 else [values[:, index].reshape(-1) for index in range(values.shape[1])]
    for column in columns:
        yield column[column == column]  # noqa: PLR0124 - NaN is not equal to itself


def _gathered(statistic: Statistic | None, values: Floats) -> Statistic | None:
    """A statistic over values, in as many passes as it asks for."""
    finished = statistic
    while statistic is not None:
        finished = statistic
        for start in range(0, len(values), BLOCK_ROWS):
            finished = finished.update(values[start : start + BLOCK_ROWS])
        statistic = finished.again()
    return finished


def per_channel(values: Sequence[float] | float | None) -> Tensor | None:
    """State of each channel as (channel) float64."""
    if values is None:
        return None
    return torch.tensor([values] if isinstance(values, int | float) else list(values), dtype=torch.float64)


def along_channels(state: Tensor, x: Tensor) -> Tensor:
    """State (channel) in the shape that meets x (row, channel, …) at axis 1; one channel meets everything.

    Raises UsageError if the numbers of channels differ.
    """
    channels = x.shape[1] if x.ndim > 1 else 1
    if state.numel() not in (1, channels):
        raise UsageError(
            f"the state has {state.numel()} channels, the tensor of shape {tuple(x.shape)} has {channels} on axis 1"
        )
    return state.view(1, -1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else state


def floating(dtype: torch.dtype) -> torch.dtype:
    """The type of the result: that of the input, float32 for integers."""
    return dtype if dtype.is_floating_point else torch.float32
