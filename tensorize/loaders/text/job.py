"""A text on its way to tensors: the vocabulary of its train lines, then ids or one-hot rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tensorize.core.contracts import Array, Learned, Piece, Run, TensorSpec
from tensorize.core.errors import DataError, UsageError, plural, some
from tensorize.core.splits import sizes
from tensorize.core.threads import ordered_map
from tensorize.loaders.text.lines import Places
from tensorize.loaders.text.options import TextOptions
from tensorize.loaders.text.scan import TextChunk, TextScan
from tensorize.loaders.text.state import ASCII, Length, TextState, Vocabulary
from tensorize.statistics.vocabulary import VocabularyCounts

PIECE_BYTES = 8 << 20
_NEWLINE = ord("\n")
_CODES = 0x110000


@dataclass(frozen=True)
class Part:
    """The lines of one split, `first:stop`, 0-based."""

    name: str | None
    first: int
    stop: int


class TextJob:
    """See `tensorize.loaders.jobs.Job`."""

    def __init__(self, scan: TextScan, options: TextOptions, run: Run) -> None:
        self._scan, self._options, self._run = scan, options, run
        _check(options)
        self._parts = _parts(scan.lines, scan.places, options)
        self._notes: dict[str, None] = {}
        self._fresh = False
        self._unknown = 0

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    @property
    def _chars(self) -> bool:
        return self._options.level == "char"

    # what is learned --------------------------------------------------------------------------------------------

    def learn(self) -> tuple[Learned, ...]:
        self._fresh = True
        by_line = self._options.per == "line"
        vocabulary = None if self._options.is_ascii else Vocabulary(words=self._train_words(), padded=by_line)
        if vocabulary is not None and not vocabulary.words:
            raise DataError("no word is left for the vocabulary", hint="see --min-count, and which lines are train")
        length = Length(length=self._options.length or self._longest(self._parts[0])) if by_line else None
        return TextState(vocabulary, length).learned()

    def _train_words(self) -> tuple[str, ...]:
        """The vocabulary: of the train lines under a split, else of the whole text, whatever `--lines` picks."""
        names = None if self._chars else self._scan.words
        counts = np.zeros(_CODES if names is None else len(names), dtype=np.int64)
        train = self._parts[0] if self._options.split else Part(None, 0, self._scan.lines)

        def counted(chunk: TextChunk) -> Array:
            return np.bincount(chunk.ids[self._slice(chunk, train)])

        for found in ordered_map(counted, self._scan.chunks(), self._run.engine.workers):
            counts[: len(found)] += found
        if names is None:
            found_words = {chr(code): int(counts[code]) for code in np.flatnonzero(counts) if self._is_kept(int(code))}
        else:
            found_words = {word: int(count) for word, count in zip(names, counts, strict=True) if count}
        return VocabularyCounts(found_words).words(self._options.min_count, self._options.max_vocab)

    def _is_kept(self, code: int) -> bool:
        """A newline is no character of a line that stands alone."""
        return not (code == _NEWLINE and self._options.per == "line")

    def _longest(self, part: Part) -> int:
        longest = max((int(counts.max()) for _, _, counts in self._lines(part) if len(counts)), default=0)
        return max(longest, 1)

    # which tokens -----------------------------------------------------------------------------------------------

    def _slice(self, chunk: TextChunk, part: Part) -> slice:
        """The tokens of a chunk that lie in the lines of a part."""
        bounds = np.concatenate([[0], np.cumsum(chunk.counts)])
        first, stop = (min(max(line - chunk.line, 0), len(chunk.counts)) for line in (part.first, part.stop))
        end = int(bounds[stop])
        if (
            self._drops_newline(part)
            and stop > 0
            and part.stop - chunk.line == stop
            and not (chunk.open and stop == len(bounds) - 1)
        ):
            end -= 1
        return slice(int(bounds[first]), max(end, int(bounds[first])))

    def _drops_newline(self, part: Part) -> bool:
        """Lines that were picked are had without the newline that ends the last one."""
        return self._chars and self._options.lines is not None and part is self._parts[-1]

    def _lines(self, part: Part) -> Iterator[tuple[int, Array, Array]]:
        """The whole lines of a part: (first line, ids (token), counts (line)), newlines left out."""
        for line, ids, counts in _whole(self._scan.chunks()):
            first, stop = (min(max(edge - line, 0), len(counts)) for edge in (part.first, part.stop))
            if first == stop:
                continue
            bounds = np.concatenate([[0], np.cumsum(counts)])
            picked = ids[bounds[first] : bounds[stop]]
            counted = counts[first:stop]
            if self._chars:
                kept = picked != _NEWLINE
                before = np.concatenate([[0], np.cumsum(kept)])
                counted = np.diff(before[bounds[first : stop + 1] - bounds[first]])
                picked = picked[kept]
            yield line + first, picked, counted

    def _tokens(self, part: Part) -> int:
        """How many tokens a part has."""
        slices = (self._slice(chunk, part) for chunk in self._scan.chunks())
        return sum(piece.stop - piece.start for piece in slices)

    # the finished rows ------------------------------------------------------------------------------------------

    def layout(self, learned: Sequence[Learned]) -> tuple[TensorSpec, ...]:
        state = TextState.of(learned, self._options)
        if state.length is not None:
            self._check_lengths(state.length.length)
        return tuple(spec for part in self._parts for spec in self._specs(part, state))

    def _specs(self, part: Part, state: TextState) -> Iterator[TensorSpec]:
        by_line = state.length is not None
        rows = part.stop - part.first if by_line else self._tokens(part)
        if not rows:
            raise DataError(f"no token is left for {part.name or 'these lines'}", hint="pick other lines, or larger ratios")
        shape = (rows, state.length.length) if state.length else (rows,)
        axes = ("row", "token") if by_line else ("token",)
        labels = {"symbol": state.symbols}
        if self._options.encode == "ids":
            yield TensorSpec("ids", shape, state.id_dtype, axes, "input", split=part.name)
        else:
            yield TensorSpec("onehot", (*shape, state.width), "uint8", (*axes, "symbol"), "input", labels, part.name)
        if by_line:
            yield TensorSpec("lengths", (rows,), "int64", ("row",), "meta", split=part.name)
            yield TensorSpec("row", (rows,), "int64", ("row",), "meta", split=part.name)
            return
        yield TensorSpec("lengths", (part.stop - part.first,), "int64", ("line",), "meta", split=part.name)
        yield TensorSpec("row", (part.stop - part.first,), "int64", ("line",), "meta", split=part.name)

    def _check_lengths(self, length: int) -> None:
        """Cut longer lines where a length was given, and count them; else refuse them."""
        longer: list[str] = []
        total = 0
        for part in self._parts:
            for line, _, counts in self._lines(part):
                over = np.flatnonzero(counts > length)
                total += len(over)
                shown = over[: 5 - len(longer)]
                lines = [int(self._scan.places.source(line + at, line + at + 1)[0]) for at in shown]
                longer += [f"line {place + 1:,}  {counts[at]:,} tokens" for place, at in zip(lines, shown, strict=True)]
        if not total:
            return
        if self._options.length is None:
            said = f"{plural(total, 'line is', 'lines are')} longer than the longest train line, of {plural(length, 'token')}"
            raise DataError(said, some(longer, total), "say --length N: longer lines are cut there")
        self._notes[f"{plural(total, 'line')} cut at {plural(length, 'token')}"] = None

    def texts(self) -> Mapping[str, Sequence[str]]:
        return {}

    def pieces(self, learned: Sequence[Learned]) -> Iterator[Piece]:
        state = TextState.of(learned, self._options)
        final = _Final(state, self._scan.words, self._chars)
        for part in self._parts:
            yield from self._rows(part, state, final) if state.length else self._document(part, state, final)
        if self._unknown:
            said = "outside ASCII, now 0" if state.vocabulary is None else "outside the vocabulary, now <unk>"
            noun = "character" if self._chars else "word"
            self._notes[f"{plural(self._unknown, f'{noun} is', f'{noun}s are')} {said}"] = None

    def _document(self, part: Part, state: TextState, final: _Final) -> Iterator[Piece]:
        def finished(chunk: TextChunk) -> tuple[Array, int]:
            return final(chunk.ids[self._slice(chunk, part)])

        chunks = (chunk for chunk in self._scan.chunks() if chunk.line < part.stop)
        for ids, unknown in ordered_map(finished, chunks, self._run.engine.workers):
            self._unknown += unknown
            yield from self._encoded(part, state, ids, {})
        for line, lengths in self._lengths(part):
            yield Piece(part.name, {"lengths": lengths, "row": self._scan.places.source(line, line + len(lengths))})

    def _lengths(self, part: Part) -> Iterator[tuple[int, Array]]:
        """(first line, tokens in each line) of a part; a line that is torn apart is counted as one."""
        held: int | None = None
        for chunk in self._scan.chunks():
            first, stop = (min(max(edge - chunk.line, 0), len(chunk.counts)) for edge in (part.first, part.stop))
            if first == stop:
                continue
            picked = self._slice(chunk, part)
            counts = chunk.counts[first:stop].copy()
            counts[-1] -= int(counts.sum()) - (picked.stop - picked.start)
            counts[0] += held or 0
            goes_on = chunk.open and stop == len(chunk.counts)
            held = int(counts[-1]) if goes_on else None
            yield chunk.line + first, counts[:-1] if goes_on else counts
        if held is not None:
            yield part.stop - 1, np.array([held])

    def _rows(self, part: Part, state: TextState, final: _Final) -> Iterator[Piece]:
        assert state.length is not None
        length = state.length.length
        for line, ids, counts in self._lines(part):
            known, unknown = final(ids)
            self._unknown += unknown
            starts = np.cumsum(counts) - counts
            within = np.arange(len(ids)) - np.repeat(starts, counts)
            at = np.repeat(np.arange(len(counts)), counts)
            step = max(1, PIECE_BYTES // length)
            for first in range(0, len(counts), step):
                stop = min(first + step, len(counts))
                mask = (at >= first) & (at < stop) & (within < length)
                padded = np.zeros((stop - first, length), dtype=known.dtype)
                padded[at[mask] - first, within[mask]] = known[mask]
                lengths = np.minimum(counts[first:stop], length)
                rows = self._scan.places.source(line + first, line + stop)
                yield from self._encoded(part, state, padded, {"lengths": lengths, "row": rows})

    def _encoded(self, part: Part, state: TextState, ids: Array, others: Mapping[str, Array]) -> Iterator[Piece]:
        """Pieces of ids (row[, token]), or of one-hot rows, a few MB at a time."""
        if self._options.encode == "ids":
            if len(ids):
                yield Piece(part.name, {"ids": ids, **others})
            return
        step = max(1, PIECE_BYTES // (state.width * (ids.shape[1] if ids.ndim > 1 else 1)))
        for first in range(0, len(ids), step):
            block = ids[first : first + step]
            onehot = np.zeros((*block.shape, state.width), dtype=np.uint8)
            np.put_along_axis(onehot, block[..., None].astype(np.int64), 1, axis=-1)
            yield Piece(part.name, {"onehot": onehot} | {name: values[first : first + step] for name, values in others.items()})

    def describe(self, tensor: str, learned: Sequence[Learned]) -> str:
        state = TextState.of(learned, self._options)
        if tensor not in ("ids", "onehot"):
            return {"lengths": "tokens in each line", "row": "source line"}.get(tensor, "")
        made = "one-hot" if tensor == "onehot" else "ids"
        if state.vocabulary is None:
            return f"{made} of the {ASCII} ASCII codes"
        noun = "character" if self._chars else "word"
        train = "train" if self._options.split else "the whole text"
        return f"{made} of {plural(len(state.vocabulary.words), noun)} {f'of {train}' if self._fresh else 'as the recipe says'}"


class _Final:
    """Provisional ids (token) → those of the recipe, and how many of them are unknown."""

    def __init__(self, state: TextState, words: Sequence[str], chars: bool) -> None:
        self._vocabulary = state.vocabulary
        if state.vocabulary is None:
            return
        if chars:
            table = np.full(_CODES, state.vocabulary.unknown, dtype=state.id_dtype)
            for char, index in state.vocabulary.ids.items():
                table[ord(char)] = index
        else:
            known, unknown = state.vocabulary.ids, state.vocabulary.unknown
            table = np.array([known.get(word, unknown) for word in words], dtype=state.id_dtype)
        self._table = table

    def __call__(self, ids: Array) -> tuple[Array, int]:
        if self._vocabulary is None:
            beyond = ids >= ASCII
            count = int(np.count_nonzero(beyond))
            return (np.where(beyond, 0, ids) if count else ids).astype(np.uint8, copy=False), count
        found: Array = np.take(self._table, ids)
        return found, int(np.count_nonzero(found == self._vocabulary.unknown))


def _check(options: TextOptions) -> None:
    """Raise UsageError for options that do nothing together."""
    if options.length is not None and options.per != "line":
        raise UsageError("--length pads lines", hint="say --per line, too")
    if options.level == "word" and options.charset != "ascii":
        raise UsageError("--charset is for --level char")
    if options.is_ascii and (options.min_count > 1 or options.max_vocab is not None):
        raise UsageError(
            "the ASCII codes are no vocabulary: --min-count and --max-vocab mean nothing here",
            hint="say --level word, or --charset corpus",
        )


def _parts(kept: int, places: Places, options: TextOptions) -> tuple[Part, ...]:
    """The kept lines of each split: the first ones are train. `--lines` counts those of the source.

    Raises UsageError for lines that the text has not.
    """
    lines, (first, last) = kept + len(places), options.lines or (1, None)
    last = lines if last is None else last
    if last > lines or first > lines:
        raise UsageError(f"--lines {first}:{last}: the text has {plural(lines, 'line')}")
    first, last = places.kept_before(first - 1) + 1, places.kept_before(last)
    if first > last:
        raise DataError("none of these lines is left", hint="--rejects FILE lists what was left out")
    if not options.split:
        return (Part(None, first - 1, last),)
    counts = sizes(last - first + 1, options.split)
    if 0 in counts:
        raise DataError(f"{plural(last - first + 1, 'line')} cannot be split by {options.split}", hint="give fewer parts")
    edges = np.cumsum([first - 1, *counts]).tolist()
    return tuple(Part(*part) for part in zip(options.split_names, edges, edges[1:], strict=False))


def _whole(chunks: Iterator[TextChunk]) -> Iterator[tuple[int, Array, Array]]:
    """Chunks as (first line, ids, counts) of whole lines: a line that is torn apart is put together."""
    line, held = 0, None
    for chunk in chunks:
        ids, counts = chunk.ids, chunk.counts
        if held is not None:
            ids = np.concatenate([held, ids])
            counts = np.concatenate([[counts[0] + len(held)], counts[1:]])
            held = None
        if chunk.open:
            end = len(ids) - int(counts[-1])
            ids, held, counts = ids[:end], ids[end:], counts[:-1]
        line = chunk.line
        yield line, ids, counts
        line += len(counts)
    if held is not None:
        yield line, held, np.array([len(held)])
