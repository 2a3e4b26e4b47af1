"""Images as they might have been: mirrored and shifted, on the device they are on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tensorize.core.errors import UsageError
from tensorize.train.settings import Settings


def augmentation(settings: Settings, inputs: tuple[int, ...]) -> Callable[[Tensor], Tensor] | None:
    """What is done to each batch in training; None where nothing is. Raises UsageError where rows are no images."""
    if not (settings.flip or settings.shift):
        return None
    if len(inputs) != 3:
        shape = "×".join(map(str, inputs))
        raise UsageError(f"--flip and --shift are for images (channel, height, width), and rows here are {shape}")
    if settings.shift >= min(inputs[1:]):
        raise UsageError(f"--shift {settings.shift} would move images of {inputs[1]}×{inputs[2]} out of sight")

    def augment(images: Tensor) -> Tensor:
        images = flipped(images) if settings.flip else images
        return shifted(images, settings.shift) if settings.shift else images

    return augment


def flipped(images: Tensor) -> Tensor:
    """Mirror each of (row, channel, height, width) with probability one half."""
    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)


def shifted(images: Tensor, most: int) -> Tensor:
    """Move each of (row, channel, height, width) by up to `most` pixels in both directions; the border is reflected."""
    padded = functional.pad(images, (most,) * 4, mode="reflect")
    rows, _, height, width = images.shape
    down, right = torch.randint(0, 2 * most + 1, (2, rows, 1), device=images.device)
    at_row = down + torch.arange(height, device=images.device)
    at_column = right + torch.arange(width, device=images.device)
    row = torch.arange(rows, device=images.device)[:, None, None]
    # (row, height, width, channel) → (row, channel, height, width), laid out with the channels side by side
    return padded.permute(0, 2, 3, 1)[row, at_row[:, :, None], at_column[:, None, :]].permute(0, 3, 1, 2)
