"""Everything about a run that is decided before its first step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tensorize.core import registry
from tensorize.core.errors import UsageError, plural
from tensorize.core.recipe import Recipe
from tensorize.core.tensorset import TensorSet
from tensorize.train.augment import augmentation
from tensorize.train.device import SMALL_STEP, forward_flops, resident_bytes
from tensorize.train.history import Facts
from tensorize.train.judge import judge
from tensorize.train.loss import Loss, make_loss
from tensorize.train.named import build_model, keywords_of
from tensorize.train.parts import Part, as_stored, parts_of, place
from tensorize.train.past import past_of
from tensorize.train.runner import Runner
from tensorize.train.settings import Settings
from tensorize.train.target import task_of
from tensorize.train.task import Classes, Task
from tensorize.train.trivial import trivial
from tensorize.train.units import Units, units_of

PROBED = 2
"""Rows that a model is tried on before anything else: two, for norms over the rows."""
SHOWN = 4096
"""Train rows that a model is shown which looks at its input before the first step, fewer where a row is large."""
SHOWN_VALUES = 1 << 24


@runtime_checkable
class Looking(Protocol):
    """A model that looks at its input before the first step, to whiten it, say."""

    def look(self, inputs: Tensor) -> None:
        """`inputs` (row, …) are train rows, on the CPU."""
        ...


@dataclass(frozen=True)
class Plan:
    """A model that fits its data, on its device. `name` is None for a module that was handed in."""

    name: str | None
    options: Mapping[str, Any]
    settings: Settings
    recipe: Recipe
    split_rows: int
    task: Task
    units: Units
    inputs: tuple[int, ...]
    runner: Runner
    loss: Loss
    train: Part
    val: Part | None
    notes: tuple[str, ...]

    def validate(self) -> dict[str, float]:
        """The loss and the metrics on val, by name; nothing where there is no val."""
        if self.val is None:
            return {}
        loss, scores = judge(self.runner, self.val, self.task, self.units, self.loss)
        return {"loss": loss, **{name: value for name, value in scores.values.items() if value is not None}}

    def facts(self, threads: int) -> Facts:
        """What is trained on what, and what is to be beaten on val."""
        rows = {"train": self.train.rows} | ({"val": self.val.rows} if self.val is not None else {})
        words, found = trivial(self.val, self.task, self.recipe, self.inputs) if self.val is not None else ("", None)
        name = self.name or type(self.runner.model).__name__
        device = f"cpu, {plural(threads, 'thread')}" if self.runner.device.type == "cpu" else str(self.runner.device)
        parameters = sum(parameter.numel() for parameter in self.runner.model.parameters())
        return Facts(name, parameters, device, rows, found.values if found is not None else {}, words)

    def threads(self) -> int:
        """One for a small model, whose threads would wait for each other longer than they work; else what torch has."""
        inputs, _ = next(iter(self.train.batches([0, min(self.train.rows, self.settings.batch_size)], None)))
        return 1 if forward_flops(self.runner.model, inputs) < SMALL_STEP else torch.get_num_threads()


def make_plan(
    model: str | nn.Module | None,
    data: TensorSet,
    settings: Settings,
    *,
    options: Mapping[str, Any],
    loss: Loss | None,
    device: torch.device,
) -> Plan:
    """Decide everything. Raises UsageError where model, target and loss do not fit each other."""
    if model is None:
        names = ", ".join((*registry.table("models"), "package.module:Class"))
        raise UsageError("there is no model to train", hint=f"models: {names}")
    parts = parts_of(data, settings.split, settings.seed)
    train = parts["train"]
    made, task = make_loss(settings, task_of(train, settings.target_scale), loss)
    probe, target = train.batch(slice(0, PROBED))
    inputs = tuple(probe.shape[1:])
    augmentation(settings, inputs)
    options = _with_past(model, options, past_of(task, data.recipe, inputs))
    module = model if isinstance(model, nn.Module) else build_model(model, inputs, task.outputs, options)
    try_out(module, made, task, probe, target)
    budget = resident_bytes(device)
    on_device = place(train, task.ready, device, budget)
    _show(module, on_device, inputs)
    return Plan(
        name=None if isinstance(model, nn.Module) else model,
        options=options,
        settings=settings,
        recipe=data.recipe,
        split_rows=0 if data.splits else data.rows,
        task=task,
        units=units_of(data.recipe),
        inputs=inputs,
        runner=Runner.of(module, device, settings.precision),
        loss=made.to(device) if isinstance(made, nn.Module) else made,
        train=on_device,
        val=place(parts["val"], as_stored, device, budget) if "val" in parts else None,
        notes=tuple(_notes(data, parts, task, settings)),
    )


def _show(module: nn.Module, train: Part, inputs: tuple[int, ...]) -> None:
    """Let a model that wants to look at its first train rows, as it takes them."""
    if isinstance(module, Looking):
        shown = min(SHOWN, train.rows, max(1, SHOWN_VALUES // math.prod(inputs)))
        module.look(next(iter(train.batches([0, shown], None)))[0].cpu())


def _with_past(model: str | nn.Module, options: Mapping[str, Any], past: list[list[float]] | None) -> Mapping[str, Any]:
    """The options of a model, with the place of the targets among its inputs where it takes that and nothing else was said."""
    return {"past": past, **options} if isinstance(model, str) and "past" in keywords_of(model) else options


def _notes(data: TensorSet, parts: Mapping[str, TensorSet], task: Task, settings: Settings) -> Iterator[str]:
    if not data.splits:
        rows = ", ".join(f"{name} {part.rows:,}" for name, part in parts.items())
        yield f"the file has no split: its rows are split by seed {settings.seed} ({rows})"
        yield "its statistics were learned on all rows; prepare it with --split to learn them from train alone"
    if "val" not in parts:
        yield "no validation part: every epoch is run, and the last weights are kept"
    if isinstance(task, Classes) and 0 in task.counts:
        absent = [name for name, count in zip(task.names, task.counts, strict=True) if not count]
        yield f"{plural(len(absent), 'class has', 'classes have')} no train row and cannot be learned: {', '.join(absent)}"


def try_out(model: nn.Module, loss: Loss, task: Task, inputs: Tensor, target: Tensor | None) -> None:
    """Run two rows through model and loss. Raises UsageError that tells what does not fit, with its axes and sizes."""
    assert target is not None
    name = type(model).__name__
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output = model.eval()(inputs)
    except (RuntimeError, ValueError, IndexError) as error:
        raise UsageError(f"the model {name} does not take {_axes(inputs)}: {_first_line(error)}") from error
    if not isinstance(output, Tensor) or output.shape[:1] != inputs.shape[:1]:
        raise UsageError(f"the model {name} gives no tensor with an output for each row")
    if math.prod(output.shape[1:]) != task.outputs:
        what = f"{task.outputs} classes" if isinstance(task, Classes) else f"{'×'.join(map(str, task.shape)) or 1} numbers"
        raise UsageError(
            f"the model {name} has {math.prod(output.shape[1:])} outputs for each row, and the target has {what}",
            [f"axis output: {math.prod(output.shape[1:])}, not {task.outputs}"],
        )
    try:
        with torch.no_grad():
            loss(task.shaped(output), task.ready(target))
    except (RuntimeError, ValueError, IndexError) as error:
        kind = type(loss).__name__
        raise UsageError(f"the loss {kind} does not fit a target of {task.kind}: {_first_line(error)}") from error


def _axes(inputs: Tensor) -> str:
    names = {1: ("feature",), 2: ("channel", "step"), 3: ("channel", "height", "width")}
    sizes = inputs.shape[1:]
    axes = names.get(len(sizes), tuple(f"axis {index}" for index in range(1, len(sizes) + 1)))
    return "rows of " + ", ".join(f"{axis} {size}" for axis, size in zip(axes, sizes, strict=True))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
