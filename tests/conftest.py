"""What the tests share: the real data, where it is, the samples, and the installed command."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from follow import following
from postgres_server import Server, is_available, started

ROOT = Path(__file__).parent.parent
collect_ignore = ["fuzz/fuzz.py"]  # a program of its own, for `make fuzz`
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # several tests at a time: a thread that waits must not spin
signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts in the background is deaf to it, and so its children
Command = Callable[..., subprocess.CompletedProcess[str]]
WriteTable = Callable[..., Path]


def _folder(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the public data sets: wine/, bikes/, text/, images/, cifar10/."""
    return _folder("TENSORIZE_DATA")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the corpora of hostile files."""
    return _folder("TENSORIZE_CORPORA")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the synthetic samples."""
    return ROOT / "samples"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server that lives as long as the tests."""
    pytest.importorskip("adbc_driver_postgresql")
    if not is_available():
        pytest.skip("PostgreSQL's initdb is not installed, or cannot be run as this user")
    with started() as server:
        yield server


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONUTF8": "1", **(more or {})}


def _installed() -> Path:
    path = Path(sys.executable).with_name("tensorize")
    if not path.exists():
        pytest.fail(f"{path} is not there; install the project first: make test", pytrace=False)
    return path


@pytest.fixture
def write(tmp_path: Path) -> WriteTable:
    """Write text or bytes to a file in the test's own folder: `write("a,b\n1,2\n")`, `write(data, "other.csv")`."""

    def make(text: str | bytes, name: str = "d.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


@pytest.fixture
def tensorize(tmp_path: Path) -> Command:
    """Run the installed command, in the test's own folder: `tensorize("wine", path, "-o", "wine.h5")`."""
    command = _installed()

    def run(*args: object, env: Mapping[str, str] | None = None, **options: object) -> subprocess.CompletedProcess[str]:
        settings = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "timeout": 300} | options
        if "input" in settings:
            del settings["stdin"]
        return subprocess.run(
            [str(command), *map(str, args)],
            env=_environment(env),
            capture_output=True,
            text=True,
            check=False,
            **settings,
        )

    return _followed(run, tmp_path)


@pytest.fixture(scope="session")
def forked() -> Iterator[Command]:
    """Run a Python script in a process that has imported torch and others already: `forked(path, "--flag", cwd=tmp_path)`.

    For what it does, not for how it starts, reads stdin or uses memory. Forking is safe on Linux alone; elsewhere it starts.
    """
    if sys.platform != "linux":
        yield _started
        return
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    env = _environment({"OPENBLAS_NUM_THREADS": "1"})  # it starts the others as it is loaded
    with subprocess.Popen([sys.executable, Path(__file__).with_name("warm.py")], env=env, **pipes) as server:
        assert server.stdout.readline() == "1 thread\n", "a process of several threads is not to be forked"

        def run(
            *args: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 300, merged: bool = False
        ) -> subprocess.CompletedProcess[str]:
            job = {"argv": [*map(str, args)], "env": _environment(env), "cwd": str(cwd), "seconds": timeout, "merged": merged}
            print(json.dumps(job), file=server.stdin, flush=True)
            answer = json.loads(server.stdout.readline())
            said = [io.TextIOWrapper(io.BytesIO(text.encode("latin-1")), "utf-8").read() for text in answer["said"]]
            if answer["code"] is None:
                raise subprocess.TimeoutExpired(job["argv"], timeout, *said)
            return subprocess.CompletedProcess(job["argv"], answer["code"], *said)

        yield run


def _started(
    *args: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 300, merged: bool = False
) -> subprocess.CompletedProcess[str]:
    streams = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT if merged else subprocess.PIPE,
    }
    command = [sys.executable, *map(str, args)]
    return subprocess.run(command, cwd=cwd, env=_environment(env), timeout=timeout, text=True, check=False, **streams)


@pytest.fixture
def warm(forked: Command, tmp_path: Path) -> Command:
    """Run the installed command as `tensorize` does, but as `forked` does: a tenth of the time where it imports torch."""

    def run(*args: object, cwd: Path = tmp_path, **options: object) -> subprocess.CompletedProcess[str]:
        return forked(_installed(), *args, cwd=cwd, **options)

    return _followed(run, tmp_path)


def _followed(run: Command, folder: Path) -> Command:
    """The same, which also follows the hints of what fails, for `make test-hints`."""
    file = os.environ.get("TENSORIZE_HINTS")
    return following(run, folder, file) if file else run


def refused(tensorize: Command, *args: object) -> str:
    """The first line of the error of a command that fails by its data."""
    done = tensorize(*args)
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[0]


def summary(tensorize: Command, *args: object) -> str:
    """What a command prints that succeeds."""
    done = tensorize(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pytest_sessionfinish() -> None:
    """After a full run of the fault harness, write its page."""
    if page := os.environ.get("TENSORIZE_RELIABILITY"):
        from reliability import write

        write(page)
