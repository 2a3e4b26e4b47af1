"""A process that has imported the large libraries, and forks a child for each command, which so begins where others import.

Reads a job a line from stdin, as JSON, and answers with a line. It has one thread, and imports nothing of the project: the
child does, and runs the installed script as Python would, to the end of the interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import selectors
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "torch._dynamo", "torch.onnx", "onnxscript", "torchmetrics.classification", "h5py", "pydantic", "typer")
"""Not pandas, which a command may keep out; not pyarrow and onnxruntime, which start threads."""


def become(job: dict[str, Any], pipes: Sequence[tuple[int, int]]) -> None:
    """Be a process that was started so: its arguments, folder, environment and streams."""
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), pipes[0][1], pipes[-1][1])):
        os.dup2(stream, number)
    for pipe in pipes:
        for end in pipe:
            os.close(end)
    sys.argv = job["argv"]
    sys.path[:1] = [str(Path(sys.argv[0]).parent), *filter(None, job["env"].get("PYTHONPATH", "").split(os.pathsep))]


def answer(process: int, streams: Sequence[int], seconds: float) -> dict[str, Any]:
    """What a child said, a character for each byte, and its exit code: negative for a signal, none where it took longer."""
    until = time.monotonic() + seconds
    said = dict.fromkeys(streams, b"")
    awaited = (os.pidfd_open(process), *streams)
    with selectors.DefaultSelector() as going_on:
        for end in awaited:
            going_on.register(end, selectors.EVENT_READ)
        while going_on.get_map() and (ready := going_on.select(until - time.monotonic())):
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16) if key.fd in said else b""
                if piece:
                    said[key.fd] += piece
                else:
                    going_on.unregister(key.fd)
        late = bool(going_on.get_map())
    for end in awaited:
        os.close(end)
    if late:
        os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {"code": None if late else code, "said": [piece.decode("latin-1") for piece in said.values()]}


def serve() -> bool:
    """Answer jobs to the end of stdin; True in a child, which has to run its script."""
    for line in sys.stdin:
        job = json.loads(line)
        pipes = [os.pipe() for _ in range(1 if job["merged"] else 2)]
        process = os.fork()
        if not process:
            become(job, pipes)
            return True
        for _, end in pipes:
            os.close(end)
        print(json.dumps(answer(process, [end for end, _ in pipes], job["seconds"])), flush=True)
    return False


if __name__ == "__main__":
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):  # an extra that is not installed
            import_module(library)
    gc.freeze()  # what never goes is not touched by the children's collector, and so stays shared
    print(len(os.listdir("/proc/self/task")), "thread", flush=True)
    if serve():
        runpy.run_path(sys.argv[0], run_name="__main__")
