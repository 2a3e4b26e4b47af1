"""Callbacks that keep things: the best weights, and the file of the last finished epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tensorize.train.callbacks import Callback
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.history import Epoch, best_of
from tensorize.train.loop import Trainer

SAVING = 0.1
"""The share of the time that may go into saving."""


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights, where they are."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class KeepBest(Callback):
    """Keeps the weights of the epoch with the lowest loss on val, and stops after `patience` epochs without one.

    Without val the last epoch is the best. At the end the model has the best weights.
    """

    def __init__(self, patience: int, state: Mapping[str, Any] | None = None) -> None:
        self.patience, self.state = patience, state

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        best = best_of(trainer.epochs)
        if epoch is best and epoch.val:
            self.state = weights(trainer.model)
        if epoch.val and self.patience and epoch.number - best.number >= self.patience:
            trainer.stopped = True

    def on_train_end(self, trainer: Trainer) -> None:
        if self.state is not None:
            trainer.model.load_state_dict(self.state)


class Save(Callback):
    """Writes a checkpoint after an epoch, unless the last one took long and is young; always after the last."""

    def __init__(self, path: Path, made: Callable[[Trainer], Checkpoint], force: bool) -> None:
        self._path, self._made, self._force = path, made, force
        self._due = 0.0
        self.saved = 0

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        if time.monotonic() >= self._due or trainer.stopped or epoch.number == trainer.settings.epochs:
            began = time.monotonic()
            self._made(trainer).save(self._path, force=self._force)
            self._force, self.saved = True, epoch.number
            self._due = time.monotonic() + (time.monotonic() - began) / SAVING
