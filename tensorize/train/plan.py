"""Everything about a run that is decided before its first step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tensorize.core import registry
from tensorize.core.errors import UsageError, plural
from tensorize.core.layout import Named
from tensorize.core.recipe import Recipe
from tensorize.core.tensorset import TensorSet
from tensorize.train.baseline import past_of, trivial
from tensorize.train.checkpoint import Epoch, TrainingFacts, best_of
from tensorize.train.device import SMALL_STEP, Runner, called, forward_flops, resident_bytes
from tensorize.train.losses import check_outputs, check_targets, loss_name, make_loss
from tensorize.train.metrics import UnitsOf, judge, units_for
from tensorize.train.named import build_model, keywords_of
from tensorize.train.parts import Augment, Part, Shape, as_stored, augmentation, edges_of, mapped, parts_of, place, rows_in
from tensorize.train.settings import Settings
from tensorize.train.task import Classes, Loss, Targets, Task, task_of

PROBED = 2
"""Rows that a model is tried on before anything else: two, for norms over the rows."""
SHOWN = 4096
"""Train rows that a model is shown which looks at its input before the first step, fewer where a row is large."""
SHOWN_VALUES = 1 << 24


@runtime_checkable
class Looking(Protocol):
    """A model that looks at its input before the first step, to whiten it, say."""

    def look(self, inputs: Named) -> None:
        """`inputs` (row, …) are train rows, on the CPU; a dict by name where there are several."""
        ...


@dataclass(frozen=True)
class TrainingPlan:
    """A model that fits its data, on its device. `name` is None for a module that was handed in."""

    name: str | None
    options: Mapping[str, Any]
    settings: Settings
    recipe: Recipe
    split_rows: int
    task: Task
    units: UnitsOf
    inputs: Shape
    runner: Runner
    loss: Loss
    augment: Augment | None
    train: Part
    val: Part | None
    notes: tuple[str, ...]

    def validate(self) -> dict[str, float]:
        """The loss and the metrics on val, by name; nothing if there is no val."""
        if self.val is None:
            return {}
        loss, scores = judge(self.runner, self.val, self.task, self.units, self.loss)
        return {"loss": loss, **{name: value for name, value in scores.values.items() if value is not None}}

    def facts(self, threads: int) -> TrainingFacts:
        """What is trained on what, and what is to be beaten on val."""
        rows = {"train": self.train.rows} | ({"val": self.val.rows} if self.val is not None else {})
        words, found = trivial(self.val, self.task, self.recipe, self.inputs) if self.val is not None else ("", None)
        name = self.name or type(self.runner.model).__name__
        device = f"cpu, {plural(threads, 'thread')}" if self.runner.device.type == "cpu" else str(self.runner.device)
        parameters = sum(parameter.numel() for parameter in self.runner.model.parameters())
        return TrainingFacts(name, parameters, device, rows, found.values if found is not None else {}, words)

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
) -> TrainingPlan:
    """Decide everything. Raises UsageError if model, target and loss do not fit each other."""
    if model is None:
        names = ", ".join((*registry.table("models"), "package.module:Class"))
        raise UsageError("there is no model to train", hint=f"models: {names}")
    parts = parts_of(data, settings.split, settings.seed)
    train = parts["train"]
    made, task = make_loss(settings, task_of(train, settings.target_scale), loss)
    check_outputs(model, settings, made)
    notes = check_targets(train, task, settings, made)
    probe, target = train.batch(slice(0, PROBED))
    inputs = mapped(lambda x: tuple(x.shape[1:]), probe)
    if isinstance(task, Targets) and settings.best_by == "metric":
        raise UsageError(f"--best-by metric needs one target, and there are {len(task.parts)}", hint="say --best-by loss")
    augment = augmentation(settings, inputs)
    options = _with_past(model, options, past_of(task, data.recipe, inputs))
    module = model if isinstance(model, nn.Module) else build_model(model, inputs, task.outputs, options)
    try_out(module, made, task, probe, target)
    budget = resident_bytes(device)
    on_device = place(train, task.ready, device, budget)
    _show(module, on_device, inputs)
    return TrainingPlan(
        name=None if isinstance(model, nn.Module) else model,
        options=options,
        settings=settings,
        recipe=data.recipe,
        split_rows=0 if data.splits else data.num_rows,
        task=task,
        units=units_for(task, data.recipe),
        inputs=inputs,
        runner=Runner.of(module, device, settings.precision),
        loss=made.to(device) if isinstance(made, nn.Module) else made,
        augment=augment,
        train=on_device,
        val=place(parts["val"], as_stored, device, budget) if "val" in parts else None,
        notes=(*_notes(data, parts, task, settings), *notes),
    )


def _show(module: nn.Module, train: Part, inputs: Shape) -> None:
    """Let a model that wants to look at its first train rows, as it takes them."""
    if isinstance(module, Looking):
        values = sum(map(math.prod, inputs.values())) if isinstance(inputs, Mapping) else math.prod(inputs)
        shown = min(SHOWN, train.rows, max(1, SHOWN_VALUES // values))
        module.look(mapped(lambda x: x.cpu(), next(iter(train.batches([0, shown], None)))[0]))


def _with_past(model: str | nn.Module, options: Mapping[str, Any], past: list[list[float]] | None) -> Mapping[str, Any]:
    """The options of a model, with the place of the targets among its inputs where it takes that and nothing else was said."""
    return {"past": past, **options} if isinstance(model, str) and "past" in keywords_of(model) else options


def _notes(data: TensorSet, parts: Mapping[str, TensorSet], task: Task, settings: Settings) -> Iterator[str]:
    if not data.splits:
        rows = ", ".join(f"{name} {part.num_rows:,}" for name, part in parts.items())
        yield f"the file has no split: its rows are split by seed {settings.seed} ({rows})"
        yield "its statistics were learned on all rows; prepare it with --split to learn them from train alone"
    if "val" not in parts:
        yield "no validation part: every epoch is run, and the last weights are kept"
    for part in task.parts.values() if isinstance(task, Targets) else (task,):
        if not isinstance(part, Classes) or 0 not in part.counts:
            continue
        absent = [name for name, count in zip(part.names, part.counts, strict=True) if not count]
        yield f"{plural(len(absent), 'class has', 'classes have')} no train row and cannot be learned: {', '.join(absent)}"


def try_out(model: nn.Module, loss: Loss, task: Task, inputs: Named, target: Named) -> None:
    """Run two rows through model and loss. Raises UsageError that tells what does not fit, with its axes and sizes."""
    name = type(model).__name__
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output = called(model.eval(), inputs)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise UsageError(f"the model {name} does not take {_axes(inputs)}: {_first_line(error)}") from error
    _check_output(name, output, task, rows_in(inputs))
    kind = loss_name(loss)
    try:
        with torch.no_grad():
            found = loss(task.shaped(output), task.ready(target))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise UsageError(f"the loss {kind} does not fit a target of {task.kind}: {_first_line(error)}") from error
    if not isinstance(found, Tensor) or found.numel() != 1:
        raise UsageError(f"the loss {kind} is no single number", hint="omit its reduction, or say reduction=mean")


def _check_output(name: str, output: Any, task: Task, rows: int) -> None:
    """Raise UsageError if a model does not give as many outputs as each target has."""
    if isinstance(task, Targets):
        try:
            named = task.by_name(output)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"the model {name} does not give one output for each of the targets {', '.join(task.parts)}",
                hint="give a dict by these names, or a tuple in this order",
            ) from error
        for target, part in task.parts.items():
            _check_output(f"{name} (target {target})", named[target], part, rows)
        return
    if not isinstance(output, Tensor) or output.shape[:1] != (rows,):
        raise UsageError(f"the model {name} gives no tensor with an output for each row")
    given = math.prod(output.shape[1:])
    if given != task.outputs:
        what = f"{task.outputs} classes" if isinstance(task, Classes) else f"{'×'.join(map(str, task.shape)) or 1} numbers"
        raise UsageError(
            f"the model {name} has {given} outputs for each row, and the target has {what}",
            [f"axis output: {given}, not {task.outputs}"],
        )


def _axes(inputs: Named) -> str:
    if isinstance(inputs, Mapping):
        return "; ".join(f"{name}: {_axes(x)}" for name, x in inputs.items())
    names = {1: ("feature",), 2: ("channel", "step"), 3: ("channel", "height", "width")}
    sizes = inputs.shape[1:]
    axes = names.get(len(sizes), tuple(f"axis {index}" for index in range(1, len(sizes) + 1)))
    return "rows of " + ", ".join(f"{axis} {size}" for axis, size in zip(axes, sizes, strict=True))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


STEPS = 1000
"""A run of a small model has at least so many steps,"""
MOST_EPOCHS = 300
"""in at most so many epochs."""


def long_enough(plan: TrainingPlan, given: Mapping[str, Any]) -> TrainingPlan:
    """The plan with more epochs, where `given` has none, 20 are few steps, and a step of the model is short.

    What a model learns too well is found on val, so without val there are more epochs only for a model that says what is to be
    changed then: `few_steps`, its settings for this case.
    """
    own: Mapping[str, Any] = getattr(type(plan.runner.model), "few_steps", {})
    steps = len(edges_of(plan.train.rows, plan.settings.batch_size)) - 1
    epochs = min(MOST_EPOCHS, math.ceil(STEPS / steps))
    if "epochs" in given or epochs <= plan.settings.epochs or not (plan.val is not None or own) or not _is_small(plan):
        return plan
    fixed = {*given, *(("lr",) if "optimizer" in given else ())}
    changed = {name: value for name, value in own.items() if name not in fixed} | {"epochs": epochs}
    note = f"{epochs} epochs, not {plan.settings.epochs}: an epoch has {plural(steps, 'step')} (--epochs N for another number)"
    return replace(plan, settings=plan.settings.model_copy(update=changed), notes=(*plan.notes, note))


def _is_small(plan: TrainingPlan) -> bool:
    inputs, _ = next(iter(plan.train.batches([0, min(plan.train.rows, plan.settings.batch_size)], None)))
    return forward_flops(plan.runner.model, inputs) < SMALL_STEP


def unfinished(epochs: Sequence[Epoch], plan: TrainingPlan) -> list[str]:
    """A note where val was best in the last epoch of all."""
    settings = plan.settings
    if not epochs or not epochs[-1].val or len(epochs) < settings.epochs:
        return []
    if best_of(epochs, settings.best_by).number < settings.epochs:
        return []
    return [f"the last epoch is the best on val: more may be better (--epochs {2 * settings.epochs})"]
