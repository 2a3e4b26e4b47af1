"""Folders in the making: every moment at which a run can be killed, systems that cannot exchange names, folders of others."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorize.core.errors import RunError, UsageError
from tensorize.storage import partfolder
from tensorize.storage.partfolder import PartFolder


def ours(folder):
    return (folder / "ours").exists()


def put(target, text, force=False):
    part = PartFolder(target, ours, force=force)
    (part.path / "ours").write_text(text)
    return part


def content(target):
    return (target / "ours").read_text()


@pytest.fixture
def old(tmp_path):
    """A set that is there."""
    put(tmp_path / "x", "old").commit()
    return tmp_path / "x"


@pytest.fixture(params=["renameat2", "two renames"])
def system(request, monkeypatch):
    """A system with renameat2, and one without."""
    if request.param != "renameat2":
        monkeypatch.setattr(partfolder, "_renamed", lambda *_: False)


def test_it_appears_on_commit_and_leaves_nothing_else(tmp_path, system):
    part = put(tmp_path / "x", "new")
    assert os.listdir(tmp_path) == [".x.part"]
    part.commit()
    part.abort()
    assert (os.listdir(tmp_path), content(tmp_path / "x")) == (["x"], "new")


def test_an_existing_set_stays_unless_forced(old, system):
    with pytest.raises(UsageError, match="exists"):
        put(old, "new")
    put(old, "new", force=True).abort()
    assert content(old) == "old"
    put(old, "new", force=True).commit()
    assert (content(old), os.listdir(old.parent)) == ("new", ["x"])


def test_a_folder_of_others_is_never_replaced_also_when_it_appears_late(tmp_path, system):
    part = put(tmp_path / "x", "new", force=True)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine").write_text("mine")
    with pytest.raises(UsageError, match="is not replaced"):
        part.commit()
    part.abort()
    with pytest.raises(UsageError, match="is not replaced"):
        put(tmp_path / "x", "new", force=True)
    assert (os.listdir(tmp_path), os.listdir(tmp_path / "x")) == (["x"], ["mine"])


def test_a_target_that_appears_late_stays_without_force(tmp_path, system):
    part = put(tmp_path / "x", "new")
    (tmp_path / "x").mkdir()
    with pytest.raises(UsageError, match="exists"):
        part.commit()
    part.abort()
    assert os.listdir(tmp_path) == ["x"]


def test_two_runs_to_one_target_do_not_meet(tmp_path):
    part = put(tmp_path / "x", "one")
    with pytest.raises(RunError, match="another run is writing"):
        put(tmp_path / "x", "two")
    part.commit()
    assert content(tmp_path / "x") == "one"


KILLED = """
import os, sys
from pathlib import Path
from tensorize.storage import partfolder
calls, last, exchange = [], int(sys.argv[2]), sys.argv[3] == "exchange"
def counted(real):
    def call(*given, **more):
        calls.append(given)
        if len(calls) == last:
            os._exit(9)
        return real(*given, **more)
    return call
if not exchange:
    partfolder._renamed = lambda *_: False
else:
    partfolder._renamed = counted(partfolder._renamed)
part = partfolder.PartFolder(Path(sys.argv[1]), lambda folder: (folder / "ours").exists(), force=True)
(part.path / "ours").write_text("new")
for name in ("rename", "unlink", "rmdir", "fsync", "open"):
    setattr(os, name, counted(getattr(os, name)))
part.commit()
print(len(calls))
"""


@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_killed_at_any_call_of_a_commit_a_whole_set_is_left_and_the_next_run_tidies(old, way):
    """With an exchange the target is there at every moment; else once the next run to it has begun."""
    for last in range(1, 60):
        done = subprocess.run([sys.executable, "-c", KILLED, old, str(last), way], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        if way == "exchange":
            assert content(old) in ("old", "new")
        PartFolder(old, ours, force=True).abort()
        assert content(old) in ("old", "new")
        assert os.listdir(old.parent) == ["x"]
        put(old, "old", force=True).commit()
    assert last > 8


def test_where_the_second_rename_fails_the_old_set_returns(old, monkeypatch):
    part, real = put(old, "new", force=True), os.rename

    def failing(source, target):
        if Path(source).name == "set":
            raise OSError(errno.EIO, "no disk")
        real(source, target)

    monkeypatch.setattr(partfolder, "_renamed", lambda *_: False)
    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(RunError, match="Input/output error"):
        part.commit()
    assert (content(old), os.listdir(old.parent)) == ("old", ["x"])


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path):
    (tmp_path / ".x.part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError):
        put(tmp_path / "x", "new")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match="No such file"):
        put(tmp_path / "none/x", "new")
