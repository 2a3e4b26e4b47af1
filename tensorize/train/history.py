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
class History(Sequence[Epoch]):
    """The epochs of a run, those before a `--resume` included; the notes; and the checkpoint that came of it."""

    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]
    checkpoint: Checkpoint = field(repr=False)

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, index: Any) -> Any:
        return self.epochs[index]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch with the lowest loss on val; the last one where there is no val."""
        return best_of(self.epochs)


def best_of(epochs: Sequence[Epoch]) -> Epoch:
    """The epoch whose weights are kept."""
    judged = [epoch for epoch in epochs if epoch.val]
    return min(judged, key=lambda epoch: epoch.val["loss"]) if judged else epochs[-1]
