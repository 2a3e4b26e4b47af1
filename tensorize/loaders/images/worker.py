"""A separate process that decodes images: if a decoder takes too much or crashes, the system ends this, not the run.

It is talked to over its standard streams: the options, answered by a line once it is ready, then for each image a line of
JSON and the bytes of the file; back come a line of JSON and the pixels. Nothing in that is code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, BinaryIO

import numpy as np

from tensorize.engine.memory_limit import limit_memory, may_have
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
    limit_memory(options.limits.memory)
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
        return {"memory": may_have(options.limits.memory)}, memoryview(b"")
    except ImageError as error:
        return {"error": str(error), "kind": error.kind}, memoryview(b"")
    answer = {"shape": pixels.shape, "dtype": pixels.dtype.name, "translucent": translucent}
    return answer, pixels.data.cast("B")


def _send(stream: BinaryIO, answer: dict[str, Any], pixels: memoryview) -> None:
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.write(pixels)
    stream.flush()
