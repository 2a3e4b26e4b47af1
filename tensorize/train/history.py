"""What happened in training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tensorize.train.checkpoint import Checkpoint


@dataclass(frozen=True)
class Epoch:
    """One epoch: the mean loss over its steps, the learning rate at its end, and what val said.

    `val` holds `loss` and the metrics of the task; it is empty where there is no validation part.
    """

    number: int
    loss: float
    lr: float
    seconds: float
    val: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        return cls(**state)


@dataclass(frozen=True)
class Facts:
    """What was trained on what, for a summary. `trivial` is what a predictor gets on val that has learned nothing."""

    model: str
    parameters: int
    device: str
    rows: Mapping[str, int]
    trivial: Mapping[str, float | None] = field(default_factory=dict)
    trivial_is: str = ""


@dataclass(frozen=True)
class History(Sequence[Epoch]):
    """The epochs of a run, those before a `--resume` included; the notes; and the checkpoint that came of it."""

    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]
    facts: Facts
    checkpoint: Checkpoint = field(repr=False)

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, index: Any) -> Any:
        return self.epochs[index]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept: the best on val, by the loss or the metric; the last one where there is no val."""
        return best_of(self.epochs, self.checkpoint.settings.best_by)


def best_of(epochs: Sequence[Epoch], by: str) -> Epoch:
    """The epoch whose weights are kept: the first of those with the lowest loss, or the best metric."""
    judged = [epoch for epoch in epochs if epoch.val]
    return min(judged, key=lambda epoch: _badness(epoch.val, by)) if judged else epochs[-1]


def _badness(val: Mapping[str, float], by: str) -> float:
    if by == "loss":
        return val["loss"]
    return -val["accuracy"] if "accuracy" in val else val["mae"]
