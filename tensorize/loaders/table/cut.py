"""Cut a byte stream into chunks that end where a record ends, quoted newlines included."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tensorize.errors import DataError

MAX_RECORD = 64 << 20


class StrayQuoteError(Exception):
    """A quote inside an unquoted cell, or text after a closing one; `at` is its offset in the text that was cut."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def records(pieces: Iterator[bytes], delimiter: str, quote: str | None, size: int) -> Iterator[bytes]:
    """Yield chunks of about `size` bytes that each end at the end of a record; the last one may lack its newline.

    Raises StrayQuoteError, and DataError for a record of more than 64 MB.
    """
    held = b""
    offset = 0
    for piece in pieces:
        held = held + piece if held else piece
        if len(held) < size:
            continue
        end = _last_end(held, delimiter, quote, offset)
        if end:
            yield held[:end]
            held, offset = held[end:], offset + end
        elif len(held) > MAX_RECORD:
            raise DataError(
                "a record is longer than 64 MB",
                hint="is a quote left open? If quotes mean nothing in this file, say --quote none",
            )
    if held:
        if quote and quote.encode() in held:
            _check_quotes(held, delimiter, quote, offset, final=True)
        yield held


def _last_end(data: bytes, delimiter: str, quote: str | None, offset: int) -> int:
    """The offset after the last newline that ends a record, 0 where there is none."""
    if quote is None or quote.encode() not in data:
        return _after_newline(data, len(data))
    quotes = _check_quotes(data, delimiter, quote, offset, final=False)
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
    return end or data.rfind(b"\r", 0, stop - 1) + 1


def _check_quotes(
    data: bytes, delimiter: str, quote: str, offset: int, *, final: bool
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The positions of all quotes; every second one must open a cell, and the others close one.

    A doubled quote inside a cell is a closing one right before an opening one.
    """
    view = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(view == ord(quote))
    borders = np.zeros(256, dtype=bool)
    borders[[ord(delimiter), ord("\n"), ord("\r")]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    before = view[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | borders[before] | (before == ord(quote))
    after = view[np.minimum(closing + 1, len(view) - 1)]
    closes = (closing == len(view) - 1) | borders[after] | (after == ord(quote))
    wrong = np.concatenate([opening[~opens], closing[~closes]])
    if final and len(quotes) % 2 and not len(wrong):
        wrong = quotes[-1:]
    if len(wrong):
        raise StrayQuoteError(offset + int(wrong.min()))
    return quotes
