"""A separate process that decodes images: if a decoder takes too much or crashes, the system ends this, not the run.

It is talked to over its standard streams: the options, answered by a line once it is ready, then for each image a line of
JSON and the bytes of the file; back come a line of JSON and the pixels. Nothing in that is code.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

import numpy as np

from tensorize.loaders.images.decode import Decoded, decode, finish, least_of
from tensorize.loaders.images.errors import ImageError
from tensorize.loaders.images.header import Header
from tensorize.loaders.images.options import ImagesOptions


def main() -> None:
    """Serve until the other side closes the stream, or a limit is met."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run that is interrupted closes the stream
    given, taken = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    options = ImagesOptions.model_validate_json(given.readline())
    _limit_memory(options.limits.memory)
    _send(taken, {"ready": True}, memoryview(b""))
    while line := given.readline():
        request = json.loads(line)
        data = given.read(request["bytes"])
        header = Header(*request["header"])
        signal.setitimer(signal.ITIMER_PROF, options.limits.seconds)
        answer, pixels = _answer(data, header, options)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(taken, answer, pixels)


def work(data: bytes, header: Header, options: ImagesOptions) -> Decoded:
    """One finished image from the bytes of its file. Raises ImageError."""
    return finish(decode(data, header, least_of(header, options)), options)


def _answer(data: bytes, header: Header, options: ImagesOptions) -> tuple[dict[str, Any], memoryview]:
    try:
        pixels, translucent = work(data, header, options)
        pixels = np.ascontiguousarray(pixels)
    except MemoryError:
        return {"memory": _may_have(options.limits.memory)}, memoryview(b"")
    except ImageError as error:
        return {"error": str(error), "kind": error.kind}, memoryview(b"")
    answer = {"shape": pixels.shape, "dtype": pixels.dtype.name, "translucent": translucent}
    return answer, pixels.data.cast("B")


def _send(stream: BinaryIO, answer: dict[str, Any], pixels: memoryview) -> None:
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.write(pixels)
    stream.flush()


def _limit_memory(most: int) -> None:
    """Let the data of this process grow by so many bytes. Only Linux counts them; elsewhere the header alone is the limit."""
    try:
        used = _pages(5)
        resource.setrlimit(resource.RLIMIT_DATA, (used + most, used + most))
    except (OSError, ValueError):
        return


def _may_have(most: int) -> bool:
    """Whether the system lets this process grow by so many bytes, so that one who got no memory wanted more than that."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        return allowed == resource.RLIM_INFINITY or _pages(0) + most <= allowed
    except OSError:
        return True


def _pages(which: int) -> int:
    """A number of `/proc/self/statm` in bytes: 0 is all of the address space, 5 the data and the stack."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[which]) * resource.getpagesize()
