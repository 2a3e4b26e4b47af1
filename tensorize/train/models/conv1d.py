"""A convolutional net for series."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from tensorize.core.errors import UsageError
from tensorize.train.models.head import head


class Conv1d(nn.Module):
    """Padded convolutions over time, the steps halved after each, then two linear layers over all that is left.

    Levels drift: next year's numbers are larger than any of train. So, where the trainer knows the past of the targets, each
    channel comes without its mean over the window, and what the convolutions give is added to a forecast from the target's
    own past: its mean, plus a linear layer over what is left, which at first repeats the value one window before. After
    NLinear of Zeng et al., "Are transformers effective for time series forecasting?", 2022, and Kim et al., "Reversible
    instance normalization", 2022, which take the level of a window away and put it back.

    `past` has for each target its input channel, and the factor and offset that make of its values what the model is to give;
    the outputs are (target, step) in a row.

    >>> x = torch.randn(2, 17, 168)
    >>> Conv1d(inputs=(17, 168), outputs=24)(x).shape
    torch.Size([2, 24])
    >>> torch.allclose(Conv1d(inputs=(17, 168), outputs=24, past=[(3, 2.0, 1.0)])(x), 2 * x[:, 3, :24] + 1, atol=1e-5)
    True
    """

    channels: Tensor
    factor: Tensor
    offset: Tensor

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        *,
        channels: Sequence[int] = (32, 32, 32),
        kernel: int = 5,
        hidden: int = 128,
        dropout: float = 0.0,
        past: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        if len(inputs) != 2:
            raise UsageError(f"conv1d takes series (row, channel, step), not {len(inputs) + 1} axes")
        depth, steps = inputs
        blocks: list[nn.Module] = []
        for before, after in pairwise([depth, *channels]):
            blocks += [nn.Conv1d(before, after, kernel, padding=kernel // 2), nn.ReLU()]
            if steps >= 2:
                blocks.append(nn.MaxPool1d(2))
                steps //= 2
        self.features = nn.Sequential(*blocks)
        self.head = head(channels[-1] * steps, hidden, outputs, dropout)
        self.ahead = self._continued(past, inputs[1], outputs) if past else None

    def _continued(self, past: Sequence[Sequence[float]], steps: int, outputs: int) -> nn.Linear:
        """Remember where the past is; (row, target, step) → (row, target, step of the horizon), at first one window before."""
        channel, factor, offset = torch.tensor(past, dtype=torch.float64).T
        self.register_buffer("channels", channel.long(), persistent=False)
        self.register_buffer("factor", factor.float()[:, None], persistent=False)
        self.register_buffer("offset", offset.float()[:, None], persistent=False)
        made = nn.Linear(steps, outputs // len(past))
        nn.init.eye_(made.weight)
        for parameter in (made.bias, *self.head[-1].parameters()):
            nn.init.zeros_(parameter)
        return made

    def forward(self, x: Tensor) -> Tensor:
        """(row, channel, step) → (row, output)."""
        if self.ahead is None:
            plain: Tensor = self.head(self.features(x))
            return plain
        before = x[:, self.channels] * self.factor + self.offset
        level = before.mean(dim=2, keepdim=True)
        forecast = level + self.ahead(before - level)
        correction = self.head(self.features(x - x.mean(dim=2, keepdim=True)))
        made: Tensor = forecast.flatten(1) + correction
        return made
