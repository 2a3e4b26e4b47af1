"""Faults in the middle of a run: afterwards the target is the old complete file, the new complete file, or absent.

`make test-faults` kills 200 times for each exporter, `make test` 20 times (TENSORIZE_KILLS says how often).
"""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tensorize
from tensorize import registry
from tensorize.errors import RunError, TensorizeError

KILLS = int(os.environ.get("TENSORIZE_KILLS", "20"))
SUFFIXES = [registry.load("exporters", name).suffixes[0] for name in registry.EXPORTERS]
CALLS = ["pwrite", "fsync", "ftruncate", "posix_fallocate", "link", "replace"]
TABLE = {"a": np.arange(150_000.0), "b": np.arange(150_000) % 7}


def left(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def intact(path: Path) -> bool:
    """Whether a file opens and its digest fits."""
    try:
        registry.exporter_for(path).verify(path)
    except TensorizeError:
        return False
    return True


class Failing:
    """A call of the system of which the nth one fails; with `ever`, all that follow do, too."""

    def __init__(self, real, nth: int, ever: bool, code: int) -> None:
        self.real, self.nth, self.ever, self.code = real, nth, ever, code
        self.calls = 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.calls == self.nth or (self.ever and self.calls > self.nth):
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*args, **kwargs)


def check(path: Path, old: bytes, told: str | None, failing: Failing) -> None:
    """The old file, the new one, or none; a message with path and cause; nothing else left."""
    if told is None:
        assert intact(path)
        return
    assert str(path) in told
    assert os.strerror(failing.code) in told
    there = path.exists()
    assert left(path.parent) == ([path.name] if there else [])
    # A fault after the file has its name leaves the new one, whole; before that, the old one stays.
    assert not there or path.read_bytes() == old or intact(path)


@pytest.mark.parametrize("ever", [False, True])
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_nth_call_of_the_system_fails(tmp_path, monkeypatch, suffix, call, force, ever):
    path = tmp_path / f"x{suffix}"
    old = b""
    if force:
        tensorize.prepare("table", {"a": [1.0]}, out=path)
        old = path.read_bytes()
    for nth in range(1, 60):
        failing = Failing(getattr(os, call), nth, ever, random.Random(nth).choice([errno.EIO, errno.ENOSPC]))
        monkeypatch.setattr(os, call, failing)
        told = None
        try:
            tensorize.prepare("table", TABLE, out=path, force=force, threads=1)
        except RunError as error:
            told = str(error)
        finally:
            monkeypatch.undo()
        check(path, old, told, failing)
        if failing.calls < nth:
            return
        if not force:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != old:
            path.write_bytes(old)
    assert nth > 10


RUN = """
import os, resource, signal, sys
if len(sys.argv) > 2:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
import numpy, tensorize
print("ready", flush=True)
tensorize.prepare("table", {"a": numpy.arange(400_000.0)}, out=sys.argv[1], force=True)
"""

STARVED = """
import resource, sys, h5py, numpy, pyarrow.csv, torch, tensorize
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (20 << 20),) * 2)
tensorize.prepare("table", {"a": numpy.arange(4_000_000.0)}, out=sys.argv[1])
"""


def started(path: Path, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", RUN, path, *map(str, arguments)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    run.stdout.readline()
    return run


def ended(run: subprocess.Popen) -> str:
    _, said = run.communicate(timeout=60)
    return said


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_kill_minus_9_at_any_moment(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    tensorize.prepare("table", {"a": [1.0]}, out=path)
    old = path.read_bytes()
    begun = time.perf_counter()
    ended(started(path))
    whole = time.perf_counter() - begun
    new = path.read_bytes()
    path.write_bytes(old)
    rng, seen = random.Random(0), set()
    for _ in range(KILLS):
        path.write_bytes(old)
        run = started(path)
        time.sleep(rng.uniform(0, whole))
        run.kill()
        ended(run)
        found = path.read_bytes()
        assert found in (old, new)
        seen.add(found == new)
        assert set(left(tmp_path)) <= {path.name, f".{path.name}.part"}
    tensorize.prepare("table", {"a": [1.0]}, out=path, force=True)
    assert left(tmp_path) == [path.name]
    assert path.read_bytes() == old
    assert False in seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupt_at_any_moment(tmp_path, suffix, number):
    path = tmp_path / f"x{suffix}"
    rng = random.Random(1)
    for _ in range(max(KILLS // 4, 3)):
        run = started(path)
        time.sleep(rng.uniform(0, 0.6))
        run.send_signal(number)
        ended(run)
        assert run.returncode == 0 or not path.exists() or intact(path)
        assert set(left(tmp_path)) <= {path.name} | ({f".{path.name}.part"} if number == signal.SIGTERM else set())
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_two_writers_leave_one_whole_winner(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    runs = [started(path) for _ in range(3)]
    said = [ended(run) for run in runs]
    assert intact(path)
    assert left(tmp_path) == [path.name]
    assert any(run.returncode == 0 for run in runs)
    for run, errors in zip(runs, said, strict=True):
        assert run.returncode == 0 or "another run is writing" in errors


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("size", [1 << 10, 1 << 16, 1 << 20])
def test_a_limit_on_file_size(tmp_path, suffix, size):
    run = started(tmp_path / f"x{suffix}", size)
    assert "File too large" in ended(run)
    assert run.returncode
    assert left(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_limit_on_memory_is_an_error_and_leaves_nothing(tmp_path, suffix):
    command = [sys.executable, "-c", STARVED, tmp_path / f"x{suffix}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert left(tmp_path) == []
