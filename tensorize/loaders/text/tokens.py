"""Split a piece of text into tokens: characters as code points, words as positions in a growing list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tensorize.core.contracts import Array

STRIPPED = '.,;:"!?“”_-'
"""Stripped off both ends of a word."""

_SPACES = (ord("\t"), 5), (0x1C, 5)
"""ASCII white space: tab to carriage return, and four separators with the space after them; (first, how many)."""
_NEWLINE = ord("\n")


@dataclass(frozen=True)
class Tokens:
    """The tokens of a piece of text.

    ids: (token) integers: code points, or positions in `Words.words`.
    counts: (line) int64, tokens in each line.
    open: the piece does not end with a newline: its last line continues in the next piece, or ends the text.
    """

    ids: Array
    counts: Array
    open: bool


def characters(data: bytes, lower: bool) -> Tokens:
    """UTF-8 → code points, uint8 or uint32. Each letter is lowercased by itself, so that piece borders change nothing.

    A newline belongs to the line that it ends. Raises UnicodeDecodeError.
    """
    if data.isascii():
        codes = np.frombuffer(data.lower() if lower else data, np.uint8)
    else:
        text = data.decode()
        text = text.replace("Σ", "σ").lower() if lower else text
        codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
        codes = codes.astype(np.uint8) if int(codes.max()) < 256 else codes
    return _by_line(codes, not data.endswith(b"\n"))


def _by_line(codes: Array, is_open: bool) -> Tokens:
    ends = np.flatnonzero(codes == _NEWLINE) + 1
    return Tokens(codes, np.diff(ends, prepend=0, append=len(codes))[: len(ends) + is_open], is_open)


_BEYOND = 128
_PLAIN = bytes(range(128)) + bytes([_BEYOND]) * 128
_LOWER = bytes(range(128)).lower() + bytes([_BEYOND]) * 128
_CONTINUED = bytes(range(0x80, 0xC0))
_LOWERED_TO_ASCII = {b"\xc4": "\u0130".encode(), b"\xaa": "\u212a".encode()}
"""The only characters beyond ASCII that lowercase to ASCII letters, or to several characters.

Each with one of its bytes, which is rare in most texts and quick to find.
"""


def ascii_codes(data: bytes, lower: bool) -> Tokens:
    """As `characters`, in uint8, with 128 for every character beyond ASCII; it decodes no character that it need not.

    Raises pyarrow.ArrowInvalid for bytes that are not UTF-8.
    """
    if data.isascii():
        return characters(data, lower)
    if lower and any(byte in data and char in data for byte, char in _LOWERED_TO_ASCII.items()):
        tokens = characters(data, lower)
        return Tokens(np.minimum(tokens.ids, _BEYOND).astype(np.uint8), tokens.counts, tokens.open)
    ends = pa.py_buffer(np.array([0, len(data)], dtype=np.int32))
    pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(data)]).cast(pa.utf8())
    codes = np.frombuffer(data.translate(_LOWER if lower else _PLAIN, _CONTINUED), np.uint8)
    return _by_line(codes, not data.endswith(b"\n"))


@dataclass(frozen=True)
class RawWords:
    """A piece of text split at ASCII white space.

    raw: the distinct words, each with the white space after it.
    codes: (word) int32, the position in `raw` of each word of the piece.
    borders: (line + 1) int64, the first word of each line, and the end.
    open: as in `Tokens`.
    """

    raw: Sequence[bytes]
    codes: Array
    borders: Array
    open: bool


def split_words(data: bytes) -> RawWords:
    """Split UTF-8 at white space without copying it. Raises pyarrow.ArrowInvalid for bytes that are not UTF-8."""
    view = np.frombuffer(data, np.uint8)
    space = np.logical_or(*(view - np.uint8(first) < count for first, count in _SPACES))  # below the first wraps around
    begins = np.empty(len(view), bool)
    begins[:1] = ~space[:1]
    np.greater(space[:-1], space[1:], out=begins[1:])
    starts = np.flatnonzero(begins)
    ends = np.flatnonzero(view == _NEWLINE)
    is_open = not data.endswith(b"\n")
    borders = np.searchsorted(starts, np.concatenate([[0], ends, [len(view)]] if is_open else [[0], ends]))
    if not len(starts):
        return RawWords((), np.empty(0, np.int32), borders, is_open)
    offsets = np.full(len(starts) + 1, len(view), np.int32)
    offsets[:-1] = starts
    words = pa.Array.from_buffers(pa.binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    encoded = words.dictionary_encode()
    encoded.dictionary.cast(pa.utf8())
    return RawWords(encoded.dictionary.to_pylist(), encoded.indices.to_numpy(), borders, is_open)


_KNOWN = 1 << 21
"""Raw words to remember: with the punctuation and white space around them their number has no limit."""


@dataclass
class Words:
    """Every distinct word so far, in the order of first occurrence. It grows with the vocabulary, not with the text."""

    lower: bool
    longest: int = 0
    """Bytes of the longest word so far."""
    words: dict[str, int] = field(default_factory=dict)
    _known: dict[bytes, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def place(self, piece: RawWords) -> Tokens:
        """Words → ids by the order of first occurrence. Call it in the order of the text, from one thread."""
        known = self._known
        if len(known) > _KNOWN:
            known.clear()
        found = [known.get(raw) for raw in piece.raw]
        places = [self._clean(raw) if place is None else place for raw, place in zip(piece.raw, found, strict=True)]
        sizes = np.fromiter(map(len, places), np.int64, len(places))
        if len(sizes) and sizes.max() > 1:
            return self._several(piece, places, sizes)
        table = np.fromiter((place[0] if place else -1 for place in places), np.int32, len(places))
        ids = np.take(table, piece.codes)
        empty = np.flatnonzero(ids < 0)
        if not len(empty):  # nothing to remove: no copy of the piece
            return Tokens(ids, np.diff(piece.borders), piece.open)
        borders = piece.borders - np.searchsorted(empty, piece.borders)
        return Tokens(np.delete(ids, empty), np.diff(borders), piece.open)

    def _several(self, piece: RawWords, places: Sequence[tuple[int, ...]], sizes: Array) -> Tokens:
        """For raw words that white space beyond ASCII splits again."""
        ids = np.array([place for code in piece.codes.tolist() for place in places[code]], dtype=np.int32)
        before = np.concatenate([[0], np.cumsum(sizes[piece.codes])])
        return Tokens(ids, np.diff(before[piece.borders]), piece.open)

    def _clean(self, raw: bytes) -> tuple[int, ...]:
        """Split at any white space, lowercase, strip, and drop empty words."""
        text = raw.decode()
        words = (text.lower() if self.lower else text).split()
        stripped = [word for part in words if (word := part.strip(STRIPPED))]
        if len(raw) > self.longest:
            self.longest = max([self.longest, *(len(word.encode()) for word in stripped)])
        place = tuple(self.words.setdefault(word, len(self.words)) for word in stripped)
        self._known[raw] = place
        return place
