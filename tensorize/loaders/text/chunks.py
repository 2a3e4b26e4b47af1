"""Tokens in the engine's store, chunk by chunk, and the lines that they belong to.

The functions here run in an engine's workers: they read chunks from the store, and every argument can be pickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tensorize.core.contracts import Array, ScratchStore

NEWLINE = ord("\n")


@dataclass(frozen=True)
class Chunk:
    """A run of tokens in the store under `ref`: `ids` (token) integers and `counts` (line) int64, tokens in each line.

    line: the 0-based kept line in which it starts, which may have started in an earlier chunk.
    lines: how many lines it touches.
    open: its last line continues in the next chunk, or ends the text without a newline.
    """

    line: int
    lines: int
    open: bool
    ref: Any


L = TypeVar("L", Chunk, "WholeLines")


@dataclass(frozen=True)
class SplitLines:
    """The kept lines of one split, `first:stop`, 0-based; with `bare` the last one is taken without its newline."""

    name: str | None
    first: int
    stop: int
    bare: bool = False

    def within(self, line: int, lines: int) -> tuple[int, int]:
        """Which of the lines `line:line + lines` are in this part: (first, stop), counted from `line`."""
        return min(max(self.first - line, 0), lines), min(max(self.stop - line, 0), lines)

    def among(self, items: Iterable[L]) -> Iterator[L]:
        """The chunks, or whole lines, that have lines of this part."""
        for item in items:
            first, stop = self.within(item.line, item.lines)
            if first < stop:
                yield item


def tokens_of(part: SplitLines, chunk: Chunk, counts: Array) -> slice:
    """The positions of a chunk's tokens that lie in the lines of a part; `counts` (line) int64 are the tokens of each line."""
    bounds = np.concatenate([[0], np.cumsum(counts)])
    first, stop = part.within(chunk.line, chunk.lines)
    end = int(bounds[stop])
    at_end = stop > 0 and part.stop - chunk.line == stop
    if part.bare and at_end and not (chunk.open and stop == chunk.lines):
        end -= 1
    return slice(int(bounds[first]), max(end, int(bounds[first])))


def count_ids(store: ScratchStore, part: SplitLines, chunk: Chunk) -> Array:
    """(id) int64: how often each id occurs in the lines of a part."""
    held = store.load(chunk.ref)
    found: Array = np.bincount(held["ids"][tokens_of(part, chunk, held["counts"])])
    return found


def count_tokens(store: ScratchStore, part: SplitLines, chunk: Chunk) -> int:
    """How many tokens of a chunk lie in the lines of a part."""
    picked = tokens_of(part, chunk, store.load(chunk.ref, ["counts"])["counts"])
    return int(picked.stop - picked.start)


def count_from(first: int, store: ScratchStore, part: SplitLines, chunk: Chunk) -> int:
    """How many ids from `first` on a chunk holds in the lines of a part."""
    held = store.load(chunk.ref)
    return int(np.count_nonzero(held["ids"][tokens_of(part, chunk, held["counts"])] >= first))


def line_counts(store: ScratchStore, part: SplitLines, chunk: Chunk) -> Array:
    """(line) int64: tokens in each line of a part that this chunk touches, as far as they lie in this chunk."""
    counts = store.load(chunk.ref, ["counts"])["counts"]
    first, stop = part.within(chunk.line, chunk.lines)
    picked = tokens_of(part, chunk, counts)
    found: Array = counts[first:stop].copy()
    found[-1] -= int(found.sum()) - (picked.stop - picked.start)
    return found


@dataclass(frozen=True)
class WholeLines:
    """The lines `line:line + lines`, complete: they end in the last of `chunks`, and the first one starts in the first.

    ended: the last line ends with a newline, which only the last line of a text may lack.
    """

    line: int
    lines: int
    chunks: tuple[Chunk, ...]
    ended: bool

    def counts(self, store: ScratchStore) -> Array:
        """(line) int64: tokens in each line; at the level of characters the newline is one."""
        return self._joined([store.load(chunk.ref, ["counts"])["counts"] for chunk in self.chunks])

    def tokens(self, store: ScratchStore) -> tuple[Array, Array]:
        """(ids (token), `counts` (line))."""
        held = [store.load(chunk.ref) for chunk in self.chunks]
        tails = held[:-1] if self.ended else held
        ids = [item["ids"][len(item["ids"]) - int(item["counts"][-1]) :] for item in tails]
        if self.ended:
            ids.append(held[-1]["ids"][: int(held[-1]["counts"][: self.lines].sum())])
        return ids[0] if len(ids) == 1 else np.concatenate(ids), self._joined([item["counts"] for item in held])

    def _joined(self, counts: list[Array]) -> Array:
        """The counts of each chunk → those of the lines: a line that starts in an earlier chunk is added up."""
        if not self.ended:
            return np.array([sum(int(item[-1]) for item in counts)])
        found: Array = counts[-1][: self.lines]
        if len(counts) > 1:
            found = found.copy()
            found[0] += sum(int(item[-1]) for item in counts[:-1])
        return found


def whole_lines(chunks: Iterable[Chunk]) -> Iterator[WholeLines]:
    """Group chunks so that no line is torn."""
    held: list[Chunk] = []
    for chunk in chunks:
        complete = chunk.lines - chunk.open
        if complete:
            yield WholeLines(chunk.line, complete, (*held, chunk), ended=True)
            held = []
        if chunk.open:
            held.append(chunk)
    if held:
        yield WholeLines(held[0].line + held[0].lines - 1, 1, tuple(held), ended=False)


def line_lengths(store: ScratchStore, part: SplitLines, chars: bool, lines: WholeLines) -> Array:
    """(line) int64: tokens in each of these lines that is in a part, without the newlines."""
    first, stop = part.within(lines.line, lines.lines)
    counts = lines.counts(store)[first:stop]
    return counts - 1 if chars and lines.ended else counts
