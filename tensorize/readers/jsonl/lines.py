"""Cut a text into blocks of whole lines, and find its blank lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tensorize.core.errors import DataError
from tensorize.core.units import size

_BLANKS = b" \t\r"


def line_blocks(pieces: Iterable[bytes], piece_size: int, name: str, longest: int) -> Iterator[bytes]:
    """Yield blocks of about `piece_size` bytes that end with a line; the last line may lack its end.

    Raises DataError, with the file's `name`, for a line of more than `longest` bytes.
    """
    held: list[bytes] = []
    count = 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1 if count + len(piece) >= piece_size else 0
        if end:
            yield _checked(b"".join([*held, memoryview(piece)[:end]]), name, longest)
            held, count = [], 0
        held.append(piece[end:])
        count += len(piece) - end
        if count > longest + piece_size:
            raise too_long(name, "line", longest)
    if count:
        yield _checked(b"".join(held), name, longest)


def _checked(block: bytes, name: str, longest: int) -> bytes:
    """The block. Raises DataError if one of its lines is too long."""
    if len(block) > longest:
        ends = np.flatnonzero(np.frombuffer(block + b"\n", np.uint8) == ord("\n"))
        if int(np.diff(ends, prepend=-1).max()) - 1 > longest:
            raise too_long(name, "line", longest)
    return block


def too_long(name: str, what: str, longest: int) -> DataError:
    """The error for a line, or a record, that is too long."""
    return DataError(f"{name} has a {what} of more than {size(longest)}", hint=f"allow longer ones: --max-record {2 * longest}")


@dataclass(frozen=True)
class BlockLines:
    """The lines of a block that are not blank, without what is blank around them."""

    data: bytes
    """All lines, each with its end."""
    count: int
    blanks: npt.NDArray[np.int32]
    """(blank line) how many other lines are before it in the block."""
    are_objects: bool
    """Whether each begins and ends as an object does."""
    cut_off: bool
    """Whether the last one has no line end."""

    @property
    def all(self) -> list[bytes]:
        """Line by line, without line ends."""
        return self.data.split(b"\n")[: self.count]


def lines_of(data: bytes) -> BlockLines:
    """The lines of a block; it is copied only if there are blanks around one."""
    cut_off = not data.endswith(b"\n")
    count = data.count(b"\n") + cut_off
    if data[:1] == b"{" and data.endswith((b"}\n", b"}")) and data.count(b"}\n{") == count - 1:
        return BlockLines(data, count, np.empty(0, np.int32), True, cut_off)
    stripped = [line.strip(_BLANKS) for line in data.split(b"\n")[:count]]
    is_blank = np.array([not line for line in stripped], dtype=bool)
    kept = [line for line in stripped if line]
    before = np.cumsum(~is_blank)[is_blank].astype(np.int32)
    are_objects = all(line[:1] == b"{" and line[-1:] == b"}" for line in kept)
    return BlockLines(
        b"".join([line + b"\n" for line in kept]), len(kept), before, are_objects, cut_off and not is_blank[-1:].any()
    )
