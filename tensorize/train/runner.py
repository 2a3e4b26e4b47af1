"""A model where it runs: on its device, in its precision, its images laid out as convolutions are fastest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from tensorize.train.parts import Part

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

    def __call__(self, inputs: Tensor) -> Tensor:
        """(row, …) → (row, output)."""
        images = inputs.ndim == 4 and self.device.type != "mps"
        context: Any = torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()
        with context:
            found: Tensor = self.model(inputs.contiguous(memory_format=torch.channels_last) if images else inputs)
        return found

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> Tensor:
        """(row, …) → (row, output) for at most `ROWS` rows: always in a batch of that many, so that a row gets the same bits
        wherever it stands.
        """
        self.model.eval()
        missing = ROWS - len(inputs)
        whole = torch.cat([inputs, inputs.new_zeros(missing, *inputs.shape[1:])]) if missing else inputs
        return self(whole)[: len(inputs)]

    def outputs(self, part: Part) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (output, stored target) of batches in the order of the file: (row, output) and (row, …) on the device."""
        edges = [*range(0, part.rows, ROWS), part.rows]
        for inputs, target in part.batches(edges, None):
            yield self.predict(inputs), target
