"""Files that are no text, where text is asked for: each is named for what it is, with the way out."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Command

from tensorize import prepare
from tensorize.core.errors import DataError
from tensorize.loaders import read_table

TEXT = b"a,b\n1,x\n2,y\n"


def _database(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("create table t (a)")
    base.close()


def _archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("d.csv", TEXT)
        file.writestr("e.csv", TEXT)


def _hdf5(path: Path) -> None:
    h5py.File(path, "w").close()


KINDS: dict[str, Callable[[Path], object]] = {
    "a Parquet file": lambda path: pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), path),
    "a ZIP archive of 2 files": _archive,
    "a 7z archive": lambda path: path.write_bytes(b"7z\xbc\xaf\x27\x1c"),
    "an HDF5 file": _hdf5,
    "an SQLite database": _database,
    "a PDF": lambda path: path.write_bytes(b"%PDF-1.7\n1 0 obj\n"),
}


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize(("kind", "options"), [("table", {}), ("series", {"fold": 2}), ("text", {})])
def test_a_file_of_another_kind_is_named(tmp_path: Path, what: str, kind: str, options: dict[str, object]) -> None:
    path = tmp_path / "d.csv"
    KINDS[what](path)
    if what in ("a Parquet file", "an SQLite database") and kind != "text":
        options = options | {"reader": "csv"}
    with pytest.raises(DataError, match=f"d.csv is {what}") as error:
        prepare(kind, path, **options)
    assert error.value.hint


def test_the_command_names_it_from_a_pipe_too(tensorize: Command, tmp_path: Path) -> None:
    _archive(tmp_path / "d.zip")
    with (tmp_path / "d.zip").open("rb") as stream:
        done = tensorize("table", "-", "-o", "d.h5", stdin=stream)
    assert done.returncode == 1
    assert "<stdin> is a ZIP archive" in done.stderr
    assert not (tmp_path / "d.h5").exists()


def test_a_parquet_file_is_read_as_its_message_says(tmp_path: Path) -> None:
    KINDS["a Parquet file"](tmp_path / "d.parquet")
    ts = prepare("table", tmp_path / "d.parquet", onehot="b", scale="none")
    assert ts.numpy("features").tolist() == [[1, 1, 0], [2, 0, 1]]


@pytest.mark.parametrize("name", ["PAR1", "PK", "BZh91"])
def test_a_text_may_begin_alike(tmp_path: Path, name: str) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(TEXT.replace(b"a,b", f"{name},b".encode()))
    assert read_table(path).column_names == [name, "b"]
