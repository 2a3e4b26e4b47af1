"""Callbacks of a run: keep the best weights, stop early, and write the checkpoint of the last finished epoch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from tensorize.train.checkpoint import Checkpoint, Epoch, best_of
from tensorize.train.loop import Callback, Trainer

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
