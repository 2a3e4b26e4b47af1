"""Where a model runs: its device, memory, threads, precision and random numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tensorize.core.errors import RunError, UsageError
from tensorize.core.layout import Named
from tensorize.train.parts import Pair, Part, mapped, rows_in

UNKNOWN = 1 << 30
"""The memory for data if the system does not report how much is free."""
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


def called(model: nn.Module, inputs: Named) -> Named:
    """What a model gives for its input, or for its inputs as keywords where there are several."""
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def forward_flops(model: nn.Module, inputs: Named) -> int:
    """Floating-point operations of one forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        called(model, inputs)
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


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from `seed` on the CPU and on this device; others are neither started nor seeded. The state before is restored."""
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices, device_type=device.type):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of torch's random numbers by device type, (byte) uint8 each."""
    found = {"cpu": torch.get_rng_state()}
    return found | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else found


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Continue with the random numbers of another run; a run on another type of device has none for this device."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


ROWS = 256
"""Rows in a batch outside of training. The last one is filled up: kernels go by size, and differ in the last bit."""


@dataclass(frozen=True)
class Runner:
    """Call it as the model. With `half`, layers that can do so work in bfloat16; weights stay float32."""

    model: nn.Module
    device: torch.device
    half: bool

    @classmethod
    def of(cls, model: nn.Module, device: torch.device, precision: str) -> Self:
        """Move a model. `precision` is float32, bfloat16, or auto: bfloat16 on GPUs that have it."""
        gpu = device.type == "cuda" and torch.cuda.is_bf16_supported()
        moved = model.to(device)
        if any(isinstance(part, nn.Conv2d) for part in model.modules()):
            moved = moved.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(moved, device, precision == "bfloat16" or (precision == "auto" and gpu))

    def __call__(self, inputs: Named) -> Named:
        """(row, …) → (row, output); several inputs and outputs by name."""
        context: Any = torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()
        with context:
            return called(self.model, mapped(self._laid_out, inputs))

    def _laid_out(self, x: Tensor) -> Tensor:
        images = x.ndim == 4 and self.device.type != "mps"
        return x.contiguous(memory_format=torch.channels_last) if images else x

    @torch.no_grad()
    def predict(self, inputs: Named) -> Named:
        """(row, …) → (row, output) for at most `ROWS` rows: always in a batch of that many, so that a row gets the same bits
        wherever it stands.
        """
        self.model.eval()
        rows = rows_in(inputs)
        missing = ROWS - rows
        whole = mapped(lambda x: torch.cat([x, x.new_zeros(missing, *x.shape[1:])]), inputs) if missing else inputs
        return mapped(lambda output: output[:rows], self(whole))

    def outputs(self, part: Part) -> Iterator[Pair]:
        """Yield (output, stored target) of batches in the order of the file: (row, output) and (row, …) on the device."""
        edges = [*range(0, part.rows, ROWS), part.rows]
        for inputs, target in part.batches(edges, None):
            yield self.predict(inputs), target
