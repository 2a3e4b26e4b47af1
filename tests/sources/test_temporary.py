"""Folders of copies: gone with what holds them, with the command, and after a kill with the next run."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image
from servers import Web

from tensorize.sources.temporary import TemporaryFolder, remove_all

HOLDS = "import sys, tensorize.sources.temporary as t; held = t.TemporaryFolder(sys.argv[1]); print(1, flush=True); input()"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Web() as server:
        yield server


def test_a_folder_goes_with_what_holds_it(tmp_path: Path) -> None:
    held = TemporaryFolder(tmp_path)
    assert os.path.isdir(held.path)
    del held
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    held = TemporaryFolder(tmp_path)
    remove_all()
    assert list(tmp_path.iterdir()) == []
    held.close()


def test_what_a_killed_run_left_is_removed_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        (theirs,) = tmp_path.iterdir()
        TemporaryFolder(tmp_path).close()
        assert theirs.exists()
        other.send_signal(signal.SIGKILL)
    TemporaryFolder(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", [False, True])
def test_a_command_leaves_nothing(tensorize: Command, web: Web, tmp_path: Path, broken: bool) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    raw = (tmp_path / "a.png").read_bytes()
    address = web.put("/a.png", raw[:40] if broken else raw)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = tensorize("images", address, "-o", "a.h5", env={"TMPDIR": str(temporary)})
    assert done.returncode == int(broken), done.stderr
    assert tempfile.gettempdir() not in done.stderr
    assert list(temporary.iterdir()) == []
