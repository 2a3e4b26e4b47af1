"""Read a text once: every token goes to the engine's store as a provisional id, with the tokens in each line."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from tensorize.core.contracts import Facts, Run
from tensorize.core.errors import DataError, plural
from tensorize.core.rejects import Reject
from tensorize.core.schema import Schema
from tensorize.loaders.text.chunks import NEWLINE, Chunk
from tensorize.loaders.text.controls import Controls
from tensorize.loaders.text.lines import SourceLines, good_lines
from tensorize.loaders.text.options import TextOptions
from tensorize.loaders.text.source import TextFile, known_encoding, text_pieces, too_long, undecodable
from tensorize.loaders.text.tokens import Tokens, Words, ascii_codes, characters, split_words
from tensorize.sources.encodings import FIRST_BYTES, check_encoding, doubts
from tensorize.sources.files import InputFile, pieces


@dataclass(frozen=True)
class OpenedText:
    """A text whose tokens lie in the engine's store. See `tensorize.core.contracts.Opened`."""

    facts: Facts
    chunks: tuple[Chunk, ...]
    """In the order of the text. An id is a code point, or a position in `words`."""
    lines: int
    """Lines that are kept."""
    words: tuple[str, ...]
    """Every distinct word, in the order of first occurrence; empty at the level of characters."""
    source_lines: SourceLines
    beyond_ascii: bool = False
    """Whether there may be characters that the ASCII codes lack."""
    notes: tuple[str, ...] = ()
    """What makes it doubtful that the text is in the encoding."""
    schema: Schema = field(default_factory=Schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to release: the store belongs to the engine."""


def open_text(files: Sequence[TextFile], options: TextOptions, run: Run) -> OpenedText:
    """Read all files as one text.

    Raises DataError if a file is not text in the encoding, or the text holds no token, too many distinct words, a word
    that is too long, or too many invalid lines; UsageError for an unknown encoding.
    """
    reader = _Reader(options, run, sum(file.size for file in files))
    for file in files:
        reader.read(file)
    return reader.opened(files)


class _Reader:
    """Where reading is: the line, and what was found so far."""

    def __init__(self, options: TextOptions, run: Run, total: int) -> None:
        self._options, self._run, self._total, self._done = options, run, total, 0
        self._words, self._left_out = Words(options.case == "lower"), array("q")
        self._controls, self._doubts, self._beyond = Controls(), list[str](), False
        self._chunks, self._tokens, self._line, self._open = list[Chunk](), 0, 0, False

    def opened(self, files: Sequence[TextFile]) -> OpenedText:
        """The text, once every file was read. Raises DataError if it holds no token or too many invalid lines."""
        lines = self._line + self._open
        self._run.rejects.saw(lines + len(self._left_out), "line")
        self._run.rejects.check()
        name = files[0].name if len(files) == 1 else f"{files[0].name} … {files[-1].name}"
        noun = "character" if self._options.level == "char" else "word"
        if not self._tokens:
            sizes = f"{plural(lines, 'line')}, {plural(self._total, 'byte')}"
            raise DataError(f"{name} holds no {noun}", [sizes])
        facts = Facts(name, len(files), self._total, f"{plural(lines, 'line')} × {plural(self._tokens, noun)}")
        left_out = SourceLines(np.array(self._left_out))
        notes = (*dict.fromkeys(self._doubts), *self._controls.notes())
        return OpenedText(facts, tuple(self._chunks), lines, tuple(self._words.words), left_out, self._beyond, notes)

    def read(self, file: TextFile) -> None:
        """Read one file, the next of the text."""
        if isinstance(file, InputFile):
            self._check_encoding(file)
        if self._open:
            self._keep(_newline(self._options))
        try:
            for tokens in self._found(file):
                self._keep(tokens)
                if self._options.level == "word":
                    self._check_words(file)
                self._run.report("read", min(self._done, self._total), self._total)
        except (UnicodeDecodeError, pa.ArrowInvalid):
            raise undecodable(file, self._options.encoding) from None

    def _check_encoding(self, file: InputFile) -> None:
        """Look at the first bytes. Raises DataError if they speak against the encoding, UsageError for an unknown one."""
        encoding = known_encoding(file, self._options.encoding)
        first = next(pieces(file, FIRST_BYTES, self._options.max_expansion), b"")
        check_encoding(first, encoding, file.name)
        if doubt := doubts(first, encoding):
            self._doubts.append(f"{file.name}: {doubt}")

    def _found(self, file: TextFile) -> Iterator[Tokens]:
        """The tokens of each piece. Words get their ids here, in the order of the text."""
        options, given, run = self._options, self._pieces(file), self._run.engine.map
        if options.level == "word":
            return map(self._words.place, run(split_words, given))
        split = ascii_codes if options.is_ascii else characters
        return run(partial(split, lower=options.case == "lower"), given)

    def _pieces(self, file: TextFile) -> Iterator[bytes]:
        """UTF-8 pieces of a file; without the invalid lines where they may be left out."""
        options, size = self._options, self._run.partition_bytes
        given = self._good_lines(file) if self._run.rejects.skip else text_pieces(file, options, size)
        for piece in given:
            self._done += len(piece)
            self._controls.look(piece)
            self._beyond = self._beyond or not piece.isascii()
            yield piece

    def _good_lines(self, file: TextFile) -> Iterator[bytes]:
        before = self._line + len(self._left_out)

        def leave_out(line: int, raw: str) -> None:
            self._left_out.append(before + line)
            what = f"not {self._options.encoding} text"
            self._run.rejects.add(Reject(file.name, "encoding", what, row=before + line, line=line + 1, raw=raw))

        return good_lines(file, self._options, self._run.partition_bytes, leave_out)

    def _check_words(self, file: TextFile) -> None:
        """Raise DataError if a word is too long, or there are too many."""
        if self._words.longest > self._options.max_word:
            raise too_long(file, "word", self._options.max_word)
        most = self._options.max_distinct
        if len(self._words.words) > most:
            hint = f"is it text? --level char holds none; or allow more: --max-distinct {10 * most}"
            raise DataError(f"{file.name} has more than {most:,} distinct words", hint=hint)

    def _keep(self, tokens: Tokens) -> None:
        """Store a chunk; it starts in the line in which the last one ended."""
        ref = self._run.engine.store.keep({"ids": tokens.ids, "counts": tokens.counts.astype(np.int64, copy=False)})
        self._chunks.append(Chunk(self._line, len(tokens.counts), tokens.open, ref))
        self._line += len(tokens.counts) - tokens.open
        self._open = tokens.open
        self._tokens += len(tokens.ids)


def _newline(options: TextOptions) -> Tokens:
    """The newline that the last line of a file lacks, before the next file."""
    by_word = options.level == "word"
    return Tokens(np.array([] if by_word else [NEWLINE], np.uint8), np.array([0 if by_word else 1]), open=False)
