"""Where a model is trained, and how many threads it is given there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tensorize.core.errors import RunError, UsageError

UNKNOWN = 1 << 30
"""What data may take where the system does not tell what is free."""
OTHERWISE = "say --device cpu"
SMALL_STEP = 300_000_000
"""Floating-point operations of a forward pass below which threads wait for each other longer than they work."""


def device_of(name: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises UsageError for one that is not here, RunError for a GPU that is here and does not start.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f'there is no device "{name}"', hint="devices: auto, cpu, cuda, cuda:1, mps") from None
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}.get(device.type, 0)
    if (device.index or 0) >= count:
        here = (
            f"this machine has {count} of that type" if count else f"this machine or this torch ({torch.__version__}) has none"
        )
        raise UsageError(f'the device "{name}" was asked for, and {here}', hint="say --device auto, or --device cpu")
    if device.type == "cuda":
        try:
            torch.cuda.mem_get_info(device)
        except RuntimeError as error:
            raise RunError(f"the GPU does not start: {str(error).partition(chr(10))[0]}", hint=OTHERWISE) from error
    return device


@contextmanager
def enough_memory(device: torch.device, hint: str = OTHERWISE) -> Iterator[None]:
    """Raise RunError with this hint where a GPU's memory is too small for what is done."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        said = str(error).split(". ")
        raise RunError(f"the memory of {device} is too small: {'. '.join(said[:2])}", hint=hint) from error


def resident_bytes(device: torch.device) -> int:
    """How much of the device's memory data may take: a quarter of what is free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 4
    if "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    return UNKNOWN


def forward_flops(model: nn.Module, inputs: Tensor) -> int:
    """Floating-point operations of one forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(inputs)
    return int(counter.get_total_flops())


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch's threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
