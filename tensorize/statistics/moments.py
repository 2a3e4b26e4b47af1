"""Count, mean and standard deviation, exact enough for time stamps: two passes a block, merged in double-double."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from tensorize.core.contracts import Floats


def two_sum(left: float, right: float) -> tuple[float, float]:
    """Return the rounded sum and its exact error. Source: Knuth, The Art of Computer Programming, vol. 2, 4.2.2."""
    total = left + right
    part = total - left
    return total, (left - (total - part)) + (right - part)


@dataclass(frozen=True)
class Moments:
    """The mean is `high + low`, a double-double; `m2` is the sum of squared deviations from it.

    >>> moments = Moments().update(np.array([1.0, 2.0, 3.0]))
    >>> moments.mean, moments.std()
    (2.0, 1.0)
    """

    count: int = 0
    high: float = 0.0
    low: float = 0.0
    m2: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether no value was seen."""
        return not self.count

    @property
    def mean(self) -> float:
        """The mean, rounded to float64."""
        return self.high

    def std(self, ddof: int = 1) -> float:
        """The standard deviation; 0 if there are no more than `ddof` values."""
        return math.sqrt(self.m2 / (self.count - ddof)) if self.count > ddof else 0.0

    def fresh(self) -> Self:
        """No value yet."""
        return type(self)()

    def update(self, block: Floats) -> Self:
        """Add a block of values (row) float64, finite."""
        return self if not len(block) else self.merge(self._of(block))

    @classmethod
    def _of(cls, block: Floats) -> Self:
        """One block: deviations from a pivot near the mean are exact, or nearly so, where the spread is small."""
        pivot = float(block[0])
        pivot += float(np.mean(block - pivot))
        deviations = block - pivot
        shift = float(np.mean(deviations))
        high, low = two_sum(pivot, shift)
        deviations -= shift
        return cls(len(block), high, low, float(np.add.reduce(deviations * deviations)))

    def merge(self, other: Self) -> Self:
        """Join with the blocks that come after. Source: Chan, Golub, LeVeque, 1979, with the mean in double-double."""
        if not self.count or not other.count:
            return self if other.count == 0 else other
        count = self.count + other.count
        difference, error = two_sum(other.high, -self.high)
        delta = difference + (error + (other.low - self.low))
        share = other.count / count
        step, rest = two_sum(self.high, delta * share)
        high, low = two_sum(step, rest + self.low)
        return type(self)(count, high, low, self.m2 + other.m2 + delta * delta * self.count * share)

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
