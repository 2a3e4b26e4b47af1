"""Lines that are not text in the encoding: left out, each with its position in the source."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tensorize.core.contracts import Array
from tensorize.loaders.text.options import TextOptions
from tensorize.loaders.text.source import TextFile, known_encoding, plain_newlines, too_long
from tensorize.sources.files import is_utf8, pieces, utf8

Bad = Callable[[int, str], None]
"""Called for each invalid line: its 0-based number in the file, and its text, with undecodable bytes as surrogates."""


def good_lines(file: TextFile, options: TextOptions, size: int, bad: Bad) -> Iterator[bytes]:
    r"""Yield UTF-8 pieces of about `size` bytes of whole lines, newlines as `\n`, without the invalid lines.

    Raises UnicodeDecodeError if an encoding cannot resume after an error (UTF-16, UTF-32), DataError if a line is longer
    than `--max-word`.
    """
    name = known_encoding(file, options.encoding)
    number, held = 0, b""
    for data in plain_newlines(_lenient(pieces(file, size, options.max_expansion), name)):
        held = held + data if held else data
        cut = held.rfind(b"\n") + 1
        if len(held) > options.max_word and _longest_line(held) > options.max_word:
            raise too_long(file, "line", options.max_word)
        if cut:
            yield from _sifted(held[:cut], number, name, bad)
            number, held = number + held.count(b"\n", 0, cut), held[cut:]
    if held:
        yield from _sifted(held, number, name, bad)


def _lenient(given: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """UTF-8 unchanged; other encodings as UTF-8, with undecodable bytes as surrogates, which valid UTF-8 never holds."""
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "utf-8-sig"):
        yield from utf8(given, encoding)
        return
    decoder = codecs.getincrementaldecoder(name)("surrogateescape")
    for data in given:
        yield decoder.decode(data).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _sifted(piece: bytes, number: int, encoding: str, bad: Bad) -> Iterator[bytes]:
    """A piece of whole lines, the first of which is line `number`, without the invalid ones; nothing if none is left."""
    if is_utf8(piece):
        yield piece
        return
    good = []
    for at, line in enumerate(piece.split(b"\n")):
        if is_utf8(line):
            good.append(line)
        else:
            errors = "surrogateescape" if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig") else "surrogatepass"
            bad(number + at, line.decode("utf-8", errors))
    if left := b"\n".join(good):
        yield left


def _longest_line(data: bytes) -> int:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    return int(np.diff(ends, prepend=-1, append=len(data)).max()) - 1


@dataclass(frozen=True)
class SourceLines:
    """Which lines of the source the kept lines are. Holds 8 bytes for each line that was left out.

    >>> lines = SourceLines(np.array([1, 2]))
    >>> lines.source(0, 3).tolist(), lines.kept_before(3)
    ([0, 3, 4], 1)
    """

    left_out: Array
    """(line) int64: the 0-based source lines that were left out, ascending."""

    def __len__(self) -> int:
        """How many lines were left out."""
        return len(self.left_out)

    def source(self, first: int, stop: int) -> Array:
        """(line) int64: the 0-based source lines of the kept lines `first:stop`."""
        kept = np.arange(first, stop)
        lines: Array = kept + np.searchsorted(self.left_out - np.arange(len(self.left_out)), kept, side="right")
        return lines

    def kept_before(self, line: int) -> int:
        """How many lines are kept of those before a source line."""
        return line - int(np.searchsorted(self.left_out, line))
