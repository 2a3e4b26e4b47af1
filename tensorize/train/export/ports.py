"""What goes into an exported graph: its inputs, one tensor each, and what they stand for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from tensorize.core.contracts import Json

UNSEEN, MISSING = -1, -2
"""Ids that stand for no category: one that is not in the vocabulary, and none at all."""

PortKind = Literal["numbers", "category", "time", "pixels"]


@dataclass(frozen=True)
class Port:
    """One input of the graph: (row, *shape) of a dtype.

    `labels` are the columns of `numbers` and the vocabulary of a `category`: an id is a position in there.
    """

    name: str
    kind: PortKind
    dtype: torch.dtype
    axes: tuple[str, ...]
    shape: tuple[int, ...] = ()
    labels: tuple[Any, ...] = ()

    def with_steps(self, length: int) -> Port:
        """The same input of a series: every row has so many steps."""
        return replace(self, axes=(*self.axes, "step"), shape=(*self.shape, length))

    def to_json(self, name: str) -> dict[str, Json]:
        """For `metadata_props`: what to put into the input of this name, without this library at hand."""
        noun = {"numbers": "columns", "category": "vocabulary"}.get(self.kind)
        said: dict[str, Json] = {
            "name": name,
            "kind": self.kind,
            "dtype": str(self.dtype).removeprefix("torch."),
            "axes": list(self.axes),
        }
        if self.kind in ("category", "time"):
            said["column"] = self.name
        return said if noun is None else {**said, noun: list(self.labels)}


def names_of(ports: Sequence[Port], taken: Collection[str]) -> tuple[str, ...]:
    """The names of the ports, `_id` behind one that another, or something else in the graph, has already.

    >>> city = Port("numbers", "category", torch.int64, ("row",))
    >>> names_of([Port("numbers", "numbers", torch.float64, ("row", "column")), city], ())
    ('numbers', 'numbers_id')
    """
    names: list[str] = []
    for port in ports:
        name = port.name
        while not name or name in names or name in taken:
            name += "_id"
        names.append(name)
    return tuple(names)
