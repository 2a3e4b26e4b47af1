"""Exact order statistics in bounded memory: a radix histogram over the bits of the values, 16 bits a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tensorize.core.contracts import Floats

_DIGIT = 16
_BINS = 1 << _DIGIT
_PASSES = 64 // _DIGIT
_TOP = np.uint64(1 << 63)

Keys = npt.NDArray[np.uint64]


def ordered_keys(values: Floats) -> Keys:
    """Map float64 to uint64 of the same order, (row) → (row). −0.0 equals 0.0; NaN must not occur.

    Source: Herf, "Radix tricks", 2001.
    """
    bits = np.where(values == 0, 0.0, values).view(np.uint64)
    keys: Keys = np.where(bits & _TOP, ~bits, bits | _TOP)
    return keys


def key_value(key: int) -> float:
    """The float64 that a key stands for."""
    bits = np.uint64(key)
    plain = bits ^ _TOP if bits & _TOP else ~bits
    return float(np.array([plain]).view(np.float64)[0])


@dataclass(frozen=True)
class Quantiles:
    """The two middle values, found in four passes: `prefixes` are the leading bits that are known so far.

    >>> statistic = Quantiles()
    >>> while statistic is not None:
    ...     done = statistic.update(np.array([3.0, 1.0, 10.0]))
    ...     statistic = done.again()
    >>> done.median
    3.0
    """

    digit: int = 0
    prefixes: tuple[int, int] = (0, 0)
    ranks: tuple[int, int] | None = None
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, _BINS), dtype=np.int64))

    @property
    def is_empty(self) -> bool:
        """Whether the pass saw no value."""
        return not self.counts[0].any()

    def fresh(self) -> Self:
        """No value yet, in the same pass."""
        return type(self)(self.digit, self.prefixes, self.ranks)

    def update(self, block: Floats) -> Self:
        """Count the next 16 bits of the values (row) float64 whose leading bits are known."""
        keys = ordered_keys(np.asarray(block, dtype=np.float64))
        digits = (keys >> np.uint64(64 - _DIGIT * (self.digit + 1))).astype(np.int64) & (_BINS - 1)
        counts = self.counts.copy()
        for index, prefix in enumerate(self.prefixes):
            known = keys >> np.uint64(64 - _DIGIT * self.digit) == prefix if self.digit else slice(None)
            counts[index] += np.bincount(digits[known], minlength=_BINS)
        return replace(self, counts=counts)

    def merge(self, other: Self) -> Self:
        """The counts of both, in the same pass."""
        return replace(self, counts=self.counts + other.counts)

    def _found(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The prefixes with this pass's bits, and the ranks that are left among the values that share them."""
        total = int(self.counts[0].sum())
        ranks = self.ranks or ((total - 1) // 2, total // 2)
        prefixes, left = [], []
        for counts, prefix, rank in zip(self.counts, self.prefixes, ranks, strict=True):
            upto = np.cumsum(counts)
            digit = int(np.searchsorted(upto, rank, side="right"))
            prefixes.append((prefix << _DIGIT) | min(digit, _BINS - 1))
            left.append(rank - int(upto[digit - 1] if digit else 0))
        return (prefixes[0], prefixes[1]), (left[0], left[1])

    def again(self) -> Self | None:
        """The statistic for the next 16 bits; None when all 64 are known."""
        if self.digit == _PASSES - 1 or not self.counts[0].any():
            return None
        prefixes, ranks = self._found()
        return type(self)(self.digit + 1, prefixes, ranks)

    @property
    def median(self) -> float:
        """The middle value, or the mean of the two middle ones; NaN without values. Needs the last pass."""
        if self.is_empty:
            return float("nan")
        if self.digit < _PASSES - 1:
            raise ValueError("the median needs more passes: see again()")
        low, high = (key_value(key) for key in self._found()[0])
        return low if low == high else low / 2 + high / 2

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON."""
        at = [np.flatnonzero(row) for row in self.counts]
        counts = [[index.tolist(), row[index].tolist()] for index, row in zip(at, self.counts, strict=True)]
        return {
            "digit": self.digit,
            "prefixes": list(self.prefixes),
            "ranks": self.ranks and list(self.ranks),
            "counts": counts,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """The statistic with a state that `to_json` gave."""
        counts = np.zeros((2, _BINS), dtype=np.int64)
        for row, (index, values) in zip(counts, state["counts"], strict=True):
            row[index] = values
        ranks = tuple(state["ranks"]) if state["ranks"] else None
        return cls(state["digit"], tuple(state["prefixes"]), ranks, counts)
