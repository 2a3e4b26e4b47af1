"""Where rows stand: from a source row to a file and a line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tensorize.readers.csv.blocks import Block
from tensorize.readers.csv.parse_block import Summary
from tensorize.readers.csv.tokenizer import Record, count_lines


@dataclass(frozen=True)
class _Mark:
    """Where a block begins."""

    file: int
    number: int
    """The block's place in its file."""
    row: int
    line: int
    is_plain: bool
    """Whether every row of it takes one line."""
    single: bool
    """Whether a blank line of it is a row."""


class Places:
    """Remembers the first row and line of every block. A block whose rows take several lines is parsed again."""

    def __init__(self, blocks: Callable[[int], Iterator[Block]], records: Callable[[int, Block], Iterator[Record]]) -> None:
        self._blocks, self._records = blocks, records
        self._names: list[str] = []
        self._marks: list[_Mark] = []
        self._row = self._line = self._number = 0

    def start(self, name: str, line: int) -> None:
        """The next block is the first one of a file, after so many lines."""
        self._names.append(name)
        self._line, self._number = line, 0

    def add(self, read: Summary) -> None:
        """A block was read."""
        is_plain = read.lines - read.rows in (0, -1) and not read.blanks
        self._marks.append(_Mark(len(self._names) - 1, self._number, self._row, self._line, is_plain, read.blank_is_row))
        self._row, self._line, self._number = self._row + read.rows, self._line + read.lines, self._number + 1

    @property
    def next_row(self) -> int:
        """The source row of the first row of the block to come."""
        return self._row

    @property
    def next_line(self) -> int:
        """The lines before it."""
        return self._line

    @property
    def name(self) -> str:
        """The file that is being read."""
        return self._names[-1]

    def row(self, block: int) -> int:
        """The source row of the first row of a block."""
        return self._marks[block].row

    def file(self, block: int) -> int:
        """The file of a block."""
        return self._marks[block].file

    def lines(self, rows: Sequence[int]) -> dict[int, tuple[str, int]]:
        """Source row → (file, 1-based line)."""
        starts = [mark.row for mark in self._marks]
        found: dict[int, tuple[str, int]] = {}
        hard: dict[int, dict[int, list[int]]] = {}
        for row in dict.fromkeys(rows):
            mark = self._marks[bisect_right(starts, row) - 1]
            if mark.is_plain:
                found[row] = self._names[mark.file], mark.line + row - mark.row + 1
            else:
                hard.setdefault(mark.file, {}).setdefault(bisect_right(starts, row) - 1, []).append(row)
        for file, wanted in hard.items():
            found |= self._searched(file, wanted)
        return found

    def _searched(self, file: int, wanted: dict[int, list[int]]) -> dict[int, tuple[str, int]]:
        """Cut a file again, and parse the blocks whose rows are wanted."""
        found = {}
        numbers = {self._marks[index].number: index for index in wanted}
        for number, block in enumerate(islice(self._blocks(file), max(numbers) + 1)):
            if number not in numbers:
                continue
            mark = self._marks[numbers[number]]
            lines = {mark.row + at: line for at, line in enumerate(_row_lines(block, self._records(file, block), mark.single))}
            for row in wanted[numbers[number]]:
                found[row] = self._names[file], mark.line + lines[row] + 1
        return found

    def of(self, rows: Sequence[int]) -> dict[int, str]:
        """Source row → such as `houses.csv:212`."""
        return {row: f"{name}:{line}" for row, (name, line) in self.lines(rows).items()}


def _row_lines(block: Block, records: Iterable[Record], single: bool) -> Iterator[int]:
    """The line of each row of a block; with `single` each blank line is a row."""
    for record in records:
        if record.cells or record.fault:
            yield record.line
        elif single:
            yield from range(record.line, record.line + count_lines(block.data, record.start, record.stop))
