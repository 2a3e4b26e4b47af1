"""Sources that can be read only once: pipes, and devices, which never end and are refused."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from tensorize.core.errors import DataError, RunError, quoted
from tensorize.core.limits import check_pipe

WRITER_SECONDS = 15.0
"""How long a named pipe may wait for a program that writes to it."""
_COPY_BYTES = 1 << 20


def is_file(path: Path, status: os.stat_result, name: str) -> bool:
    """Whether a path is a file that can be read again; False for a pipe.

    Raises DataError for a device, and for a file of the kernel, whose content has no end or is made as it is read.
    """
    if stat.S_ISCHR(status.st_mode) and not _is_terminal(path):
        raise DataError(f"{name} is a device, not a file: it may never end", hint="name a file, or - for standard input")
    if stat.S_ISREG(status.st_mode) and not status.st_size and path.resolve().parts[1:2] in (("proc",), ("sys",)):
        raise DataError(
            f"{name} is made by the system as it is read", hint=f"copy it to a file first: cat {quoted(name)} > copy.txt"
        )
    return stat.S_ISREG(status.st_mode)


def _is_terminal(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


def open_stream(name: str, path: Path, status: os.stat_result) -> IO[bytes]:
    """Open a pipe for reading. Raises DataError where nothing opens the other end of a named one in time."""
    if not stat.S_ISFIFO(status.st_mode):
        return path.open("rb")
    opened: list[IO[bytes]] = []
    opener = threading.Thread(target=lambda: opened.append(path.open("rb")), daemon=True)
    opener.start()
    opener.join(WRITER_SECONDS)
    if not opener.is_alive() and opened:
        return opened[0]
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # lets the thread go
        opener.join(1)
    for stream in opened:
        stream.close()
    raise DataError(
        f"{name} is a pipe, and no program has written to it in {WRITER_SECONDS:.0f} s",
        hint="start the program that writes first, or pipe it into -",
    )


class _Kept(io.FileIO):
    """A file that is closed, without a warning, once nobody holds it."""

    def __del__(self) -> None:
        self.close()


def spooled(name: str, stream: IO[bytes]) -> IO[bytes]:
    """Return the bytes of a stream in a nameless temporary file.

    Raises DataError for more than `--max-pipe` bytes, RunError where there is no room for them.
    """
    with tempfile.TemporaryFile() as file:
        held = _Kept(os.dup(file.fileno()), "r+b")
    try:
        done = 0
        while piece := stream.read(_COPY_BYTES):
            done += len(piece)
            check_pipe(name, done)
            _write(held, piece)
    except OSError as error:
        held.close()
        raise RunError(
            f"{name} cannot be kept in {tempfile.gettempdir()}: {error.strerror}", hint="save it to a file first, and name that"
        ) from error
    except DataError:
        held.close()
        raise
    return cast(IO[bytes], held)


def _write(file: io.FileIO, data: bytes) -> None:
    at = 0
    while at < len(data):
        at += file.write(memoryview(data)[at:])
