"""Finished rows of a text: ids as the recipe numbers them, or one-hot rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Self

import numpy as np

from tensorize.core.contracts import Array, Piece, Plan, Run, ScratchStore
from tensorize.core.errors import plural
from tensorize.loaders.text.chunks import NEWLINE, Chunk, SplitLines, WholeLines, line_counts, tokens_of, whole_lines
from tensorize.loaders.text.opened import OpenedText
from tensorize.loaders.text.plan import CODE_POINTS, TextPlan
from tensorize.loaders.text.state import ASCII, TextState

PIECE_BYTES = 8 << 20


@dataclass(frozen=True)
class Unknown:
    """How many tokens are outside the vocabulary."""

    count: int

    def merge(self, other: Self) -> Self:
        """Return the total of this and `other`."""
        return replace(self, count=self.count + other.count)


def pieces(plan: Plan, rows: OpenedText, run: Run) -> Iterator[Piece]:
    """The finished rows, split by split."""
    own: TextPlan = plan.state
    numbering = numbering_of(own.state, rows.words, own.options.level == "char")
    for part in own.parts:
        yield from (_lines if own.state.length else _document)(part, own, numbering, rows, run)


def finished(plan: Plan, found: Unknown | None) -> Plan:
    """The plan with a note on tokens outside the vocabulary. Those outside ASCII were noted before."""
    own: TextPlan = plan.state
    if found is None or own.state.vocabulary is None:
        return plan
    noun = "character" if own.options.level == "char" else "word"
    note = f"{plural(found.count, f'{noun} is', f'{noun}s are')} outside the vocabulary, now <unk>"
    return replace(plan, notes=(*plan.notes, note))


@dataclass(frozen=True)
class Numbering:
    """Provisional ids (token) → those of the recipe, and how many of them are unknown.

    table: (provisional id) in the recipe's dtype; None for the ASCII codes, which stay as they are.
    unknown: the id of `<unk>`.
    """

    table: Array | None = None
    unknown: int = 0

    def __call__(self, ids: Array) -> tuple[Array, int]:
        if self.table is None:
            beyond = ids >= ASCII
            count = int(np.count_nonzero(beyond))
            return (np.where(beyond, 0, ids) if count else ids).astype(np.uint8, copy=False), count
        found: Array = np.take(self.table, ids)
        return found, int(np.count_nonzero(found == self.unknown))


def numbering_of(state: TextState, words: Sequence[str], chars: bool) -> Numbering:
    """The numbering of a recipe; provisional ids are code points, or positions in `words`."""
    if state.vocabulary is None:
        return Numbering()
    known, unknown = state.vocabulary.ids, state.vocabulary.unknown
    if not chars:
        return Numbering(np.array([known.get(word, unknown) for word in words], dtype=state.id_dtype), unknown)
    table = np.full(CODE_POINTS, unknown, dtype=state.id_dtype)
    for char, index in known.items():
        table[ord(char)] = index
    return Numbering(table, unknown)


@dataclass(frozen=True)
class NumberChunk:
    """A chunk → the ids (token) of its lines in a part, and how many are unknown."""

    store: ScratchStore
    numbering: Numbering
    part: SplitLines

    def __call__(self, chunk: Chunk) -> tuple[Array, int]:
        held = self.store.load(chunk.ref)
        return self.numbering(held["ids"][tokens_of(self.part, chunk, held["counts"])])


def _document(part: SplitLines, own: TextPlan, numbering: Numbering, rows: OpenedText, run: Run) -> Iterator[Piece]:
    """One run of tokens, then `lengths` and `row` of its lines."""
    chunks = list(part.among(rows.chunks))
    for ids, unknown in run.engine.map(NumberChunk(run.engine.store, numbering, part), chunks):
        yield from _encoded(part.name, own, ids, unknown, {})
    at = part.first
    for lengths in _line_lengths(part, chunks, run):
        yield Piece(part.name, {"lengths": lengths, "row": rows.source_lines.source(at, at + len(lengths))})
        at += len(lengths)


def _line_lengths(part: SplitLines, chunks: Sequence[Chunk], run: Run) -> Iterator[Array]:
    """(line) int64, tokens in each line of a part, in order; a line over several chunks is counted as one."""
    held: int | None = None
    found = run.engine.map(partial(line_counts, run.engine.store, part), chunks)
    for chunk, counts in zip(chunks, found, strict=True):
        counts[0] += held or 0
        goes_on = chunk.open and part.stop >= chunk.line + chunk.lines
        held = int(counts[-1]) if goes_on else None
        yield counts[:-1] if goes_on else counts
    if held is not None:
        yield np.array([held])


class LineRange(NamedTuple):
    """The lines `first:stop` of some whole lines, counted from the first of those."""

    lines: WholeLines
    first: int
    stop: int


@dataclass(frozen=True)
class PadLines:
    """Lines → ids (row, token), padded with 0 or cut to `length`; the tokens of each (row); and how many are unknown."""

    store: ScratchStore
    numbering: Numbering
    length: int
    chars: bool

    def __call__(self, item: LineRange) -> tuple[Array, Array, int]:
        ids, counts = item.lines.tokens(self.store)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        ids, counts = ids[bounds[item.first] : bounds[item.stop]], counts[item.first : item.stop]
        if self.chars and item.lines.ended:
            ids, counts = ids[ids != NEWLINE], counts - 1
        known, unknown = self.numbering(ids)
        within = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
        row, kept = np.repeat(np.arange(len(counts)), counts), within < self.length
        padded = np.zeros((len(counts), self.length), dtype=known.dtype)
        padded[row[kept], within[kept]] = known[kept]
        return padded, np.minimum(counts, self.length), unknown


def _lines(part: SplitLines, own: TextPlan, numbering: Numbering, rows: OpenedText, run: Run) -> Iterator[Piece]:
    """One padded row for each line, with `lengths` and `row`."""
    assert own.state.length is not None
    length, at = own.state.length.length, part.first
    ranges = _ranges(part, rows.chunks, max(1, PIECE_BYTES // length))
    pad = PadLines(run.engine.store, numbering, length, own.options.level == "char")
    for ids, lengths, unknown in run.engine.map(pad, ranges):
        others = {"lengths": lengths, "row": rows.source_lines.source(at, at + len(ids))}
        yield from _encoded(part.name, own, ids, unknown, others)
        at += len(ids)


def _ranges(part: SplitLines, chunks: Sequence[Chunk], step: int) -> Iterator[LineRange]:
    """All lines of a part, at most `step` at a time."""
    for lines in whole_lines(chunks):
        first, stop = part.within(lines.line, lines.lines)
        for start in range(first, stop, step):
            yield LineRange(lines, start, min(start + step, stop))


def _encoded(split: str | None, own: TextPlan, ids: Array, unknown: int, others: Mapping[str, Array]) -> Iterator[Piece]:
    """Pieces of ids ([row,] token), or of one-hot rows, a few MB at a time."""
    found = Unknown(unknown) if unknown else None
    if own.options.encode == "ids":
        if len(ids):
            yield Piece(split, {"ids": ids, **others}, found)
        return
    width = own.state.width
    step = max(1, PIECE_BYTES // (width * (ids.shape[1] if ids.ndim > 1 else 1)))
    for first in range(0, len(ids), step):
        block = ids[first : first + step]
        onehot = np.zeros((*block.shape, width), dtype=np.uint8)
        np.put_along_axis(onehot, block[..., None].astype(np.int64), 1, axis=-1)
        values = {name: rows[first : first + step] for name, rows in others.items()}
        yield Piece(split, {"onehot": onehot} | values, found if first == 0 else None)
