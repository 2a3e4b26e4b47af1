"""A small convolutional net for images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from tensorize.core.errors import UsageError
from tensorize.train.models.head import head


class Cnn(nn.Module):
    """Padded 3×3 convolutions, each with batch norm, ReLU and a 2×2 maximum, then two linear layers.

    Images too small to be halved once more keep their size, so that any channel × height × width fits.

    >>> import torch
    >>> Cnn(inputs=(1, 8, 8), outputs=10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        *,
        channels: Sequence[int] = (32, 64, 128),
        hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(inputs) != 3:
            raise UsageError(f"cnn takes images (row, channel, height, width), not {len(inputs) + 1} axes")
        depth, height, width = inputs
        blocks = []
        for before, after in pairwise([depth, *channels]):
            halved = min(height, width) >= 4
            blocks.append(_block(before, after, halved))
            height, width = (height // 2, width // 2) if halved else (height, width)
        self.features = nn.Sequential(*blocks)
        self.head = head(channels[-1] * height * width, hidden, outputs, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(row, channel, height, width) → (row, output)."""
        out: Tensor = self.head(self.features(x))
        return out


def _block(before: int, after: int, halved: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(before, after, 3, padding=1, bias=False)]
    if halved:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.BatchNorm2d(after), nn.ReLU())
