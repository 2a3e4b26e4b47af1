"""Zip archives in which the place of every byte is known before the first is written: members are stored, never compressed.

The checksum of a member follows its data (a "data descriptor") and is repeated in the directory at the end, so that an
archive can be written from front to back. The digest of the file is the comment of the archive, its last 64 bytes.
Format: PKWARE, "APPNOTE.TXT", sections 4.3 and 4.5.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.limits import check_header
from tensorize.storage.digest import DIGEST_SIZE, NO_DIGEST
from tensorize.storage.plan import FilePlan, Patch, Slot

Place = tuple[int, int]
"""(offset of the first byte, bytes)."""
ALIGNMENT = 64
"""Data starts at a multiple of this, as torch lays it out, so that a mapped tensor is aligned."""
_LIMIT = 0xFFFF_FFFF
"""Sizes and offsets from here on are in fields of 64 bits."""
_MANY = 0xFFFF
_FLAGS = 0x0808
"""The checksum follows the data; names are UTF-8."""
_DAY = 0x21
"""1980-01-01, the first day that the format knows: archives carry no time stamps."""
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
        """The bytes before the data."""
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
        """The bytes after the data: its CRC-32 and size."""
        return struct.pack("<4sI2Q" if self.is_wide else "<4s3I", b"PK\7\x08", checksum, self.size, self.size)

    def entry(self, checksum: int) -> bytes:
        """The entry in the directory."""
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
        """Whether the size needs 64 bits, and so a ZIP64 record."""
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


@dataclass(frozen=True)
class Stored:
    """The member that holds a tensor: `prefix`, such as a header of its own, then the numbers."""

    name: str
    prefix: bytes = b""

    def slot(self, spec: TensorSpec, members: Mapping[str, Place]) -> Slot:
        """Where the numbers lie in an archive with these members. Raises BadZipFile if the sizes do not fit, KeyError."""
        at, size = members[self.name]
        if size != len(self.prefix) + spec.nbytes:
            raise zipfile.BadZipFile(f"{self.name} has {size} bytes, not {len(self.prefix) + spec.nbytes}")
        return Slot(spec, at + len(self.prefix))


def plan_archive(
    layout: Layout,
    early: Mapping[str, bytes],
    tensors: Mapping[str, Stored],
    late: Callable[[Layout], Mapping[str, bytes]],
) -> FilePlan:
    """Plan an archive of small members, then tensors (key → member), then the small members that `late` makes of a layout.

    `late` is called again at commit, with the final recipe. The comment of the archive is the digest.
    """
    return _Archive.of(layout, early, tensors, late).plan()


@dataclass(frozen=True)
class _Archive:
    layout: Layout
    early: Mapping[str, bytes]
    tensors: Mapping[str, Stored]
    late: Callable[[Layout], Mapping[str, bytes]]
    last: Mapping[str, bytes]
    """What `late` makes of the planned layout."""
    members: Mapping[str, Member]

    @classmethod
    def of(
        cls,
        layout: Layout,
        early: Mapping[str, bytes],
        tensors: Mapping[str, Stored],
        late: Callable[[Layout], Mapping[str, bytes]],
    ) -> _Archive:
        last = late(layout)
        sizes = {name: len(data) for name, data in early.items()}
        for spec in layout.tensors:
            stored = tensors[spec.key]
            sizes[stored.name] = len(stored.prefix) + spec.nbytes
        sizes.update({name: len(data) for name, data in last.items()})
        return cls(layout, early, tensors, late, last, lay_out(sizes))

    def plan(self) -> FilePlan:
        slots = {}
        for spec in self.layout.tensors:
            stored = self.tensors[spec.key]
            slots[spec.key] = Slot(spec, self.members[stored.name].at + len(stored.prefix))
        checksums = {key: zlib.crc32(stored.prefix) for key, stored in self.tensors.items()}
        size = list(self.members.values())[-1].stop + len(self._directory({}))
        recipe = self.layout.recipe
        return FilePlan(size, slots, size - DIGEST_SIZE, recipe, self._early(), self._late, checksums=checksums)

    def _early(self) -> list[Patch]:
        """Every header, the small members that are known now, and what comes before the numbers of a tensor."""
        patches = [(member.start, member.header) for member in self.members.values()]
        patches += [self._small(name, data) for name, data in self.early.items()]
        return patches + [(self.members[stored.name].at, stored.prefix) for stored in self.tensors.values() if stored.prefix]

    def _small(self, name: str, data: bytes) -> Patch:
        return self.members[name].at, data + self.members[name].descriptor(zlib.crc32(data))

    def _late(self, recipe: str, checksums: Mapping[str, int]) -> list[Patch]:
        """The checksums of tensors, after their data and in the directory, and the members that hold the recipe."""
        last = self.last if recipe == self.layout.recipe else self.late(replace(self.layout, recipe=recipe))
        found = {stored.name: checksums[key] for key, stored in self.tensors.items()}
        found.update({name: zlib.crc32(data) for name, data in {**self.early, **last}.items()})
        patches = [self._small(name, data) for name, data in last.items()]
        for stored in self.tensors.values():
            member = self.members[stored.name]
            patches.append((member.at + member.size, member.descriptor(found[stored.name])))
        return [*patches, (list(self.members.values())[-1].stop, self._directory(found))]

    def _directory(self, checksums: Mapping[str, int]) -> bytes:
        return directory(tuple(self.members.values()), checksums, NO_DIGEST)


def read_member(path: Path, place: Place) -> bytes:
    """The data of a member that is held in memory. Raises DataError if it is over the limit of `--max-header`."""
    at, size = place
    check_header(path, size)
    with path.open("rb") as file:
        file.seek(at)
        return file.read(size)


def read_members(path: Path, comment: int = DIGEST_SIZE) -> dict[str, Place]:
    """Name → place of the data, in an archive of stored members whose comment has `comment` bytes.

    Raises BadZipFile for anything else: compressed or encrypted members, names that appear twice, members that overlap or
    lie outside the archive.
    """
    try:
        with path.open("rb") as file:
            count, size, start = _read_end(file, comment)
            check_header(path, size)
            file.seek(start)
            return _read_directory(file, file.read(size), count, start)
    except (struct.error, UnicodeDecodeError) as error:
        raise zipfile.BadZipFile(f"an invalid directory: {error}") from None


def _read_directory(file: BinaryIO, entries: bytes, count: int, end: int) -> dict[str, Place]:
    """What the directory lists; each member lies after the one before it, and before `end`."""
    found: dict[str, Place] = {}
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
    """(name, bytes of data, offset of its header, offset of the next entry)."""
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
            raise zipfile.BadZipFile("a missing size")
        packed, size, header = (large.pop(0) if is_wide else n for is_wide, n in zip(wide, (packed, size, header), strict=True))
    if packed != size:
        raise zipfile.BadZipFile("a compressed member")
    return name, size, header, at + name_size + extra_size


def _data_start(file: BinaryIO, header: int) -> int:
    """Where the data of a member starts, after its own header."""
    file.seek(header)
    magic, *_, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    if magic != b"PK\3\4":
        raise zipfile.BadZipFile("a member without a header")
    return header + _LOCAL.size + int(name) + int(extra)
