"""What the tests share: the real data, where it is, the samples, and the installed command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
collect_ignore = ["fuzz/fuzz.py"]  # a program of its own, for `make fuzz`
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # several tests at a time: a thread that waits must not spin
signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts in the background is deaf to it, and so its children
Command = Callable[..., subprocess.CompletedProcess[str]]


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


@pytest.fixture
def tensorize(tmp_path: Path) -> Command:
    """Run the installed command, in the test's own folder: `tensorize("wine", path, "-o", "wine.h5")`."""
    command = Path(sys.executable).with_name("tensorize")
    if not command.exists():
        pytest.fail(f"{command} is not there; install the project first: make test", pytrace=False)

    def run(*args: object, env: Mapping[str, str] | None = None, **options: object) -> subprocess.CompletedProcess[str]:
        settings = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "timeout": 300} | options
        if "input" in settings:
            del settings["stdin"]
        plain = {"NO_COLOR": "1", "COLUMNS": "120", "PYTHONUTF8": "1"}
        return subprocess.run(
            [str(command), *map(str, args)],
            env={**os.environ, **plain, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            **settings,
        )

    return run


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
