"""Cut a byte stream into blocks that end where a record ends, quoted newlines included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tensorize.core.errors import DataError
from tensorize.core.units import size
from tensorize.readers.csv.tokenizer import Record, Tokenizer

MAX_RECORD, RECORD_CELLS = 64 << 20, 4
"""The limit of a record: 64 MB, or four times the limit of a cell if that is more."""

RETURN, ZERO = b"\r", b"\0"
_LOOK_BYTES = 256 << 10
"""Bytes that are looked through for all signs before the next are: they stay in the cache."""

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Whole records of a file, as bytes. If a quote is out of place they were parsed record by record: `records`."""

    data: bytes
    signs: frozenset[bytes]
    """Those of the quote, the carriage return and the zero byte that may be in it."""
    records: tuple[Record, ...] | None = None

    @property
    def is_quoted(self) -> bool:
        """Whether there may be a quote in it."""
        return bool(self.signs - {RETURN, ZERO})


def blocks(
    pieces: Iterable[bytes], tokenizer: Tokenizer, piece_size: int, name: str, longest: int = MAX_RECORD, *, exact: bool = False
) -> Iterator[Block]:
    """Yield blocks of about `piece_size` bytes; the last may lack its newline. `exact` parses all, record by record.

    Raises DataError, with the file's `name`, for a record of more than `longest` bytes.
    """
    held = b""
    for piece, final in _with_last(pieces):
        is_enough = final or len(held) + len(piece) >= piece_size
        if is_enough and not final and not exact:
            signs = _signs(held, tokenizer.quote) | _signs(piece, tokenizer.quote)
            if tokenizer.quote not in signs and (end := _after_newline(piece, len(piece))):
                yield Block(b"".join([held, memoryview(piece)[:end]]), signs)
                held = piece[end:]
                continue
        held = held + piece if held else piece
        if not is_enough or not held:
            continue
        block = _first(held, tokenizer, exact, final)
        if block is not None:
            yield block
            held = held[len(block.data) :]
        elif len(held) > longest:
            hint = "is a quote left open? If quotes mean nothing in this file, say --quote none"
            allow = f"or allow longer ones: --max-cell {longest // 2}"
            raise DataError(f"{name} has a record of more than {size(longest)}", hint=f"{hint}; {allow}")


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each piece, and whether it is the last one."""
    before = None
    for piece in pieces:
        if before is not None:
            yield before, False
        before = piece
    yield before or b"", True


def _signs(data: bytes, quote: bytes) -> frozenset[bytes]:
    """Which of the quote, where there is one, the carriage return and the zero byte are in some bytes."""
    wanted, found = {RETURN, ZERO, quote} - {b""}, set[bytes]()
    for start in range(0, len(data), _LOOK_BYTES):
        found |= {sign for sign in wanted - found if data.find(sign, start, start + _LOOK_BYTES) >= 0}
    return frozenset(found)


def _first(held: bytes, tokenizer: Tokenizer, exact: bool, final: bool) -> Block | None:
    """All whole records at the start of `held`; None if there is none."""
    signs = _signs(held, tokenizer.quote)
    if not exact and tokenizer.quote not in signs:
        end = len(held) if final else _after_newline(held, len(held))
        return Block(held[:end], signs) if end else None
    quotes = None if exact else clean_quotes(held, tokenizer, final)
    if quotes is not None:
        end = len(held) if final else _last_end(held, quotes)
        return Block(held[:end], signs) if end else None
    records = tuple(tokenizer.records(held, final))
    return Block(held[: records[-1].stop], signs, records) if records else None


def _last_end(data: bytes, quotes: Offsets) -> int:
    """The offset after the last newline that ends a record, 0 if there is none."""
    if len(quotes) % 2 == 0:
        tail = _after_newline(data, len(data))
        if tail > (quotes[-1] if len(quotes) else -1):
            return tail
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _after_newline(data: bytes, stop: int) -> int:
    """After the last line feed; in files that end their lines with carriage returns alone, after the last of those."""
    end = data.rfind(b"\n", 0, stop) + 1
    if end:
        return end
    while stop and data[stop - 1] == ord("\r"):
        stop -= 1
    return data.rfind(b"\r", 0, stop) + 1


def clean_quotes(data: bytes, tokenizer: Tokenizer, final: bool = True) -> Offsets | None:
    """The positions of all quotes, where every second one opens a cell and the others close one; None if not.

    A doubled quote inside a cell is a closing one right before an opening one.
    """
    view = np.frombuffer(data, np.uint8)
    sign = tokenizer.quote[0]
    quotes = np.flatnonzero(view == sign)
    borders = np.zeros(256, dtype=bool)
    borders[[*tokenizer.delimiter, *b"\r\n"]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    before = view[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | borders[before] | (before == sign)
    after = view[np.minimum(closing + 1, len(view) - 1)]
    closes = (closing == len(view) - 1) | borders[after] | (after == sign)
    if not (opens.all() and closes.all()) or (final and len(quotes) % 2):
        return None
    return quotes
