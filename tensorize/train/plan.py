"""Everything about a run that is decided before its first step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tensorize.errors import UsageError
from tensorize.tensorset import TensorSet
from tensorize.train.device import SMALL_STEP, forward_flops, resident_bytes
from tensorize.train.loop import autocast
from tensorize.train.named import build_model, part_of
from tensorize.train.parts import Part, edges_of, parts_of, place
from tensorize.train.settings import Settings
from tensorize.train.target import task_of
from tensorize.train.task import Task

Loss = Callable[[Tensor, Tensor], Tensor]
EVALUATED = 256
PROBED = 2
"""Rows that the model is tried on before anything else: two, for norms over the rows."""


@dataclass(frozen=True)
class Plan:
    """A model that fits its data, on its device. `name` is None for a module that was handed in."""

    name: str | None
    options: Mapping[str, Any]
    settings: Settings
    recipe_json: str
    task: Task
    inputs: tuple[int, ...]
    model: nn.Module
    loss: Loss
    device: torch.device
    train: Part
    val: Part | None
    notes: tuple[str, ...]

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The loss on val, by name; nothing where there is no val."""
        if self.val is None:
            return {}
        model.eval()
        edges = edges_of(self.val.rows, EVALUATED)
        with torch.no_grad():
            losses = [self._loss(model, *batch) for batch in self.val.batches(edges, None)]
        return {"loss": float(np.average(torch.stack(losses).cpu().numpy(), weights=np.diff(edges)))}

    def _loss(self, model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
        with autocast(self.device):
            output = model(inputs)
        return self.loss(self.task.shaped(output), target)

    def threads(self) -> int:
        """One for a small model, whose threads would wait for each other longer than they work; else what torch has."""
        inputs, _ = next(iter(self.train.batches([0, min(self.train.rows, self.settings.batch_size)], None)))
        return 1 if forward_flops(self.model, inputs) < SMALL_STEP else torch.get_num_threads()


def make_plan(
    model: str | nn.Module,
    data: TensorSet,
    settings: Settings,
    *,
    options: Mapping[str, Any],
    loss: Loss | None,
    device: torch.device,
) -> Plan:
    """Decide everything. Raises UsageError where model, target and loss do not fit each other."""
    parts = parts_of(data, settings.split, settings.seed)
    task = task_of(parts["train"], settings.target_scale)
    probe, target = parts["train"].batch(slice(0, PROBED))
    inputs = tuple(probe.shape[1:])
    module = model if isinstance(model, nn.Module) else build_model(model, inputs, task.outputs, options)
    made = loss or part_of(nn, settings.loss or task.loss)
    _try(module, made, task, probe, target)
    budget = resident_bytes(device)
    placed = {name: place(parts[name], task, device, budget) for name in ("train", "val") if name in parts}
    return Plan(
        None if isinstance(model, nn.Module) else model,
        options,
        settings,
        data.recipe_json,
        task,
        inputs,
        module.to(device),
        made,
        device,
        placed["train"],
        placed.get("val"),
        tuple(_notes(data, parts, settings)),
    )


def _notes(data: TensorSet, parts: Mapping[str, TensorSet], settings: Settings) -> list[str]:
    notes = []
    if not data.splits:
        rows = ", ".join(f"{name} {part.rows:,}" for name, part in parts.items())
        notes.append(
            f"the file has no split: rows split by seed {settings.seed} into {rows}; its statistics are those of all rows"
        )
    if "val" not in parts:
        notes.append("no validation part: all epochs are run, and the last weights are kept")
    return notes


def _try(model: nn.Module, loss: Loss, task: Task, inputs: Tensor, target: Tensor | None) -> None:
    """Run two rows through model and loss. Raises UsageError that tells what does not fit."""
    assert target is not None
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output = model.eval()(inputs.cpu())
    except (RuntimeError, ValueError) as error:
        shape = "×".join(map(str, inputs.shape[1:]))
        raise UsageError(
            f"the model {type(model).__name__} does not take rows of {shape}: {str(error).splitlines()[0]}"
        ) from error
    if output.numel() != len(inputs) * task.outputs:
        shape = "×".join(map(str, output.shape[1:]))
        raise UsageError(f"the model {type(model).__name__} gives {shape} for each row, and the target needs {task.outputs}")
    try:
        loss(task.shaped(output), task.ready(target))
    except (RuntimeError, ValueError, IndexError) as error:
        raise UsageError(f"the loss does not fit the target, which is of {task.kind}: {str(error).splitlines()[0]}") from error
