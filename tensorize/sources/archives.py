"""Files that are packed: compressed ones, and ZIP archives of one file. What comes out is bounded by who reads it."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from tensorize.core.errors import DataError, TensorizeError, quoted, shown, some

ZIP = b"PK\x03\x04"
XZ_MEMORY = 256 << 20
"""Bytes that unpacking xz may take; `xz -9` makes files that take 65 MB."""
_ARROW = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_XZ, _BZIP2 = b"\xfd7zXZ\0", re.compile(rb"BZh[1-9]1AY&SY")
_PIECE = 256 << 10
_WHOLE = "is it whole? Fetch it again"
_WORKBOOKS = ("[Content_Types].xml", "mimetype")
"""Members that make an archive a workbook or a document: readers of their own read these."""


def unpacked(raw: io.BufferedReader[Any], magic: bytes, name: str, random: Callable[[], io.RawIOBase]) -> BinaryIO | None:
    """The content of a packed file, from its start; None for one that is not packed.

    raw: the file as stored. magic: its first bytes. random: opens it to be read anywhere.

    Raises DataError for an archive of another number of files than one, and as it is read, where it is damaged.
    """
    compression = next((kind for known, kind in _ARROW.items() if magic.startswith(known)), None)
    if compression is not None:
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), compression))
    if magic.startswith(_XZ):
        return _buffered(_Unpacking(raw, name, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)))
    if _BZIP2.match(magic):
        return _buffered(_Unpacking(raw, name, bz2.BZ2Decompressor))
    if magic.startswith(ZIP):
        raw.close()
        return _buffered(_Member(random(), name))
    return None


def _buffered(raw: io.RawIOBase) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(raw, _PIECE))


class _Unpacking(io.RawIOBase):
    """What comes out of a decompressor of the standard library, stream after stream, a bounded piece at a time."""

    def __init__(self, raw: io.BufferedReader[Any], name: str, make: Callable[[], Any]) -> None:
        super().__init__()
        self._raw, self._called, self._make = raw, name, make
        self._current = make()
        self._data = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._piece(len(buffer))
        except (OSError, EOFError, lzma.LZMAError) as error:
            if isinstance(error, TensorizeError):
                raise
            raise DataError(f"{self._called} cannot be unpacked: {error}", hint=_WHOLE) from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _piece(self, most: int) -> bytes:
        while most:
            if self._current.eof:
                self._data = self._current.unused_data.lstrip(b"\0") or self._raw.read(_PIECE)
                if not self._data:
                    return b""
                self._current = self._make()
            elif self._current.needs_input:
                self._data = self._raw.read(_PIECE)
                if not self._data:
                    raise EOFError("it is cut off")
            data: bytes = self._current.decompress(self._data, most)
            self._data = b""
            if data:
                return data
        return b""


class _Member(io.RawIOBase):
    """The only file of an archive."""

    def __init__(self, raw: io.RawIOBase, name: str) -> None:
        super().__init__()
        self._raw, self._called = raw, name
        self._inner: Any = None
        try:
            archive = zipfile.ZipFile(cast(Any, io.BufferedReader(raw, _PIECE)))
            self._inner = archive.open(_only(archive, name))
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, ValueError, EOFError) as error:
            self.close()
            raise _damaged(name, error) from None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._inner.readinto(buffer))
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
            raise _damaged(self._called, error) from None

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()
        self._raw.close()
        super().close()


def _damaged(name: str, error: Exception) -> TensorizeError:
    if isinstance(error, TensorizeError):
        return error
    if "password" in str(error) or "encrypted" in str(error):
        return DataError(f"{name} is encrypted", hint="unpack it first")
    return DataError(f"{name} cannot be unpacked: {shown(str(error), 120)}", hint=_WHOLE)


def _only(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The file to read. Raises DataError where there are several or none; what macOS adds does not count."""
    names = archive.namelist()
    if any(member in names for member in _WORKBOOKS):
        raise DataError(
            f"{name} is a workbook or a document, not text", hint="table and series read workbooks; save others as CSV"
        )
    files = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if len(files) == 1:
        return files[0]
    if not files:
        raise DataError(f"{name} is a ZIP archive without a file", hint="name the file itself")
    listed = some([shown(info.filename) for info in files])
    first = quoted(files[0].filename)
    raise DataError(
        f"{name} is a ZIP archive of {len(files):,} files", listed, f"unpack the one to read: unzip {quoted(name)} {first}"
    )
