"""Hooks of the loop: no-ops that a callback overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from tensorize.train.history import Epoch
    from tensorize.train.loop import Trainer


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
