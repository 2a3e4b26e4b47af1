"""The fixture `warm` is told from the real command by nothing but its speed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import Command

TABLE = "a,b\n" + "".join(f"{row},{row % 3}\n" for row in range(9))
CALLS = [
    ("--version",),
    ("tabel", "t.csv"),
    ("table", "t.csv", "--scale", "none", "-q", "-o", "t.h5"),
    ("table", "t.csv", "--target", "c"),
    ("train", "t.csv", "--model", "mlp", "--json"),
]


@pytest.mark.parametrize("args", CALLS, ids=" ".join)
def test_it_says_and_makes_the_same(tensorize: Command, warm: Command, tmp_path: Path, args: tuple[str, ...]) -> None:
    found = []
    for run in (tensorize, warm):
        (tmp_path / "t.csv").write_text(TABLE)
        done = run(*args)
        found.append((done.returncode, done.stdout, done.stderr, {path: path.read_bytes() for path in tmp_path.iterdir()}))
        for path in tmp_path.iterdir():
            path.unlink()
    assert found[0] == found[1]


OWN = "import os, sys\nfrom torch import nn\nprint('out', flush=True)\nprint('err', file=sys.stderr, flush=True)\n"


@pytest.mark.parametrize(("last", "code"), [("os.kill(os.getpid(), 9)", -9), ("os.kill(os.getpid(), 2)", 130)])
def test_it_ends_as_the_process_does(tensorize: Command, warm: Command, tmp_path: Path, last: str, code: int) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "nets.py").write_text(f"{OWN}{last}\n")
    assert warm("table", "t.csv", "--target", "b", "--split", "0.6,0.4", "-o", "t.h5").returncode == 0
    one, other = (run("train", "t.h5", "--model", "nets:Net") for run in (tensorize, warm))
    assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)
    assert (one.returncode, one.stdout.splitlines()[0], one.stderr.splitlines()[0]) == (code, "out", "err")


def test_it_takes_settings_and_no_longer_than_it_may(warm: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/t.csv").write_text(TABLE)
    done = warm("table", "t.csv", "--target", "c", cwd=tmp_path / "in", merged=True)
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (2, 'error: there is no column "c"  (--target)', None)
    assert len(max(warm("--help", env={"COLUMNS": "80"}).stdout.splitlines(), key=len)) <= 80
    with pytest.raises(subprocess.TimeoutExpired):
        warm("--help", timeout=0.01)
    assert warm("--version").returncode == 0
