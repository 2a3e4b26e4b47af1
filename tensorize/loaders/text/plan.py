"""Decide everything about a text: the splits, the vocabulary of its train lines, and the shape of every tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tensorize.core.contracts import Array, Learned, Plan, Run, TensorSpec
from tensorize.core.errors import DataError, UsageError, plural, some
from tensorize.core.splits import sizes
from tensorize.loaders.text.chunks import NEWLINE, SplitLines, count_from, count_ids, count_tokens, line_lengths, whole_lines
from tensorize.loaders.text.opened import OpenedText
from tensorize.loaders.text.options import TextOptions
from tensorize.loaders.text.state import ASCII, Length, TextState, TextVocabulary
from tensorize.statistics.vocabulary import VocabularyCounts

CODE_POINTS = 0x110000


@dataclass(frozen=True)
class TextPlan:
    """The state of a `Plan` for text."""

    options: TextOptions
    parts: tuple[SplitLines, ...]
    """The lines of each split."""
    state: TextState
    """What the recipe holds."""


def learn(rows: OpenedText, options: TextOptions, run: Run) -> Plan:
    """Learn the vocabulary, and with `--per line` the length, from the train lines.

    Raises UsageError for options that exclude each other and lines that the text lacks, DataError if no word or no token is
    left, or a line is too long.
    """
    parts = _parts(rows, options)
    by_line = options.per == "line"
    vocabulary = None if options.is_ascii else TextVocabulary(words=_train_words(rows, parts, options, run), padded=by_line)
    if vocabulary is not None and not vocabulary.words:
        raise DataError("no word is left for the vocabulary", hint="see --min-count, and which lines are train")
    length = Length(length=options.length or _longest(rows, parts[0], options, run)) if by_line else None
    state = TextState(vocabulary, length)
    origin = f"of {'train' if options.split else 'the whole text'}"
    return _plan(rows, TextPlan(options, parts, state), run, state.learned(), origin)


def plan(rows: OpenedText, options: TextOptions, run: Run, learned: Sequence[Learned]) -> Plan:
    """Take everything from a recipe. Raises RecipeError if its steps do not fit the options, and errors as `learn`."""
    parts = _parts(rows, options)
    own = TextPlan(options, parts, TextState.of(learned, options))
    return _plan(rows, own, run, tuple(learned), "as the recipe says")


def _plan(rows: OpenedText, own: TextPlan, run: Run, learned: tuple[Learned, ...], origin: str) -> Plan:
    notes = (*rows.notes, *_check_lengths(rows, own, run), *_beyond_ascii(rows, own, run))
    specs = tuple(spec for part in own.parts for spec in _specs(rows, part, own, run))
    made = {spec.name: _described(spec.name, own, origin) for spec in specs}
    return Plan(learned, specs, notes=notes, made=made, state=own)


def _parts(rows: OpenedText, options: TextOptions) -> tuple[SplitLines, ...]:
    """The kept lines of each split: the first ones are train. `--lines` counts those of the source.

    Raises UsageError for lines that the text lacks, and for options that exclude each other.
    """
    _check_options(options)
    source, (first, last) = rows.source_lines, options.lines or (1, None)
    lines = rows.lines + len(source)
    last = lines if last is None else last
    if last > lines or first > lines:
        raise UsageError(f"--lines {first}:{last}: the text has {plural(lines, 'line')}")
    first, last = source.kept_before(first - 1) + 1, source.kept_before(last)
    if first > last:
        raise DataError("none of these lines is left", hint="--rejects FILE lists what was left out")
    bare = options.level == "char" and options.lines is not None
    if not options.split:
        return (SplitLines(None, first - 1, last, bare),)
    counts = sizes(last - first + 1, options.split)
    if 0 in counts:
        raise DataError(f"{plural(last - first + 1, 'line')} cannot be split by {options.split}", hint="give fewer parts")
    edges, names = np.cumsum([first - 1, *counts]).tolist(), options.split_names
    found = zip(names, edges, edges[1:], strict=False)
    return tuple(SplitLines(name, start, stop, bare and name == names[-1]) for name, start, stop in found)


def _check_options(options: TextOptions) -> None:
    """Raise UsageError for options that exclude each other."""
    if options.length is not None and options.per != "line":
        raise UsageError("--length pads lines", hint="say --per line, too")
    if options.level == "word" and options.charset != "ascii":
        raise UsageError("--charset is for --level char")
    if options.is_ascii and (options.min_count > 1 or options.max_vocab is not None):
        raise UsageError(
            "the ASCII codes are no vocabulary: --min-count and --max-vocab mean nothing here",
            hint="say --level word, or --charset corpus",
        )


def _train_words(rows: OpenedText, parts: Sequence[SplitLines], options: TextOptions, run: Run) -> tuple[str, ...]:
    """The vocabulary: of the train lines under a split, else of the whole text, whatever `--lines` picks."""
    chars = options.level == "char"
    counts = np.zeros(CODE_POINTS if chars else len(rows.words), dtype=np.int64)
    train = parts[0] if options.split else SplitLines(None, 0, rows.lines)
    for found in run.engine.map(partial(count_ids, run.engine.store, train), train.among(rows.chunks)):
        counts[: len(found)] += found
    if chars:
        kept = (int(code) for code in np.flatnonzero(counts))
        # a single line has no newline
        words = {chr(code): int(counts[code]) for code in kept if not (code == NEWLINE and options.per == "line")}
    else:
        words = {word: int(count) for word, count in zip(rows.words, counts, strict=True) if count}
    return VocabularyCounts(words).words(options.min_count, options.max_vocab)


def _lengths(rows: OpenedText, part: SplitLines, options: TextOptions, run: Run) -> Iterator[tuple[int, Array]]:
    """(first line, tokens in each line) of a part, without the newlines."""
    lines = list(part.among(whole_lines(rows.chunks)))
    found = run.engine.map(partial(line_lengths, run.engine.store, part, options.level == "char"), lines)
    for item, lengths in zip(lines, found, strict=True):
        yield max(item.line, part.first), lengths


def _longest(rows: OpenedText, part: SplitLines, options: TextOptions, run: Run) -> int:
    return max([1, *(int(lengths.max()) for _, lengths in _lengths(rows, part, options, run))])


def _check_lengths(rows: OpenedText, own: TextPlan, run: Run) -> tuple[str, ...]:
    """The note on lines that are cut, where a length was given. Raises DataError for longer lines where none was."""
    if own.state.length is None:
        return ()
    length, longer, total = own.state.length.length, list[str](), 0
    for part in own.parts:
        for line, counts in _lengths(rows, part, own.options, run):
            over = np.flatnonzero(counts > length)
            total += len(over)
            for at in over[: 5 - len(longer)].tolist():
                place = int(rows.source_lines.source(line + at, line + at + 1)[0])
                longer.append(f"line {place + 1:,}  {counts[at]:,} tokens")
    if not total:
        return ()
    if own.options.length is None:
        said = f"{plural(total, 'line is', 'lines are')} longer than the longest train line, of {plural(length, 'token')}"
        raise DataError(said, some(longer, total), "say --length N: longer lines are cut there")
    return (f"{plural(total, 'line')} cut at {plural(length, 'token')}",)


def _beyond_ascii(rows: OpenedText, own: TextPlan, run: Run) -> Iterator[str]:
    """A note on the characters that the ASCII codes lack."""
    if own.state.vocabulary is not None or not rows.beyond_ascii:
        return
    count = partial(count_from, ASCII, run.engine.store)
    found = sum(sum(run.engine.map(partial(count, part), part.among(rows.chunks))) for part in own.parts)
    if found:
        total = sum(_tokens(rows, part, run) for part in own.parts)
        yield f"{found:,} of {plural(total, 'character')} {'is' if found == 1 else 'are'} outside ASCII, now 0"


def _specs(rows: OpenedText, part: SplitLines, own: TextPlan, run: Run) -> Iterator[TensorSpec]:
    state, lines = own.state, part.stop - part.first
    tokens = lines if state.length else _tokens(rows, part, run)
    if not tokens:
        raise DataError(f"no token is left for {part.name or 'these lines'}", hint="pick other lines, or larger ratios")
    shape = (tokens, state.length.length) if state.length else (tokens,)
    axes = ("row", "token") if state.length else ("token",)
    if own.options.encode == "ids":
        yield TensorSpec("ids", shape, state.id_dtype, axes, "input", split=part.name)
    else:
        labels = {"symbol": state.symbols}
        yield TensorSpec("onehot", (*shape, state.width), "uint8", (*axes, "symbol"), "input", labels, part.name)
    by = ("row",) if state.length else ("line",)
    yield TensorSpec("lengths", (lines,), "int64", by, "meta", split=part.name)
    yield TensorSpec("row", (lines,), "int64", by, "meta", split=part.name)


def _tokens(rows: OpenedText, part: SplitLines, run: Run) -> int:
    """How many tokens a part has."""
    return sum(run.engine.map(partial(count_tokens, run.engine.store, part), part.among(rows.chunks)))


def _described(tensor: str, own: TextPlan, origin: str) -> str:
    """A few words on how a tensor was made."""
    if tensor not in ("ids", "onehot"):
        return {"lengths": "tokens in each line", "row": "source line"}.get(tensor, "")
    made = "one-hot" if tensor == "onehot" else "ids"
    if own.state.vocabulary is None:
        return f"{made} of the {ASCII} ASCII codes"
    noun = "character" if own.options.level == "char" else "word"
    return f"{made} of {plural(len(own.state.vocabulary.words), noun)} {origin}"
