"""Words and how often each occurs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class VocabularyCounts:
    """Word → count. Memory grows with the vocabulary, not with the text.

    >>> found = VocabularyCounts().update({"the": 2, "cat": 1}).update({"cat": 2})
    >>> found.words(), found.words(min_count=3)
    (('cat', 'the'), ('cat',))
    """

    counts: Mapping[str, int] = field(default_factory=dict)

    def fresh(self) -> Self:
        """No value yet."""
        return type(self)()

    def update(self, block: Mapping[str, int] | pa.Array) -> Self:
        """Add words and their counts, or an array (token) of strings."""
        if isinstance(block, pa.Array | pa.ChunkedArray):
            found = pc.value_counts(block)
            block = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
        return self.merge(type(self)(block))

    def merge(self, other: Self) -> Self:
        """The counts of both."""
        counts = dict(self.counts)
        for word, count in other.counts.items():
            counts[word] = counts.get(word, 0) + count
        return type(self)(counts)

    def again(self) -> None:
        """None: one pass is enough."""
        return

    def words(self, min_count: int = 1, max_size: int | None = None) -> tuple[str, ...]:
        """The words sorted by code point; of more than `max_size` the most frequent, the first ones where they tie."""
        kept = sorted(word for word, count in self.counts.items() if count >= min_count)
        if max_size is not None and len(kept) > max_size:
            kept = sorted(sorted(kept, key=lambda word: -self.counts[word])[:max_size])
        return tuple(kept)

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON."""
        return {"counts": {word: self.counts[word] for word in sorted(self.counts)}}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """The statistic with a state that `to_json` gave."""
        return cls(dict(state["counts"]))
