"""Packed files: gzip, zstd, bzip2, xz and ZIP archives of one file read as what is in them; damaged ones are errors."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import Command
from servers import Web

from tensorize import prepare, suggest
from tensorize.core.errors import DataError
from tensorize.sources.files import pieces, resolve

TEXT = b"a,b\n" + b"".join(b"%d,%d\n" % (row, row * 7919 % 1009) for row in range(60_000))


def zipped(data: bytes, *others: str, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", how) as file:
        file.mkdir("inner") if hasattr(file, "mkdir") else None
        file.writestr("inner/d.csv", data)
        for name in others:
            file.writestr(name, b"a,b\n1,2\n")
    return target.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "bz2": bz2.compress,
    "bz2 level 1": lambda data: bz2.compress(data, 1),
    "bz2 of two streams": lambda data: bz2.compress(data[:1000]) + bz2.compress(data[1000:]),
    "xz": lzma.compress,
    "xz of two streams": lambda data: lzma.compress(data[:1000]) + b"\0" * 8 + lzma.compress(data[1000:]),
    "zip": zipped,
    "zip stored": lambda data: zipped(data, how=zipfile.ZIP_STORED),
    "zip by lzma": lambda data: zipped(data, how=zipfile.ZIP_LZMA),
    "zip of a Mac": lambda data: zipped(data, "__MACOSX/inner/._d.csv"),
}


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


def read(path: object) -> bytes:
    (file,) = resolve(str(path))
    with file.open() as stream:
        return stream.read()


@pytest.mark.parametrize("how", PACKERS)
def test_what_is_in_it_is_read(tmp_path: Path, web: Web, how: str) -> None:
    path = tmp_path / f"d.{how.split(maxsplit=1)[0]}"
    path.write_bytes(PACKERS[how](TEXT))
    assert read(path) == TEXT
    assert read(web.put(f"/{path.name}", path.read_bytes())) == TEXT


@pytest.mark.parametrize("how", ["bz2", "xz", "zip"])
def test_the_same_tensors_come_out(tmp_path: Path, how: str) -> None:
    (tmp_path / "d.csv").write_bytes(TEXT)
    path = tmp_path / f"d.csv.{how}"
    path.write_bytes(PACKERS[how](TEXT))
    prepare("table", tmp_path / "d.csv", out=tmp_path / "plain.h5").close()
    prepare("table", path, out=tmp_path / "packed.h5").close()
    assert (tmp_path / "packed.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()
    assert suggest(path).command.endswith("-o d.h5")


@pytest.mark.parametrize("how", ["bz2", "xz", "zip", "zip stored", "zip by lzma"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damage_is_an_error(tmp_path: Path, how: str, damage: str) -> None:
    path, raw = tmp_path / "d.csv", bytearray(PACKERS[how](TEXT))
    if damage == "flip":
        raw[len(raw) // 2] ^= 0x55
    path.write_bytes(raw[: {"cut": len(raw) // 2, "empty": 12}.get(damage)])
    with pytest.raises(DataError, match=r"d\.csv (cannot be unpacked|is a ZIP archive|is empty)"):
        prepare("table", path)


def test_an_archive_of_several_files_lists_them(tensorize: Command, tmp_path: Path) -> None:
    (tmp_path / "d.zip").write_bytes(zipped(TEXT, "a b.csv", "c.csv"))
    done = tensorize("table", "d.zip", "-o", "d.h5")
    assert done.returncode == 1
    assert "d.zip is a ZIP archive of 3 files" in done.stderr
    assert "  a b.csv\n" in done.stderr
    assert "unzip d.zip inner/d.csv" in done.stderr


@pytest.mark.parametrize("members", [[], ["folder/"], ["[Content_Types].xml", "word/document.xml"]])
def test_an_archive_of_no_data_is_told(tmp_path: Path, members: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as file:
        for name in members:
            file.writestr(name, b"")
    with pytest.raises(DataError, match=r"d\.zip|empty"):
        prepare("text", tmp_path / "d.zip")


def test_what_is_inside_is_named_where_it_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "d.zip").write_bytes(zipped(b"PAR1\x15" + bytes(100)))
    with pytest.raises(DataError, match="a Parquet file"):
        prepare("text", tmp_path / "d.zip")


@pytest.mark.parametrize("how", ["bz2", "xz", "zip"])
def test_a_bomb_is_stopped(tmp_path: Path, how: str) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(PACKERS[how](b"1,2\n" * (20 << 20)))
    (file,) = resolve(path)
    with pytest.raises(DataError, match="grows to more than 200 times"):
        sum(map(len, pieces(file, 4 << 20, 200)))


def test_an_encrypted_archive_is_told(tmp_path: Path) -> None:
    raw = bytearray(zipped(TEXT))
    raw[6] |= 1
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 8] |= 1
    (tmp_path / "d.zip").write_bytes(raw)
    with pytest.raises(DataError, match="is encrypted"):
        prepare("table", tmp_path / "d.zip")


def test_a_pipe_is_unpacked_too(tensorize: Command, tmp_path: Path) -> None:
    (tmp_path / "d.zip").write_bytes(zipped(TEXT))
    with (tmp_path / "d.zip").open("rb") as stream:
        assert tensorize("table", "-", "-o", "d.h5", stdin=stream).returncode == 0
