"""What a prepared file holds, before and after it exists: tensors, their roles, and the steps that were learned.

Torch-free. Shapes are written with named axes; `row` is the sample axis of every kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]
else:  # numpy is not imported for the names alone: `--help` goes through here
    Array = Floats = Mask = Any

Role = Literal["input", "target", "meta"]
Json = Any
Named = Any
"""A torch tensor (row, …), or a dict of them by name where there are several."""

SHARED = ("step",)
"""First axes of tensors that belong to all rows, such as the steps that windows are taken from."""
BLOCK_ROWS = 65_536
"""Source rows in a block. Statistics are taken over blocks, so that the chunk size never changes a bit."""


@dataclass(frozen=True)
class TensorSpec:
    """One tensor before it exists: its name, shape, dtype, axis names, role and split.

    `labels` names the positions of an axis, for instance `{"feature": ("alcohol", "pH")}`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[str, ...]
    role: Role
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: str | None = None

    @property
    def key(self) -> str:
        """The name in a file: `features`, or `train/features` where there is a split."""
        return f"{self.split}/{self.name}" if self.split else self.name

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        import numpy as np

        return np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the whole tensor."""
        return math.prod(self.shape) * self.itemsize


@dataclass(frozen=True)
class Layout:
    """A whole file before its first byte: every tensor, every string, and the recipe as JSON.

    `texts` holds what is not a tensor (image paths, text ids) under the same kind of key as a tensor:
    `paths`, or `train/paths`.
    """

    kind: str
    tensors: tuple[TensorSpec, ...]
    recipe: str
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(spec.nbytes for spec in self.tensors)


def uneven_rows(layout: Layout) -> str:
    """Why a set does not consist of samples: tensors of a split with different numbers of rows. "" if it does.

    >>> uneven_rows(Layout("text", (TensorSpec("ids", (9,), "uint8", ("token",), "input"),
    ...                             TensorSpec("row", (2,), "int64", ("row",), "meta")), "{}"))
    'its tensors have different numbers of rows: ids 9, row 2'
    """
    for specs in by_split(layout).values():
        if len({spec.shape[0] for spec in specs}) > 1:
            return "its tensors have different numbers of rows: " + ", ".join(f"{s.key} {s.shape[0]:,}" for s in specs)
    return ""


def by_split(layout: Layout) -> dict[str | None, list[TensorSpec]]:
    """The tensors of each split, in the order of the layout."""
    found: dict[str | None, list[TensorSpec]] = {}
    for spec in layout.tensors:
        found.setdefault(spec.split, []).append(spec)
    return found


class Store(Protocol):
    """Where the numbers of a `TensorSet` are stored: in memory, or in a file that is read on demand."""

    def read(self, key: str, start: int, stop: int) -> Array:
        """Return rows `start:stop` of a tensor, (row, …) in the dtype of its spec."""
        ...

    def take(self, key: str, rows: Array) -> Array:
        """Return the rows at the positions `rows` (row) int64, in that order: (row, …) in the dtype of the spec."""
        ...

    def expect(self, key: str, rows: Array) -> None:
        """Prepare for a `take` of the same rows that comes soon, without waiting; a hint, which changes no result."""
        ...

    def close(self) -> None:
        """Close the file behind it. Safe to call twice."""
        ...


@dataclass(frozen=True)
class Learned:
    """One learned step of a recipe: the registered name, what it works on, and its state as JSON.

    `role` tells what it makes: `input` and `target` channels, or nothing of its own (`meta`: a fill value, say).
    """

    step: str
    of: str
    state: Mapping[str, Json]
    role: Role = "input"


class Batched(Protocol):
    """Samples by position: what batches and datasets are made from."""

    @property
    def num_rows(self) -> int:
        """The number of samples."""
        ...

    def batch(self, rows: Array | slice, device: Any = "cpu") -> tuple[Named, Named | None]:
        """Return (input, target) of some rows on a device; see `TensorSet.batch`."""
        ...

    def expect(self, rows: Array) -> None:
        """Prepare for a `batch` of the same rows that comes soon; a hint, which changes no result."""
        ...
