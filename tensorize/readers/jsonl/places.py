"""Where rows stand: from a source row to a file and a line, blank lines counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class _Mark(NamedTuple):
    """Where a block begins, and its blank lines: see `Found.blanks`."""

    file: int
    row: int
    line: int
    blanks: npt.NDArray[np.int32]


class LinePlaces:
    """Remembers the first row and line of every block. Memory grows with the blank lines, by 4 bytes each."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._marks: list[_Mark] = []
        self._row = self._line = 0

    def start(self, name: str) -> None:
        """The next block is the first one of a file."""
        self._names.append(name)
        self._line = 0

    def add(self, rows: int, blanks: npt.NDArray[np.int32]) -> int:
        """A block was read; return its first source row."""
        start = self._row
        self._marks.append(_Mark(len(self._names) - 1, start, self._line, blanks))
        self._row, self._line = start + rows, self._line + rows + len(blanks)
        return start

    def line(self, row: int) -> tuple[str, int]:
        """(file, 1-based line) of a source row."""
        mark = self._marks[bisect_right(self._marks, row, key=lambda mark: mark.row) - 1]
        at = row - mark.row
        return self._names[mark.file], mark.line + at + int(np.searchsorted(mark.blanks, at, side="right")) + 1

    def of(self, rows: Sequence[int]) -> dict[int, str]:
        """Source row → such as `houses.jsonl:212`."""
        return {row: "{}:{}".format(*self.line(row)) for row in dict.fromkeys(rows)}
