"""A convolutional net for series."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from tensorize.errors import UsageError


class Conv1d(nn.Module):
    """Padded convolutions over time, the steps halved after each, then two linear layers over all that is left.

    >>> import torch
    >>> Conv1d(inputs=(17, 168), outputs=24)(torch.zeros(2, 17, 168)).shape
    torch.Size([2, 24])
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        *,
        channels: Sequence[int] = (32, 32, 32),
        kernel: int = 5,
        hidden: int = 128,
        dropout: float = 0.0,
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
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(channels[-1] * steps, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(row, channel, step) → (row, output)."""
        out: Tensor = self.head(self.features(x))
        return out
