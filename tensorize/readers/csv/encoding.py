"""The bytes of a text file as UTF-8, whatever its encoding, without the byte order mark."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator

from tensorize.core.errors import DataError, UsageError
from tensorize.sources.encodings import FIRST_BYTES, check_encoding, doubts, marked
from tensorize.sources.files import InputFile, pieces


def _not_text(error: UnicodeError) -> tuple[str, int]:
    """Bytes that mean nothing, as surrogates: UTF-8 has no place for them, so they are found with the others."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in bad), error.end


codecs.register_error("tensorize-mark", _not_text)


def utf8_pieces(file: InputFile, encoding: str, size: int, growth: int = 200) -> Iterator[bytes]:
    """Yield a file as UTF-8, `size` bytes of it at a time; bytes that are invalid in `encoding` come out as invalid UTF-8.

    Raises UsageError for an unknown encoding; DataError for a file that cannot be decompressed, or grows to more than
    `growth` times its size, and where its first bytes speak against the encoding.
    """
    name = _known(encoding)
    given = pieces(file, size, growth)
    first = next(given, b"")
    while len(first) < FIRST_BYTES and (more := next(given, b"")):
        first += more
    name, first = _marked(first, name, encoding, file.name)
    if name == "utf-8":
        yield first
        yield from given
        return
    decoder = codecs.getincrementaldecoder(name)("tensorize-mark")
    for piece in itertools.chain([first], given):
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def encoding_notes(file: InputFile, encoding: str, growth: int = 200) -> Iterator[str]:
    """The encoding that a byte order mark tells, where it is not the one that was asked for; and what speaks against that."""
    first = next(pieces(file, FIRST_BYTES, growth), b"")
    found = marked(first)
    if found and found != "utf-8-sig" and _known(encoding) == "utf-8":
        yield f"encoding {found}"
    elif doubt := doubts(first, encoding):
        yield doubt


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)
    except (LookupError, ValueError):
        raise UsageError(f'there is no encoding "{encoding}"', hint="such as utf-8-sig, latin-1, cp1252, utf-16") from None
    return "utf-8" if name in ("utf-8", "utf-8-sig") else name


def _marked(first: bytes, name: str, encoding: str, file: str) -> tuple[str, bytes]:
    """What the first bytes say of the encoding, and the first bytes without the marks of UTF-8."""
    if first.startswith(codecs.BOM_UTF8):
        if name != "utf-8":
            raise DataError(f"{file} begins with the byte order mark of UTF-8", hint=f"omit --encoding {encoding}")
        while first.startswith(codecs.BOM_UTF8):
            first = first[len(codecs.BOM_UTF8) :]
        return name, first
    found = marked(first)
    if found and name == "utf-8":
        return found, first
    check_encoding(first, encoding, file)
    if found and name.endswith(("-le", "-be")):  # a decoder of one byte order keeps the mark
        return name, first[len("\ufeff".encode(name)) :]
    return name, first
