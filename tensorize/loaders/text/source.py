"""Where text comes from, and its bytes as pieces of UTF-8 that end where a line ends."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from tensorize.core.errors import DataError, UsageError
from tensorize.core.units import size
from tensorize.loaders.text.options import TextOptions
from tensorize.sources.files import InputFile, pieces, resolve, utf8


@dataclass(frozen=True)
class Held:
    """A text that Python holds, as if it were a file."""

    name: str
    data: bytes

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """Open it for reading, from the start."""
        return io.BytesIO(self.data)


TextFile = InputFile | Held


def text_files(source: Any) -> list[TextFile]:
    """Files by name; or `{"text": …}` of one text, or of a list of lines. Raises UsageError for anything else."""
    if isinstance(source, Mapping):
        given = source.get("text")
        lines = [given] if isinstance(given, str) else given
        if set(source) != {"text"} or not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
            raise UsageError('text in memory is {"text": "…"}, or {"text": ["a line", "another"]}')
        return [Held("text", "\n".join(lines).encode("utf-8", "surrogatepass"))]
    if not isinstance(source, str | os.PathLike | list | tuple):
        raise UsageError(f"a text is a path or a mapping, not {type(source).__name__}", hint='in memory: {"text": "…"}')
    return list(resolve(source))


def text_pieces(file: TextFile, options: TextOptions, piece_size: int) -> Iterator[bytes]:
    r"""Yield UTF-8 pieces of about `piece_size` bytes, newlines as `\n`, cut after a line where there is one.

    A longer line is cut after a space, or between characters where words need not stay whole. Raises UnicodeDecodeError
    where the encoding does not fit (UTF-8 itself is checked later), UsageError for an unknown encoding, DataError for a
    word that never ends.
    """
    held, whole_words = b"", options.level == "word"
    given = pieces(file, piece_size, options.max_expansion)
    for data in plain_newlines(utf8(given, known_encoding(file, options.encoding))):
        held = held + data if held else data
        if len(held) < piece_size:
            continue
        cut = held.rfind(b"\n") + 1 or held.rfind(b" ") + 1 or (0 if whole_words else _character_start(held))
        if cut:
            yield held[:cut]
            held = held[cut:]
        elif len(held) > options.max_word:
            raise too_long(file, "word", options.max_word)
    if held:
        yield held


def too_long(file: TextFile, what: str, most: int) -> DataError:
    """The error for a word, or a line, over `--max-word`."""
    hint = f"is it text? --level char takes words apart; or allow it: --max-word {2 * most}"
    return DataError(f"{file.name} has a {what} of more than {size(most)}", hint=hint)


def known_encoding(file: TextFile, encoding: str) -> str:
    """The encoding to read with: text in memory has none of its own."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise UsageError(f'there is no encoding "{encoding}"', hint="such as utf-8-sig, latin-1, cp1252, utf-16") from None
    return "utf-8" if isinstance(file, Held) else encoding


def plain_newlines(given: Iterator[bytes]) -> Iterator[bytes]:
    r"""`\r\n` and `\r` become `\n`, even if a pair is split between pieces."""
    torn = False
    for piece in given:
        data = b"\r" + piece if torn else piece
        torn = data.endswith(b"\r")
        if torn:
            data = data[:-1]
        yield data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
    if torn:
        yield b"\n"


def _character_start(data: bytes) -> int:
    """The offset of the last character, so that the cut before it is between characters."""
    for at in range(len(data) - 1, max(len(data) - 5, 0), -1):
        if data[at] & 0xC0 != 0x80:
            return at
    return 0


def undecodable(file: TextFile, encoding: str) -> DataError:
    """The error for bytes that are not text: it names the line and the offset of the first."""
    name = "utf-8" if isinstance(file, Held) else encoding
    decoder = codecs.getincrementaldecoder(name)()
    line, at = 1, 0
    with file.open() as stream:
        while data := stream.read(1 << 20):
            held = len(decoder.getstate()[0])
            try:
                line += decoder.decode(data).count("\n")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                return _not_text(file, name, line, at - held + error.start, error.object[error.start : error.start + 1])
            at += len(data)
    return _not_text(file, name, line, at, b"")


def _not_text(file: TextFile, encoding: str, line: int, at: int, byte: bytes) -> DataError:
    said = f"byte {byte.hex()}" if byte else "the last character is cut off"
    return DataError(
        f"{file.name} is not {encoding} text",
        [f"{file.name}:{line}  {said} at offset {at:,}"],
        "say how the file is written, such as --encoding latin-1 or --encoding utf-16",
        {"encoding": "latin-1" if encoding == "cp1252" else "cp1252"},
    )
