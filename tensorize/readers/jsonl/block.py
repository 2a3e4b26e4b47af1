"""Read one block of lines, by the fast parser if it is sure to agree, else line by line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tensorize.engine.packed import Packed, pack
from tensorize.readers.jsonl.cells import Leaf
from tensorize.readers.jsonl.exact import BadLine, ReadLines, exact
from tensorize.readers.jsonl.fast import KeyGuess, fast, guess_of
from tensorize.readers.jsonl.lines import BlockLines, lines_of

GUESS_BYTES = 64 << 10


@dataclass(frozen=True)
class BlockFacts:
    """What is remembered of a block once its cells are kept elsewhere."""

    rows: int
    size: int
    """Bytes of the block."""
    blanks: npt.NDArray[np.int32]
    """(blank line) how many rows are before it in the block."""
    leaves: tuple[Leaf, ...]
    columns: frozenset[str]
    """The columns of which it holds anything."""
    bad: tuple[tuple[BadLine, str], ...]
    """Each invalid line, and how it is written."""
    nans: int


@dataclass(frozen=True)
class ReadLineBlock:
    """Turns a block into what is remembered of it and its cells, packed."""

    guess: KeyGuess
    flatten: int

    def __call__(self, data: bytes) -> tuple[BlockFacts, Packed]:
        lines = lines_of(data)
        read = _read(lines, self.flatten, self.guess)
        return _found(lines, read, len(data)), Packed(pack(read.columns).columns, lines.count)


def _read(lines: BlockLines, flatten: int, guess: KeyGuess) -> ReadLines:
    read = fast(lines.data, lines.count, flatten, guess) if lines.are_objects and lines.count else None
    return read or exact(lines.all, flatten, lines.cut_off)


def _found(lines: BlockLines, read: ReadLines, size: int) -> BlockFacts:
    every = lines.all if read.bad else []
    bad = tuple((item, every[item.row].decode("utf-8", "surrogateescape")) for item in read.bad)
    return BlockFacts(lines.count, size, lines.blanks, tuple(read.leaves), frozenset(read.columns), bad, read.nans)


def first_guess(data: bytes) -> KeyGuess:
    """What the first lines of a file let expect of the others."""
    head = lines_of(data[: data.rfind(b"\n", 0, GUESS_BYTES) + 1] or data)
    return guess_of(head.data, head.count) if head.are_objects and head.count else KeyGuess()
