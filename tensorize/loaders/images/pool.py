"""Images decoded here, or in processes apart: started when the first hard image comes, one for each thread that has one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

import tensorize
from tensorize.core.errors import RunError
from tensorize.core.units import size
from tensorize.loaders.images.decode import Decoded, TransparentError, finish, least_of
from tensorize.loaders.images.error import ImageError
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.images.source import Source

_MAIN = "from tensorize.loaders.images.worker import main; main()"
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP}
"""What ends a process without a word on the image: somebody, or a system that has no memory left."""
_TRIES = 2
_ROOM = "is there enough memory? Free some, or try --threads 1, or a smaller --max-memory"


class Decoder:
    """Decodes and finishes images: here, or in a process apart where the limits say so."""

    def __init__(self, options: ImagesOptions) -> None:
        self._options, self._limits, self._pool = options, options.limits, Pool(options)

    def finished(self, source: Source, row: int, data: Any, header: Header) -> Decoded:
        """One finished image, of which `data` is what the source gave. Raises ImageError, and RunError as `Pool` does."""
        if isinstance(data, bytes) and self._limits.is_hard(header, data):
            return self._pool.decode(data, header, source.listing.files[row])
        return finish(source.pixels(data, header, least_of(header, self._options)), self._options)

    def decode(self, source: Source, row: int, header: Header) -> None:
        """Raises ImageError where an image cannot be decoded; one that is transparent can be."""
        with suppress(TransparentError):
            self.finished(source, row, source.load(row), header)

    def close(self) -> None:
        self._pool.close()


class Pool:
    """Decodes and finishes images in processes of their own. Close it to end them."""

    def __init__(self, options: ImagesOptions) -> None:
        self._options = options
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def decode(self, data: bytes, header: Header, name: str) -> Decoded:
        """One finished image. A process that is killed from outside says nothing on the image, and is replaced once.

        Raises ImageError, also where the limit of time or memory is met, or the decoder crashes; RunError where a process
        does not start, is killed again, or lacks memory that it may have.
        """
        for _ in range(_TRIES):
            with suppress(_KilledError):
                return self._decode(data, header, name)
        raise RunError(f"{name} cannot be decoded: the process that does it was killed, {_TRIES} times", hint=_ROOM)

    def _decode(self, data: bytes, header: Header, name: str) -> Decoded:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or self._start(name)
        try:
            decoded = self._ask(worker, data, header)
        except _RefusedError as refused:
            self._idle.append(worker)
            raise refused.error from None
        except _StarvedError:
            _end(worker)
            raise RunError(f"{name} cannot be decoded: there is not enough memory", hint=_ROOM) from None
        except (OSError, ValueError) as error:
            raise self._ended(worker) from error
        except BaseException:
            _end(worker)
            raise
        self._idle.append(worker)
        return decoded

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        """A process that waits for images. Raises RunError where there is none to be had, _KilledError."""
        home = str(Path(tensorize.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        worker = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **threads, "PYTHONPATH": path},
        )
        try:
            given, taken = _stream(worker.stdin), _stream(worker.stdout)
            with suppress(BrokenPipeError):
                given.write(self._options.model_dump_json(exclude_defaults=True).encode() + b"\n")
                given.flush()
            if taken.readline():
                return worker
        except BaseException:
            _end(worker)
            raise
        raise self._not_started(worker, name)

    def _not_started(self, worker: subprocess.Popen[bytes], name: str) -> Exception:
        """What became of a process that never was ready."""
        _end(worker)
        if -worker.returncode in _FROM_OUTSIDE:
            return _KilledError()
        how = _how(worker.returncode)
        return RunError(f"{name} cannot be decoded: the process that does it does not start ({how})", hint=_ROOM)

    def _ask(self, worker: subprocess.Popen[bytes], data: bytes, header: Header) -> Decoded:
        given, taken = _stream(worker.stdin), _stream(worker.stdout)
        given.write(json.dumps({"bytes": len(data), "header": header}).encode() + b"\n")
        given.write(data)
        given.flush()
        answer = json.loads(taken.readline())
        if "error" in answer:
            raise _RefusedError(ImageError(answer["error"], answer["kind"]))
        if "memory" in answer:
            raise _RefusedError(self._too_much()) if answer["memory"] else _StarvedError
        dtype, shape = np.dtype(answer["dtype"]), tuple(answer["shape"])
        pixels = np.empty(shape, dtype)
        if taken.readinto(pixels.data.cast("B")) != pixels.nbytes:
            raise ValueError("the pixels are cut off")
        return Decoded(pixels, answer["translucent"])

    def _ended(self, worker: subprocess.Popen[bytes]) -> Exception:
        """What became of a process that no longer answers."""
        _end(worker)
        code = worker.returncode
        if code == -signal.SIGPROF:
            most = self._options.limits.seconds
            return ImageError(f"decoding it takes more than {most} s (--max-seconds)", "time")
        return _KilledError() if -code in _FROM_OUTSIDE else ImageError(f"its decoder crashed ({_how(code)})", "crash")

    def _too_much(self) -> ImageError:
        return ImageError(f"decoding it takes more than {size(self._options.limits.memory)} of memory (--max-memory)", "memory")

    def close(self) -> None:
        while self._idle:
            _end(self._idle.pop())


class _RefusedError(Exception):
    """The process is well, and says that an image is not."""

    def __init__(self, error: ImageError) -> None:
        super().__init__(str(error))
        self.error = error


class _KilledError(Exception):
    """A process was ended by somebody else."""


class _StarvedError(Exception):
    """The system gives a process less memory than one image may take."""


def _how(code: int) -> str:
    """How a process ended: `SIGSEGV`, `exit code 1`."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _stream(stream: Any) -> Any:
    return cast(Any, stream)


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Close the streams, give a process that is ending by itself the time for it, and end it otherwise."""
    for stream in (worker.stdin, worker.stdout):
        try:
            _stream(stream).close()
        except OSError:
            continue
    try:
        worker.wait(1)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
