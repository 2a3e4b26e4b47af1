"""Zip archives whose every byte has its place before the first is written: members are stored, never compressed.

A checksum follows the data of its member (a "data descriptor") and stands again in the directory at the end, so that an
archive can be written, and hashed, from front to back. Format: PKWARE, "APPNOTE.TXT", sections 4.3 and 4.5.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from tensorize.core.limits import check_header

ALIGNMENT = 64
"""Data starts at a multiple of this, as torch lays it out, so that a mapped tensor is aligned."""
_LIMIT = 0xFFFF_FFFF
"""A size or an offset from here on stands in a field of 64 bits."""
_MANY = 0xFFFF
_FLAGS = 0x0808
"""The checksum follows the data; names are UTF-8."""
_DAY = 0x21
"""1980-01-01, the first day that the format knows: an archive tells no time."""
_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")


@dataclass(frozen=True)
class Member:
    """One member: `size` bytes of data, whose header starts at byte `start` of the archive."""

    name: str
    size: int
    start: int

    @cached_property
    def header(self) -> bytes:
        """What stands before the data."""
        wide = struct.pack("<2H2Q", 1, 16, 0, 0) if self.is_wide else b""
        name = self.name.encode()
        padding = -(self.start + _LOCAL.size + len(name) + len(wide) + 4) % ALIGNMENT
        extra = wide + struct.pack("<2s H", b"FB", padding) + b"Z" * padding
        sizes = (_LIMIT, _LIMIT) if self.is_wide else (0, 0)
        return _LOCAL.pack(b"PK\3\4", self._version, _FLAGS, 0, 0, _DAY, 0, *sizes, len(name), len(extra)) + name + extra

    @property
    def at(self) -> int:
        """Where the data starts."""
        return self.start + len(self.header)

    @property
    def stop(self) -> int:
        """Where the next member may start."""
        return self.at + self.size + len(self.descriptor(0))

    def descriptor(self, checksum: int) -> bytes:
        """What stands after the data: its CRC-32 and size."""
        return struct.pack("<4sI2Q" if self.is_wide else "<4s3I", b"PK\7\x08", checksum, self.size, self.size)

    def entry(self, checksum: int) -> bytes:
        """The line of the directory."""
        name = self.name.encode()
        sizes = (_LIMIT, _LIMIT) if self.is_wide else (self.size, self.size)
        start = min(self.start, _LIMIT)
        large = [*([self.size] * 2 if self.is_wide else []), *([self.start] if start == _LIMIT else [])]
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        version = 45 if large else 20
        numbers = (version, version, _FLAGS, 0, 0, _DAY, checksum, *sizes, len(name), len(extra), 0, 0, 0, 0, start)
        return _ENTRY.pack(b"PK\1\2", *numbers) + name + extra

    @property
    def is_wide(self) -> bool:
        return self.size >= _LIMIT

    @property
    def _version(self) -> int:
        return 45 if self.is_wide else 20


def lay_out(sizes: Mapping[str, int]) -> dict[str, Member]:
    """Place members, name → bytes of data, one after the other.

    >>> {name: member.at for name, member in lay_out({"a": 3, "b": 5}).items()}
    {'a': 64, 'b': 128}
    """
    members: dict[str, Member] = {}
    start = 0
    for name, size in sizes.items():
        members[name] = Member(name, size, start)
        start = members[name].stop
    return members


def directory(members: Sequence[Member], checksums: Mapping[str, int], comment: bytes) -> bytes:
    """The end of the archive: the directory, and where it is. Its length does not depend on the checksums."""
    start = members[-1].stop if members else 0
    entries = b"".join(member.entry(checksums.get(member.name, 0)) for member in members)
    count, size, stop = len(members), len(entries), start + len(entries)
    wide = b""
    if start >= _LIMIT or size >= _LIMIT or count >= _MANY:
        wide = _END64.pack(b"PK\6\6", _END64.size - 12, 45, 45, 0, 0, count, count, size, start)
        wide += _LOCATOR.pack(b"PK\6\7", 0, stop, 1)
    few = min(count, _MANY)
    end = _END.pack(b"PK\5\6", 0, 0, few, few, min(size, _LIMIT), min(start, _LIMIT), len(comment))
    return entries + wide + end + comment


def read_members(path: Path, comment: int) -> dict[str, tuple[int, int]]:
    """Name without its folder → (where the data starts, bytes) of an archive of stored members.

    `comment` is the length that the comment has. Raises BadZipFile for all that is not so: compressed or encrypted
    members, names that come twice, members that lie in one another or outside the archive.
    """
    try:
        with path.open("rb") as file:
            count, size, start = _read_end(file, comment)
            check_header(path, size)
            file.seek(start)
            return _read_directory(file, file.read(size), count, start)
    except (struct.error, UnicodeDecodeError) as error:
        raise zipfile.BadZipFile(f"a directory that is no directory: {error}") from None


def _read_directory(file: BinaryIO, entries: bytes, count: int, end: int) -> dict[str, tuple[int, int]]:
    """What the directory lists; each member lies behind the one before it, and before `end`."""
    found: dict[str, tuple[int, int]] = {}
    at, free = 0, 0
    for _ in range(count):
        name, length, header, at = _read_entry(entries, at)
        data = _data_start(file, header)
        if header < free or data + length > end or name in found:
            raise zipfile.BadZipFile("a member that does not lie where it should")
        found[name], free = (data, length), data + length
    return found


def _read_end(file: BinaryIO, comment: int) -> tuple[int, int, int]:
    """(members, bytes of the directory, where it starts)."""
    end = file.seek(0, os.SEEK_END) - comment - _END.size
    if end < 0:
        raise zipfile.BadZipFile("no archive")
    file.seek(end)
    magic, *_, count, size, start, said = _END.unpack(file.read(_END.size))
    if magic != b"PK\5\6" or said != comment:
        raise zipfile.BadZipFile("no directory at its end")
    file.seek(max(end - _LOCATOR.size, 0))
    if file.read(4) == b"PK\6\7":
        end -= _LOCATOR.size + _END64.size
        file.seek(max(end, 0))
        magic, *_, count, size, start = _END64.unpack(file.read(_END64.size))
        if magic != b"PK\6\6":
            raise zipfile.BadZipFile("no directory of 64 bits")
    if start + size != end or count * _ENTRY.size > size:
        raise zipfile.BadZipFile("a directory of another size")
    return count, size, start


def _read_entry(entries: bytes, at: int) -> tuple[str, int, int, int]:
    """(name without its folder, bytes of data, where the header starts, where the next entry starts)."""
    numbers = _ENTRY.unpack_from(entries, at)
    magic, flags, method, packed, size = numbers[0], numbers[3], numbers[4], numbers[8], numbers[9]
    name_size, extra_size, comment_size, header = *numbers[10:13], numbers[16]
    if magic != b"PK\1\2" or method != zipfile.ZIP_STORED or flags & 1 or comment_size:
        raise zipfile.BadZipFile("a member that is not stored as it is")
    at += _ENTRY.size
    name = entries[at : at + name_size].decode()
    extra = entries[at + name_size : at + name_size + extra_size]
    wide = [packed == _LIMIT, size == _LIMIT, header == _LIMIT]
    if any(wide):
        kind, _, *large = struct.unpack_from(f"<2H{sum(wide)}Q", extra)
        if kind != 1:
            raise zipfile.BadZipFile("a size that is lacking")
        packed, size, header = (large.pop(0) if is_wide else n for is_wide, n in zip(wide, (packed, size, header), strict=True))
    if packed != size:
        raise zipfile.BadZipFile("a compressed member")
    return name.partition("/")[2], size, header, at + name_size + extra_size


def _data_start(file: BinaryIO, header: int) -> int:
    """Where the data of a member starts, behind its own header."""
    file.seek(header)
    magic, *_, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    if magic != b"PK\3\4":
        raise zipfile.BadZipFile("a member without a header")
    return header + _LOCAL.size + int(name) + int(extra)
