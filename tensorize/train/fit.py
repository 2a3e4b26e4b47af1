"""`fit`: from a prepared set to a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tensorize.partfile import exists
from tensorize.tensorset import TensorSet, read
from tensorize.train.callbacks import Callback
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.device import device_of, threads
from tensorize.train.history import History
from tensorize.train.keep import KeepBest, Save, weights
from tensorize.train.loop import Trainer
from tensorize.train.named import part_of
from tensorize.train.plan import Loss, Plan, make_plan
from tensorize.train.settings import Settings

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def fit(
    model: str | nn.Module,
    data: TensorSet | str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    loss: str | Loss | None = None,
    optimizer: str | MakeOptimizer = "AdamW",
    out: str | Path | None = None,
    force: bool = False,
    device: str = "auto",
    workers: int | None = None,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> History:
    """Train a model on the train rows of a prepared set, judged by its val rows; the test rows are never looked at.

    `model` is a registered name, `package.module:Class`, or a module, which is trained in place; `options` are keywords of
    a named one. `loss` and `optimizer` are names of `torch.nn` and `torch.optim` with keywords (`SGD:momentum=0.9`), or
    functions: `loss(output, target)`, and `optimizer(parameters)`. `out` is where the checkpoint goes, after each epoch.
    `workers` are threads. The other keywords are those of `Settings`.

    Raises UsageError for a call that is wrong, DataError where the loss is no number any more.

    >>> from tensorize import prepare
    >>> line = prepare("table", {"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 5.0, 7.0]}, target="y", scale="none")
    >>> history = fit("linear", line, epochs=300, lr=0.1, split="0.75,0.25", device="cpu")
    >>> history[-1].loss < 1e-3
    True
    """
    path = None if out is None else Path(out)
    if path is not None and path.exists() and not force:
        raise exists(path)
    chosen = Settings.parse({**settings, "loss": _name(loss), "optimizer": _name(optimizer)})
    tensors = data if isinstance(data, TensorSet) else read(data)
    with torch.random.fork_rng():
        torch.manual_seed(chosen.seed)
        given = loss if callable(loss) else None
        plan = make_plan(model, tensors, chosen, options=options or {}, loss=given, device=device_of(device))
        make = optimizer if callable(optimizer) else None
        return _run(plan, make, path, callbacks, workers)


def _name(part: Any) -> Any:
    """A function is recorded by its name."""
    return getattr(part, "__name__", type(part).__name__) if callable(part) else part


def _run(
    plan: Plan, make: MakeOptimizer | None, path: Path | None, callbacks: Sequence[Callback], workers: int | None
) -> History:
    parameters = list(plan.model.parameters())
    optimizer = make(parameters) if make else part_of(torch.optim, plan.settings.optimizer, parameters, lr=plan.settings.lr)
    keep = KeepBest(plan.settings.patience)
    made = partial_checkpoint(plan, keep)
    saving = [] if path is None else [Save(path, made, force=True)]
    trainer = Trainer(
        plan.model,
        plan.task,
        plan.loss,
        optimizer,
        plan.train,
        plan.settings,
        plan.device,
        plan.validate,
        [keep, *saving, *callbacks],
    )
    with threads(workers or plan.threads()):
        trainer.run()
    return History(tuple(trainer.epochs), plan.notes, made(trainer))


def partial_checkpoint(plan: Plan, keep: KeepBest) -> Callable[[Trainer], Checkpoint]:
    """How a checkpoint is made of a run at the end of an epoch."""

    def made(trainer: Trainer) -> Checkpoint:
        last = weights(trainer.model)
        resume = {"model": last, "optimizer": trainer.optimizer.state_dict(), "random": torch.get_rng_state()}
        return Checkpoint(
            plan.name,
            plan.options,
            plan.inputs,
            plan.task.outputs,
            plan.task,
            plan.settings,
            plan.recipe_json,
            keep.state or last,
            tuple(trainer.epochs),
            resume,
        )

    return made
