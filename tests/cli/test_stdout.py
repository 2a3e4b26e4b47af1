"""`-o -`: a file on standard output and everything else on standard error; and no file is ever called `-`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command

import tensorize as tz
from tensorize import UsageError
from tensorize.core.recipe import Recipe

LINES = "".join(f"{row},{row % 7},{('a', 'b')[row % 2]}\n" for row in range(60))
BAD = "x,n,y\nmany,1,a\n" + LINES


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files that the commands read; in the end nothing is called `-`, and nothing is left in the folder for scratch."""
    (tmp_path / "d.csv").write_text("x,n,y\n" + LINES)
    (tmp_path / "bad.csv").write_text(BAD)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    yield tmp_path
    assert not (tmp_path / "-").exists()
    assert list((tmp_path / "tmp").glob("tensorize-*")) == []


@pytest.fixture
def prepared(folder: Path) -> Path:
    tz.prepare("table", folder / "d.csv", target="y", split="0.8,0.1,0.1", out=folder / "a.h5")
    return folder / "a.h5"


def raw(folder: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    command = [str(Path(sys.executable).with_name("tensorize")), *args]
    return subprocess.run(command, cwd=folder, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, check=False)


@pytest.mark.parametrize("format", ["hdf5", "pt"])
def test_a_prepared_file_is_the_one_that_a_name_gives(folder: Path, format: str) -> None:
    suffix = {"hdf5": ".h5", "pt": ".pt"}[format]
    wanted = folder / f"d{suffix}"
    tz.prepare("table", folder / "d.csv", target="y", out=wanted)
    done = raw(folder, "table", "d.csv", "--target", "y", "-o", "-", "--format", format)
    assert done.returncode == 0
    assert done.stdout == wanted.read_bytes()
    assert b"d.csv   60 rows" in done.stderr
    assert b"next:" not in done.stderr
    assert b"tensorize-stdout" not in done.stderr
    assert done.stderr.decode().splitlines()[-1].startswith("-   ")


def test_other_commands_write_there_too(folder: Path, prepared: Path) -> None:
    assert raw(folder, "apply", "a.h5", "d.csv", "-o", "-").stdout[:8] == b"\x89HDF\r\n\x1a\n"
    assert raw(folder, "auto", "d.csv", "-o", "-").stdout[:8] == b"\x89HDF\r\n\x1a\n"
    assert raw(folder, "convert", "a.h5", "-", "--format", "pt").stdout[:2] == b"PK"
    model = raw(folder, "train", "a.h5", "--model", "linear", "--epochs", "1", "-o", "-")
    (folder / "m.pt").write_bytes(model.stdout)
    assert raw(folder, "predict", "m.pt", "d.csv", "-o", "-").stdout.count(b"\n") == 61
    recipe = raw(folder, "inspect", "a.h5", "--recipe", "-o", "-").stdout
    (folder / "r.json").write_bytes(recipe)
    tz.verify(folder / "r.json")
    assert Recipe.read(folder / "r.json") == tz.read(prepared).recipe


def test_rejects(folder: Path, warm: Command) -> None:
    done = warm("table", "bad.csv", "--on-bad", "skip", "--max-bad", "1", "--rejects", "-", "-o", "b.h5")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["raw"] for line in done.stdout.splitlines()] == ["many"]
    assert "skipped: 1 of 61 rows" in done.stderr
    failed = warm("table", "bad.csv", "--on-bad", "skip", "--max-bad", "0%", "--rejects", "-", "-o", "c.h5")
    assert failed.returncode == 1
    assert failed.stdout == done.stdout


def test_nothing_is_written_where_the_command_fails(folder: Path, warm: Command) -> None:
    done = warm("table", "bad.csv", "-o", "-")
    assert (done.returncode, done.stdout) == (1, "")
    assert "tensorize-stdout" not in done.stderr
    assert warm("table", "d.csv", "-o", "-", "--dry-run").stdout == ""


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        (("table", "d.csv", "-o", "-", "--json"), "--json and a file cannot both", "name a file with -o"),
        (("table", "d.csv", "-o", "-", "--on-bad", "skip", "--rejects", "-"), "two files cannot both", "name a file with -o"),
        (("predict", "m.pt", "d.csv", "-o", "-", "--on-bad", "skip", "--rejects", "-"), "two files cannot", "with --rejects"),
        (("train", "a.h5", "--model", "mlp", "-o", "-", "--resume"), "--resume goes on from a file", "name a file with -o"),
        (("convert", "a.h5", "-"), "no suffix that tells the format", "say --format hdf5"),
        (("fetch", "wine", "-o", "-"), "a folder of downloads cannot", "name a folder with -o"),
    ],
)
def test_what_cannot_go_there_is_refused(prepared: Path, warm: Command, args: tuple[str, ...], said: str, hint: str) -> None:
    done = warm(*args)
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
    assert hint in done.stdout + done.stderr


def test_a_terminal_gets_no_bytes(folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("tensorize")), "table", "d.csv", "-o", "-"]
    done = subprocess.run(command, cwd=folder, stdout=theirs, stderr=subprocess.PIPE, check=False, text=True)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert "standard output is a terminal" in done.stderr


def test_python_makes_no_such_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="a file named - would be taken for standard output"):
        tz.prepare("table", "d.csv", out="-", format="hdf5")
    with pytest.raises(UsageError, match="a file named -"):
        tz.prepare("table", "d.csv").recipe.save("-")
