"""`fit`: from a prepared set to a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tensorize.api import read
from tensorize.core.errors import DataError
from tensorize.core.tensorset import TensorSet
from tensorize.storage.partfile import exists
from tensorize.train.checkpoint import Checkpoint, History, resumed
from tensorize.train.device import device_of, enough_memory, random_state, seeded, set_random_state, threads
from tensorize.train.loop import Callback, KeepBest, Save, Trainer, weights
from tensorize.train.losses import loss_name
from tensorize.train.named import model_class, part_of
from tensorize.train.plan import TrainingPlan, long_enough, make_plan, unfinished
from tensorize.train.settings import Settings
from tensorize.train.task import Loss

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def fit(
    model: str | nn.Module | None,
    data: TensorSet | str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    loss: str | Loss | None = None,
    optimizer: str | MakeOptimizer | None = None,
    out: str | Path | None = None,
    force: bool = False,
    resume: bool = False,
    device: str = "auto",
    workers: int | None = None,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> History:
    """Train a model on the train rows of a prepared set, judged by its val rows; the test rows are never looked at.

    `model` is a registered name, `package.module:Class`, or a module, which is trained in place; `options` are keywords of
    a named one. `loss` and `optimizer` are names of `torch.nn` and `torch.optim` with keywords (`SGD:momentum=0.9`), or
    functions: `loss(output, target)`, and `optimizer(parameters)`. `out` is where the checkpoint goes after each epoch;
    with `resume` the run goes on from the one that is there, and what is given has to agree with it. `workers` are threads.
    The other keywords are those of `Settings`; a model may have defaults of its own.

    Raises UsageError for a call that is wrong, DataError if the loss is no longer a number, RunError if a GPU does not
    start, or has too little memory.

    >>> from tensorize import prepare
    >>> line = prepare("table", {"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 5.0, 7.0]}, target="y", scale="none")
    >>> history = fit("linear", line, epochs=300, lr=0.1, split="1", device="cpu")
    >>> history[-1].loss < 1e-3
    True
    """
    path = None if out is None else Path(out)
    if path is not None and path.exists() and not force and not resume:
        raise exists(path)
    tensors = data if isinstance(data, TensorSet) else read(data)
    named = {"loss": loss_name(loss), "optimizer": _name(optimizer)}
    given = settings | {key: value for key, value in named.items() if value is not None}
    before = resumed(path, tensors, model, options, given) if resume else None
    if before is not None:
        model, options, chosen = before.model or model, before.options, before.settings
    else:
        given = _defaults(model) | given
        chosen = Settings.parse(given)
    where = device_of(device)
    with seeded(chosen.seed, where), enough_memory(where, f"say a --batch-size below {chosen.batch_size}, or --device cpu"):
        plan = make_plan(model, tensors, chosen, options=options or {}, loss=loss if callable(loss) else None, device=where)
        if before is None:
            plan = long_enough(plan, given)
        return _run(plan, optimizer if callable(optimizer) else None, path, callbacks, before=before, workers=workers)


def _name(part: Any) -> Any:
    """A function is recorded by its name."""
    return getattr(part, "__name__", type(part).__name__) if callable(part) else part


def _defaults(model: str | nn.Module | None) -> dict[str, Any]:
    """The settings that a model itself asks for."""
    made = model_class(model) if isinstance(model, str) else type(model)
    return dict(getattr(made, "settings", {}))


def _run(
    plan: TrainingPlan,
    make: MakeOptimizer | None,
    path: Path | None,
    callbacks: Sequence[Callback],
    *,
    before: Checkpoint | None,
    workers: int | None,
) -> History:
    keep = KeepBest(plan.settings.patience)

    def made(trainer: Trainer) -> Checkpoint:
        return _checkpoint(plan, trainer, keep)

    saving = [] if path is None else [Save(path, made, force=True)]
    trainer = Trainer(plan, _optimizer(plan, make), [keep, *saving, *callbacks])
    if before is not None:
        _go_on(trainer, keep, before)
    count = workers or plan.threads()
    try:
        with threads(count), _flushed(saving):
            trainer.run()
    except DataError as error:
        kept = [f"{path} holds epoch {save.saved}, the last good one" for save in saving if save.saved]
        raise DataError(error.what, kept or ["nothing was written"] * bool(saving), error.hint) from error
    checkpoint = made(trainer)
    keep.restore(trainer.model)
    notes = (*plan.notes, *unfinished(trainer.epochs, plan))
    return History(tuple(trainer.epochs), notes, plan.facts(count), checkpoint)


@contextmanager
def _flushed(saving: Sequence[Save]) -> Iterator[None]:
    """The last finished epoch is in the file, whatever ended the run."""
    try:
        yield
    finally:
        for save in saving:
            save.flush()


def _optimizer(plan: TrainingPlan, make: MakeOptimizer | None) -> torch.optim.Optimizer:
    """By name, in one fused step where it has that and the device can."""
    parameters = [parameter for parameter in plan.runner.model.parameters() if parameter.requires_grad]
    if make is not None:
        return make(parameters)
    extra = {"fused": True} if plan.runner.device.type in ("cpu", "cuda") else {}
    found: torch.optim.Optimizer = part_of(torch.optim, plan.settings.optimizer, parameters, lr=plan.settings.lr, **extra)
    return found


def _go_on(trainer: Trainer, keep: KeepBest, before: Checkpoint) -> None:
    """Put everything where it stood after the last epoch of a checkpoint."""
    trainer.model.load_state_dict(before.resume["model"])
    trainer.optimizer.load_state_dict(before.resume["optimizer"])
    set_random_state(before.resume["random"], trainer.device)
    trainer.epochs, trainer.epoch = list(before.epochs), len(before.epochs)
    keep.state = before.state if before.epochs[-1].val else None


def _checkpoint(plan: TrainingPlan, trainer: Trainer, keep: KeepBest) -> Checkpoint:
    last = weights(trainer.model)
    return Checkpoint(
        model=plan.name,
        options=plan.options,
        inputs=plan.inputs,
        outputs=plan.task.outputs,
        task=plan.task,
        settings=plan.settings,
        recipe_json=plan.recipe.to_json(),
        split_rows=plan.split_rows,
        state=keep.state or weights(trainer.model),
        epochs=tuple(trainer.epochs),
        resume={"model": last, "optimizer": trainer.optimizer.state_dict(), "random": random_state(plan.runner.device)},
    )
