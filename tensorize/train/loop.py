"""The loop: epochs, their steps with the learning rate, and the validation after them. What else happens is up to callbacks:
keep the best weights, stop early, and write the checkpoint of the last finished epoch.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tensorize.core.contracts import Array
from tensorize.core.errors import DataError
from tensorize.core.layout import Named
from tensorize.train.checkpoint import Checkpoint, Epoch, best_of
from tensorize.train.parts import edges_of
from tensorize.train.plan import TrainingPlan


class Callback:
    """Called as the loop goes. Set `trainer.stopped` to end it after the epoch."""

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Before the first step of an epoch."""

    def on_batch_end(self, trainer: Trainer, loss: torch.Tensor) -> None:
        """After a step; `loss` () lies on the device, and reading it there waits for the device."""

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        """After the steps and the validation of an epoch."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last epoch; not after an error."""


WARM_UP = 0.3
FIRST = 1 / 25
LAST = 1e-4 / 25


def factor(name: str, step: int, steps: int) -> float:
    """The factor of step `step` of `steps`: it depends on nothing else, so that a resumed run goes on where it was.

    One-cycle rises over the first 30 % from 1/25 to 1 and falls to nearly 0, each along half a cosine.
    Source: Smith, Topin, "Super-convergence", 2018, with the phases of torch's `OneCycleLR`.

    >>> [round(factor("one-cycle", step, 11), 3) for step in (0, 3, 10)]
    [0.04, 1.0, 0.0]
    """
    if name == "constant" or steps < 2:
        return 1.0
    peak = WARM_UP * (steps - 1)
    if step < peak:
        return _between(FIRST, 1.0, step / peak)
    return _between(1.0, LAST, (step - peak) / (steps - 1 - peak))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


LOOK = 256
"""Steps between checks of the losses: each check waits for the device."""

CALMER = "scale the inputs (--zscore), or say a lower --lr, or --clip 1"


class Trainer:
    """A run in the making. `epoch` is the number of finished epochs; a callback may set `stopped`."""

    def __init__(self, plan: TrainingPlan, optimizer: torch.optim.Optimizer, callbacks: Sequence[Callback]) -> None:
        self.plan, self.model, self.settings, self.device = plan, plan.runner.model, plan.settings, plan.runner.device
        self.optimizer, self.callbacks = optimizer, callbacks
        self.epoch, self.epochs, self.stopped = 0, list[Epoch](), False
        self.edges = edges_of(plan.train.rows, plan.settings.batch_size)
        self.steps = len(self.edges) - 1
        self._rates = [group["lr"] for group in optimizer.param_groups]

    def run(self) -> None:
        """All epochs that are left. Raises DataError if the loss is no longer a number."""
        self._tell("on_train_begin")
        while self.epoch < self.settings.epochs and not self.stopped:
            self._run_epoch()
        self._tell("on_train_end")

    def _run_epoch(self) -> None:
        began = time.monotonic()
        self._tell("on_epoch_begin")
        loss = self._steps()
        val = self.plan.validate()
        if not math.isfinite(val.get("loss", 0.0)):
            raise DataError(f"the loss on val is {val['loss']} after epoch {self.epoch + 1}", hint=CALMER)
        lr = self.optimizer.param_groups[0]["lr"]
        self.epoch += 1
        self.epochs.append(Epoch(self.epoch, loss, lr, time.monotonic() - began, val))
        self._tell("on_epoch_end", self.epochs[-1])

    def _steps(self) -> float:
        """The steps of one epoch; their mean loss over the rows."""
        self.model.train()
        order = np.random.default_rng([self.settings.seed, self.epoch]).permutation(self.plan.train.rows)
        losses: list[Tensor] = []
        for inputs, target in self.plan.train.batches(self.edges, order):
            self._set_rate(len(losses))
            losses.append(self._step(inputs, target))
            self._tell("on_batch_end", losses[-1])
            if len(losses) % LOOK == 0:
                self._check(losses, order)
        found = self._check(losses, order)
        return float(np.average(found, weights=np.diff(self.edges)))

    def _step(self, inputs: Named, target: Named) -> Tensor:
        if self.plan.augment is not None:
            inputs = self.plan.augment(inputs)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.plan.loss(self.plan.task.shaped(self.plan.runner(inputs)), target)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        return loss.detach()

    def _set_rate(self, step: int) -> None:
        done = self.epoch * self.steps + step
        share = factor(self.settings.schedule, done, self.settings.epochs * self.steps)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share

    def _check(self, losses: list[Tensor], order: Array) -> Array:
        """The losses so far, (step) float64. Raises DataError for the first that is no finite number."""
        found: Array = torch.stack(losses).cpu().double().numpy()
        wrong = np.flatnonzero(~np.isfinite(found))
        if len(wrong):
            step = int(wrong[0])
            raise self._diverged(step, float(found[step]), order)
        return found

    def _diverged(self, step: int, loss: float, order: Array) -> DataError:
        edge = list(pairwise(self.edges))[step]
        inputs, _ = next(iter(self.plan.train.batches(list(edge), order)))
        several = inputs.values() if isinstance(inputs, Mapping) else [inputs]
        largest = max(float(x.float().abs().max()) for x in several)
        return DataError(
            f"the loss is {loss} in step {step + 1} of epoch {self.epoch + 1}; the largest input there is {largest:g}",
            hint=CALMER,
        )

    def _tell(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)


SAVING = 0.1
"""The share of the time that may go into saving."""


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights by name, on their device."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class KeepBest(Callback):
    """Keeps the weights of the epoch that is best on val, and stops after `patience` epochs without a better one.

    Without val the last epoch is the best.
    """

    def __init__(self, patience: int, state: Mapping[str, Tensor] | None = None) -> None:
        self.patience, self.state = patience, state

    def on_train_begin(self, trainer: Trainer) -> None:
        """Stop before the first epoch if a resumed run has used up its patience."""
        self._look(trainer)

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        """Copy the weights if the epoch is the best so far; stop if patience is used up."""
        if epoch.val and epoch is best_of(trainer.epochs, trainer.settings.best_by):
            self.state = weights(trainer.model)
        self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        if self.patience and trainer.epochs and trainer.epochs[-1].val:
            trainer.stopped = trainer.epoch - best_of(trainer.epochs, trainer.settings.best_by).number >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Give a model the weights that were kept."""
        if self.state is not None:
            model.load_state_dict(self.state)


class Save(Callback):
    """Writes a checkpoint after an epoch. Where that came too soon after the last one, a copy waits for `flush`.

    `saved` is the last epoch that was written, 0 if none was.
    """

    def __init__(self, path: Path, made: Callable[[Trainer], Checkpoint], *, force: bool) -> None:
        self._path, self._made, self._force = path, made, force
        self._due = 0.0
        self._waiting: Checkpoint | None = None
        self.saved = 0

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        """Write a checkpoint, or copy it for later if saving would take more than the share `SAVING` of the time."""
        del epoch
        if time.monotonic() >= self._due:
            self._write(self._made(trainer))
        else:
            self._waiting = copy.deepcopy(self._made(trainer))

    def _write(self, checkpoint: Checkpoint) -> None:
        began = time.monotonic()
        checkpoint.save(self._path, force=self._force)
        self._waiting, self._force, self.saved = None, True, len(checkpoint.epochs)
        self._due = time.monotonic() + (time.monotonic() - began) / SAVING

    def flush(self) -> None:
        """Write what waits: at the end, after an error, after Ctrl-C."""
        if self._waiting is not None:
            self._write(self._waiting)
