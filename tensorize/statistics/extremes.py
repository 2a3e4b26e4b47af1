"""The smallest and the largest value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tensorize.core.contracts import Floats


@dataclass(frozen=True)
class Extremes:
    """Without a value, `minimum` is +∞ and `maximum` −∞."""

    count: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf

    def fresh(self) -> Self:
        """No value yet."""
        return type(self)()

    def update(self, block: Floats) -> Self:
        """Add a block of values (row) float64."""
        if not len(block):
            return self
        return self.merge(type(self)(len(block), float(block.min()), float(block.max())))

    def merge(self, other: Self) -> Self:
        """The extremes of both."""
        return type(self)(self.count + other.count, min(self.minimum, other.minimum), max(self.maximum, other.maximum))

    def again(self) -> None:
        """None: one pass is enough."""
        return

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON."""
        return {"count": self.count, "minimum": repr(self.minimum), "maximum": repr(self.maximum)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """The statistic with a state that `to_json` gave."""
        return cls(state["count"], float(state["minimum"]), float(state["maximum"]))
