"""A table of epochs that grows while a model is trained, on a terminal; nothing when piped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tensorize.train import Callback

if TYPE_CHECKING:
    import torch

    from tensorize.train import Epoch
    from tensorize.train.loop import Trainer

SHOWN = 12
"""The last so many epochs."""


class LiveTable(Callback):
    """Redrawn a few times a second by a thread of its own; no step waits for it."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
        )
        self._live = Live(self._bar, console=console, transient=True)

    def on_train_begin(self, trainer: Trainer) -> None:
        """Show the table."""
        self._step = self._bar.add_task("steps", total=trainer.steps, epoch=trainer.epoch + 1)
        self._live.start()

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Start the bar of an epoch."""
        self._bar.reset(self._step, total=trainer.steps, epoch=trainer.epoch + 1)

    def on_batch_end(self, trainer: Trainer, loss: torch.Tensor) -> None:
        """Move the bar on by a step."""
        del trainer, loss
        self._bar.advance(self._step)

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        """Add a line for the epoch."""
        del epoch
        self._live.update(Group(_table(trainer.epochs[-SHOWN:]), self._bar))

    def on_train_end(self, trainer: Trainer) -> None:
        """Remove the table from the terminal."""
        del trainer
        self._live.stop()

    def close(self) -> None:
        """Give the terminal back, also after an error."""
        self._live.stop()


def live_table(silent: bool) -> LiveTable | None:
    """The callback, or None if nobody looks."""
    return None if silent or not sys.stderr.isatty() else LiveTable()


def _table(epochs: list[Epoch]) -> Table:
    names = list(epochs[-1].val)
    found = Table("epoch", "loss", *(f"val {name}" for name in names), "lr", "time", box=None, header_style="bold")
    for epoch in epochs:
        found.add_row(
            str(epoch.number),
            f"{epoch.loss:.4g}",
            *(f"{epoch.val[name]:.4g}" for name in names),
            f"{epoch.lr:.2g}",
            f"{epoch.seconds:.1f} s",
        )
    return found
