"""How many values are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import pyarrow as pa


@dataclass(frozen=True)
class Nulls:
    """The number of nulls.

    >>> Nulls().update(pa.array([1, None, 3])).count
    1
    """

    count: int = 0

    def fresh(self) -> Self:
        """No value yet."""
        return type(self)()

    def update(self, block: pa.Array) -> Self:
        """Add a block (row) of any type."""
        return type(self)(self.count + block.null_count)

    def merge(self, other: Self) -> Self:
        """The nulls of both."""
        return type(self)(self.count + other.count)

    def again(self) -> None:
        """None: one pass is enough."""
        return

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """The statistic with a state that `to_json` gave."""
        return cls(**state)
