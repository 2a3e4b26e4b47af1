"""Look through a text once: every token as a provisional id in scratch, and how many there are in each line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Self

import numpy as np
import pyarrow as pa

from tensorize.core.contracts import Array, Facts, Run
from tensorize.core.errors import DataError, plural
from tensorize.core.rejects import Reject
from tensorize.core.schema import Schema
from tensorize.core.threads import ordered_map
from tensorize.engine.scratch import Scratch
from tensorize.loaders.text.lines import Places, good_lines
from tensorize.loaders.text.options import TextOptions
from tensorize.loaders.text.source import TextFile, text_pieces, too_long, undecodable
from tensorize.loaders.text.tokens import Tokens, Words, ascii_codes, characters, cut


@dataclass(frozen=True)
class TextChunk:
    """Tokens in text order. `counts` (line) says how many belong to each line from `line` on.

    The first line may go on from the chunk before, and the last one goes on in the next where the chunk is `open`.
    """

    line: int
    counts: Array
    open: bool
    _read: Callable[[], Array]

    @cached_property
    def ids(self) -> Array:
        """(token) code points, or places in `TextScan.words`; read from scratch when they are asked for."""
        return self._read()


@dataclass(frozen=True)
class _Stored:
    line: int
    at: int
    size: int
    dtype: str
    lines: int
    open: bool


class TextScan:
    """See `tensorize.core.contracts.Opened`."""

    schema = Schema()

    def __init__(self, files: Sequence[TextFile], options: TextOptions, run: Run) -> None:
        self._scratch, self._stored = Scratch(run.engine.store.folder), list[_Stored]()
        self.lines, self.tokens, self._line, self._open = 0, 0, 0, False
        self._words = Words(options.case == "lower")
        self.places = Places()
        self._total, self._done = sum(file.size for file in files), 0
        try:
            for file in files:
                self._read(file, options, run)
        except BaseException:
            self._scratch.close()
            raise
        self.lines = self._line + self._open
        run.rejects.saw(self.lines + len(self.places), "line")
        self._check(run)
        names = files[0].name if len(files) == 1 else f"{files[0].name} … {files[-1].name}"
        if not self.tokens:
            self._scratch.close()
            raise DataError(
                f"{names} holds no {'character' if options.level == 'char' else 'word'}",
                [f"{plural(self.lines, 'line')}, {plural(self._total, 'byte')}"],
            )
        noun = "character" if options.level == "char" else "word"
        self.facts = Facts(names, len(files), self._total, f"{plural(self.lines, 'line')} × {plural(self.tokens, noun)}")

    @property
    def words(self) -> list[str]:
        """Every word of the text, in the order of meeting; empty at the level of characters."""
        return list(self._words.words)

    def _read(self, file: TextFile, options: TextOptions, run: Run) -> None:
        if self._open:
            self._keep(_newline(options))
        by_word = options.level == "word"
        sized = _sized(self._pieces(file, options, run), self)
        try:
            if by_word:
                for piece in ordered_map(cut, sized, run.engine.workers):
                    self._keep(self._words.place(piece))
                    self._check_words(file, options)
                    run.report("read", min(self._done, self._total), self._total)
                return
            take_apart = ascii_codes if options.is_ascii else characters
            for tokens in ordered_map(partial(take_apart, lower=options.case == "lower"), sized, run.engine.workers):
                self._keep(tokens)
                run.report("read", min(self._done, self._total), self._total)
        except (UnicodeDecodeError, pa.ArrowInvalid):
            raise undecodable(file, options.encoding) from None

    def _pieces(self, file: TextFile, options: TextOptions, run: Run) -> Iterator[bytes]:
        """The text of a file; where bad lines may be left out, without them."""
        if not run.rejects.skip:
            return text_pieces(file, options, run.partition_bytes)
        before = self._line + len(self.places)

        def bad(line: int, raw: str) -> None:
            self.places.leave_out(before + line)
            what = f"not {options.encoding} text"
            run.rejects.add(Reject(file.name, "encoding", what, row=before + line, line=line + 1, raw=raw))

        return good_lines(file, options, run.partition_bytes, bad)

    def _check_words(self, file: TextFile, options: TextOptions) -> None:
        """Raise DataError for a word that is too long, and for too many of them."""
        if self._words.longest > options.max_word:
            raise too_long(file, "word", options.max_word)
        most = options.max_distinct
        if len(self._words.words) > most:
            hint = f"is it text? --level char holds none; or allow more: --max-distinct {10 * most}"
            raise DataError(f"{file.name} has more than {most:,} distinct words", hint=hint)

    def _check(self, run: Run) -> None:
        try:
            run.rejects.check()
        except BaseException:
            self._scratch.close()
            raise

    def count(self, size: int) -> None:
        """Note that so many bytes went by, for the progress."""
        self._done += size

    def _keep(self, tokens: Tokens) -> None:
        """Put a piece away; it begins in the line in which the last one ended."""
        ids = np.ascontiguousarray(tokens.ids)
        at = self._scratch.append(ids.data.cast("B") if ids.size else b"")
        self._scratch.append(tokens.counts.astype(np.int64).tobytes())
        self._stored.append(_Stored(self._line, at, ids.nbytes, ids.dtype.str, len(tokens.counts), tokens.open))
        self._line += len(tokens.counts) - tokens.open
        self._open = tokens.open
        self.tokens += len(ids)

    def chunks(self) -> Iterator[TextChunk]:
        for item in self._stored:
            counts = np.frombuffer(self._scratch.read(item.at + item.size, item.lines * 8), np.int64)
            yield TextChunk(item.line, counts, item.open, partial(self._ids, item))

    def _ids(self, item: _Stored) -> Array:
        return np.frombuffer(self._scratch.read(item.at, item.size), item.dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()


def _newline(options: TextOptions) -> Tokens:
    """The end of a file that lacks its last newline, where another file follows."""
    by_word = options.level == "word"
    return Tokens(np.array([] if by_word else [10], np.uint8), np.array([0 if by_word else 1]), open=False)


def _sized(given: Iterator[bytes], scan: TextScan) -> Iterator[bytes]:
    for piece in given:
        scan.count(len(piece))
        yield piece
