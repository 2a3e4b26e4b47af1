"""Images decoded here, or in separate processes: started with the first hard image, one for each thread that has one."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import threading
import weakref
from contextlib import suppress
from typing import Any, Self, cast

import numpy as np

from tensorize.core.contracts import Array
from tensorize.core.errors import RunError
from tensorize.core.units import size
from tensorize.engine.child import child_command, child_environment
from tensorize.loaders.images.decode import Decoded, Room, decode, finish, least_of
from tensorize.loaders.images.errors import ImageError
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.options import ImagesOptions, Limits

_MAIN = "from tensorize.loaders.images.worker import main; main()"
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP}
"""Signals that say nothing about the image: sent by somebody, or by a system that is out of memory."""
_PILLOW_BYTES = 24
"""Bytes for each pixel that Pillow and the code around it take at most: 22 for WebP and 23 for 16-bit RGBA, measured."""

_TURBO_BYTES = 16
"""The same for libjpeg-turbo: 3 for the pixels, 6 for the coefficients of a progressive image, 7 to resize it."""

_PILLOW_PIXELS, _TURBO_PIXELS = 4 << 20, 32 << 20
"""Up to here an image is decoded in well under a second, whatever it holds."""

_SCAN_WORK = 160_000_000_000
"""Bytes × pixels of a progressive JPEG up to which it takes at most a second: 0.1 ns a pixel and scan, 12 bytes a scan."""

_TRIES = 2
_START_SECONDS = 20
_ROOM = "is there enough memory? Free some, or try --threads 1, or a smaller --max-memory"


class Decoder:
    """Decodes and finishes images: here, or in a separate process where the limits ask for one.

    Close it, or use it as a context manager. Pickled, it is a decoder with no process yet; one that nothing refers to any
    more ends its processes.
    """

    def __init__(self, options: ImagesOptions) -> None:
        self._options, self._pool, self._room = options, Pool(options), Room()

    def __reduce__(self) -> tuple[type[Decoder], tuple[ImagesOptions]]:
        return Decoder, (self._options,)

    def finished(self, data: bytes | Array, header: Header, name: str) -> Decoded:
        """One finished image, from the bytes of its file, or from pixels (height, width, channel).

        `name` is what an error of the machine calls it. Raises ImageError, and RunError as `Pool.decode` does.
        """
        if not isinstance(data, bytes):
            return finish(data, self._options)
        if is_hard(self._options.limits, header, data):
            return self._pool.decode(data, header, name)
        return finish(decode(data, header, least_of(header, self._options), self._room), self._options)

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_hard(limits: Limits, header: Header, data: bytes) -> bool:
    """Whether a file is decoded in a separate process.

    The header bounds what a decoder can do. A file that is small by its header is decoded here; any other, and every
    TIFF, whose tags can ask for anything, goes to a process that the system ends at the limit.
    """
    pixels = header.height * header.width
    if header.format == "TIFF":
        return True
    if header.turbo:
        if pixels > _TURBO_PIXELS or pixels * _TURBO_BYTES > limits.memory:
            return True
    elif pixels > _PILLOW_PIXELS or pixels * _PILLOW_BYTES > limits.memory:
        return True
    return header.format == "JPEG" and pixels * len(data) > _SCAN_WORK and is_progressive(data)


def is_progressive(data: bytes) -> bool:
    """Whether a JPEG comes in scans, each of which goes over all pixels. True where its segments cannot be followed.

    Source: ITU-T T.81, B.1.1.3 and table B.1.
    """
    at = 2
    while at + 4 <= len(data):
        while data[at + 1] == 0xFF and at + 4 < len(data):
            at += 1
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker not in (0xC0, 0xC1)
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return True


class Pool:
    """Decodes and finishes images in separate processes, from several threads at once. Close it to end them."""

    def __init__(self, options: ImagesOptions) -> None:
        self._options = options
        self._idle: list[subprocess.Popen[bytes]] = []
        weakref.finalize(self, _end_all, self._idle)
        self._lock = threading.Lock()

    def decode(self, data: bytes, header: Header, name: str) -> Decoded:
        """One finished image. A process that is killed from outside says nothing about the image, and is replaced once.

        Raises ImageError, also if the limit of time or memory is reached or the decoder crashes; RunError if a process does
        not start, is killed again, or is out of memory.
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
        """A process that waits for images. Raises RunError if it does not start, _KilledError if it is killed."""
        worker = subprocess.Popen(
            child_command(_MAIN),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
        )
        late = threading.Timer(_START_SECONDS, worker.kill)  # short of memory, it can wait forever in an import
        late.start()
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
        finally:
            late.cancel()
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
        """End the processes. Safe to call twice."""
        _end_all(self._idle)


class _RefusedError(Exception):
    """The process works, and reports an invalid image."""

    def __init__(self, error: ImageError) -> None:
        super().__init__(str(error))
        self.error = error


class _KilledError(Exception):
    """A process was killed from outside."""


class _StarvedError(Exception):
    """The system is out of memory for a process."""


def _how(code: int) -> str:
    """How a process ended: `SIGSEGV`, `exit code 1`."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _stream(stream: Any) -> Any:
    return cast(Any, stream)


def _end_all(workers: list[subprocess.Popen[bytes]]) -> None:
    while workers:
        _end(workers.pop())


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Close the streams, give the process a second to end by itself, then kill it."""
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
