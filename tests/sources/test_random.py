"""Files read anywhere: the bytes as stored, and an error once they are not what they were."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tensorize.core.errors import DataError
from tensorize.sources.files import InputFile, resolve

DATA = bytes(range(256)) * 1000
IN_ANOTHER_PROCESS = "import pickle, sys; print(pickle.load(sys.stdin.buffer).random().read(3))"


@pytest.fixture(params=["file", "pipe"])
def found(request: pytest.FixtureRequest, tmp_path: Path) -> InputFile:
    path = tmp_path / "d.bin"
    if request.param == "file":
        path.write_bytes(DATA)
        return resolve(path)[0]
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1000)"], stdout=write
    ):
        os.close(write)
        (file,) = resolve(f"/dev/fd/{read}")
    os.close(read)
    return file


def test_any_part_is_read(found: InputFile) -> None:
    with found.random() as file:
        assert file.readable()
        assert file.seekable()
        assert file.read(3) == DATA[:3]
        assert file.seek(-5, os.SEEK_END) == len(DATA) - 5
        assert file.read() == DATA[-5:]
        assert file.read(1) == b""
        file.seek(1000)
        file.seek(24, os.SEEK_CUR)
        assert file.tell() == 1024
        assert file.readall() == DATA[1024:]


def test_each_has_a_place_of_its_own(found: InputFile) -> None:
    with found.random() as one, found.random() as two:
        one.seek(100)
        assert two.read(1) == DATA[:1]
        assert one.read(1) == DATA[100:101]


def test_another_process_reads_it_too(found: InputFile) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS], input=pickle.dumps(found), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == str(DATA[:3])


def test_what_is_compressed_comes_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "d.csv.gz"
    path.write_bytes(gzip.compress(DATA))
    with resolve(path)[0].random() as file:
        assert file.read() == path.read_bytes()


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def replace(path: Path) -> None:
    (path.parent / "new").write_bytes(path.read_bytes())
    (path.parent / "new").replace(path)


@pytest.mark.parametrize("change", [append, replace, Path.unlink])
def test_a_file_that_changed_is_not_opened(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "d.bin"
    path.write_bytes(DATA)
    (found,) = resolve(path)
    change(path)
    with pytest.raises(DataError, match=r"d\.bin (has changed while it was read|cannot be read)"):
        found.random()


def test_a_change_is_seen_by_the_next_read_also_through_arrow(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"a": range(100_000)}), path, row_group_size=1000)
    (found,) = resolve(path)
    with found.random() as raw, pq.ParquetFile(raw) as file:
        assert file.read_row_group(3).num_rows == 1000
        os.utime(path, ns=(1, 1))
        with pytest.raises(DataError, match="has changed while it was read"):
            file.read_row_group(4)
