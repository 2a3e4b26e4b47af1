"""Wrong door, right sign: whatever a command is handed, the message says what it is, and its last line works."""

from __future__ import annotations

import sqlite3
import tracemalloc
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import Command, WriteTable
from follow import follow, last_line
from PIL import Image

from tensorize import prepare
from tensorize.core import registry
from tensorize.look.doors import made_by_us

TABLE = "x,y\n" + "".join(f"{at * 7 % 13 / 2},{at % 3}\n" for at in range(40))
PROSE = "It was the best of times, it was the worst of times.\n\nSo it goes; and so on, said he, and went.\n" * 20


@pytest.fixture
def shelf(tmp_path: Path, write: WriteTable, warm: Command) -> Path:
    """A folder with something of everything."""
    frame = pd.read_csv(write(TABLE, "d.csv"))
    frame.to_parquet(tmp_path / "d.parquet")
    frame.to_feather(tmp_path / "d.feather")
    database = sqlite3.connect(tmp_path / "d.sqlite")
    frame.to_sql("d", database, index=False)
    database.close()
    write(PROSE, "book.txt")
    (tmp_path / "pictures/a").mkdir(parents=True)
    for at in range(3):
        Image.new("RGB", (8, 8), (at * 50, 9, 9)).save(tmp_path / f"pictures/a/{at}.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    torch.save(torch.zeros(3), tmp_path / "other.pt")
    assert warm("table", "d.csv", "--target", "y", "-o", "w.h5").returncode == 0
    assert warm("convert", "w.h5", "w.pt").returncode == 0
    assert warm("inspect", "w.h5", "--recipe", "-o", "r.json").returncode == 0
    assert warm("train", "w.h5", "--model", "linear", "--epochs", "1", "-o", "m.pt").returncode == 0
    return tmp_path


DOORS = [
    ("images d.csv", "d.csv holds a table, not images", True),
    ("images d.parquet", "d.parquet holds a table, not images", True),
    ("images book.txt", "book.txt holds text, not images", True),
    ("images w.h5", "w.h5 is a prepared file", True),
    ("table one.png", "one.png holds images, not a table", True),
    ("table pictures", "pictures holds images, not a table", True),
    ("series pictures/a --window 3", "pictures/a holds images, not a table", True),
    ("text d.parquet", "d.parquet holds a table, not text", True),
    ("text d.feather", "d.feather holds a table, not text", True),
    ("text d.sqlite", "d.sqlite holds a table, not text", True),
    ("text pictures", "pictures holds images, not text", True),
    ("table w.h5", "w.h5 is a prepared file", True),
    ("table w.pt", "w.pt is a prepared file", True),
    ("table m.pt", "m.pt is a trained model", False),
    ("table other.pt", "other.pt is a torch file that tensorize did not write", False),
    ("table r.json", "r.json is a recipe", False),
    ("suggest w.pt", "w.pt is a prepared file", True),
    ("auto w.h5", "w.h5 is a prepared file", True),
    ("suggest m.pt", "m.pt is a trained model", False),
    ("inspect d.csv", "d.csv is raw data, not a prepared file", True),
    ("inspect one.png", "one.png is raw data, not a prepared file", True),
    ("inspect m.pt", "m.pt is a trained model", False),
    ("inspect r.json", "r.json is a recipe", False),
    ("train d.parquet", "d.parquet is raw data, not a prepared file", True),
    ("verify d.csv", "d.csv is raw data, not a prepared file", True),
    ("convert d.csv x.h5", "d.csv is raw data, not a prepared file", True),
    ("apply d.csv d.csv", "d.csv is raw data, not a prepared file", True),
    ("predict w.h5 d.csv", "w.h5 is a prepared file, not a model", False),
    ("evaluate r.json w.h5", "r.json is a recipe, which holds no rows, not a model", False),
]


def test_each_command_says_what_it_was_handed(shelf: Path, warm: Command) -> None:
    for at, (call, said, leads_on) in enumerate(DOORS):
        out = ["-o", f"out{at}.h5"] if call.split()[0] in ("images", "table", "series", "text", "auto", "apply") else []
        done = warm(*call.split(), *out)
        assert done.returncode in (1, 2), call
        assert done.stderr.startswith(f"error: {said}"), (call, done.stderr)
        if leads_on:
            for left in shelf.glob("*.h5"):
                if left.name != "w.h5":
                    left.unlink()
            works, more = follow(last_line(done.stderr), shelf)
            assert works, (call, more)


def test_what_is_nothing_of_ours_is_told_as_before(write: WriteTable, warm: Command) -> None:
    write(b"\x89HDF\r\n\x1a\n" + bytes(100), "other.h5")
    assert "was not written by tensorize" in warm("inspect", "other.h5").stderr
    write(b"\0\1\2" * 50, "noise.bin")
    done = warm("inspect", "noise.bin")
    assert done.returncode == 2
    assert warm("table", "there-is-none.csv").stderr.startswith("error: there is no file there-is-none.csv")


def test_damaged_and_swollen_torch_files_are_looked_at_in_bounds(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "t.pt")
    whole = (tmp_path / "t.pt").read_bytes()
    for at in range(0, len(whole), 61):
        (tmp_path / "f.pt").write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        made_by_us(tmp_path / "f.pt")
        (tmp_path / "f.pt").write_bytes(whole[:at])
        made_by_us(tmp_path / "f.pt")
    with zipfile.ZipFile(tmp_path / "swollen.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\1" * (200 << 20))
    tracemalloc.start()
    sign = made_by_us(tmp_path / "swollen.pt")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sign is not None
    assert sign.what == "a torch file that tensorize did not write"
    assert peak < 32 << 20


@pytest.mark.parametrize(
    "name", [name for name in registry.EXPORTERS if getattr(registry.load("exporters", name), "reads", True)]
)
def test_what_tensorize_wrote_is_known_in_every_format(warm: Command, tmp_path: Path, name: str) -> None:
    file = f"x{registry.load('exporters', name).suffixes[0]}"
    prepare("table", {"a": [1.0, 2.0, 3.0]}, out=tmp_path / file)
    for call in ([file], ["text", file, "-o", "y.h5"]):
        said = warm(*call)
        assert said.returncode == 1
        assert said.stderr.startswith(f"error: {file} is a prepared file\n")
        assert said.stderr.rstrip().endswith(f"tensorize inspect {file}")
