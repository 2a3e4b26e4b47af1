"""Invalid lines: passed to the quarantine if it skips them, else reported together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from tensorize.core.contracts import Array, Mask
from tensorize.core.errors import SHOWN, DataError, plural, some
from tensorize.core.rejects import Reject, Rejects
from tensorize.readers.csv.rejects import within

_HEADLINES = {
    "json": "is not JSON|are not JSON",
    "cut off": "is cut off|are cut off",
    "object": "is not a JSON object|are not JSON objects",
    "duplicate": "has a key twice|have a key twice",
    "encoding": "is not valid text|are not valid text",
    "nested": "is nested too deep|are nested too deep",
}
_HINTS = {
    "json": "fix them",
    "cut off": "is the file whole? Fetch it again",
    "object": 'every row is an object, such as {"area": 80, "price": 250}',
    "duplicate": "rename one of the keys",
    "encoding": "say how the file is written, such as --encoding latin-1",
    "nested": "take the nested values out",
}


class BadLines:
    """Takes the invalid rows of all files. Memory grows with those that are left out, by 8 bytes each."""

    def __init__(self, rejects: Rejects, noun: str) -> None:
        self._rejects, self._noun = rejects, noun
        self._counts = Counter[str]()
        self._first: list[Reject] = []
        self._rows: list[int] = []

    @property
    def skips(self) -> bool:
        """Whether invalid rows are left out (`--on-bad skip`), not an error."""
        return self._rejects.skip

    def add(self, reject: Reject) -> None:
        """An invalid row."""
        assert reject.row is not None
        if self.skips:
            self._rejects.add(reject)
            self._rows.append(reject.row)
            return
        self._counts[reject.kind] += 1
        if len(self._first) < SHOWN:
            self._first.append(reject)

    @property
    def rows(self) -> Array:
        """(row) int64: the source rows that were left out, sorted, each once."""
        return np.unique(np.array(self._rows, dtype=np.int64))

    def within(self, start: int, count: int) -> Mask | None:
        """(row) bool: which of `count` rows from `start` were left out; None if none were."""
        return within(self.rows, start, count) if self._rows else None

    def check(self, encoding: str) -> None:
        """Raise DataError if there are invalid rows that are not left out."""
        total, kinds = self._counts.total(), list(self._counts)
        if not total:
            return
        lines = some([str(reject) for reject in self._first], total)
        if len(kinds) == 1:
            said = _HEADLINES[kinds[0]].split("|")[total > 1]
        else:
            said = "cannot be read"
            lines.append("in all: " + ", ".join(f"{count:,} {kind}" for kind, count in self._counts.most_common()))
        hints = [
            *([_HINTS[kind] for kind in kinds] if len(kinds) < 3 else ["fix them"]),
            "leave them out and list them: --on-bad skip",
        ]
        raise DataError(f"{plural(total, self._noun)} {said}", lines, "; or ".join(hints), self._fix(encoding))

    def _fix(self, encoding: str) -> dict[str, Any]:
        """Another encoding where the bytes are no text, else the rows are left out."""
        if set(self._counts) == {"encoding"} and encoding in ("utf-8-sig", "utf-8"):
            return {"encoding": "cp1252"}
        return {"on_bad": "skip"}
