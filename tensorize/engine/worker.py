"""A worker process: it takes functions and items from a pipe, and sends results back."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tensorize.engine.allocator import keep_freed
from tensorize.engine.pandas_free import refuse_pandas
from tensorize.engine.pickling import Codec, name_of
from tensorize.engine.shared_scratch import SharedStore


def main() -> None:
    """Serve until the parent closes the pipe, or ends. What to serve on is the first argument, as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent that is interrupted ends its workers
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # what a function prints must not stop it
    with suppress(OSError):
        os.dup2(2, 1)  # what a function prints must not come between the results of the command
    keep_freed()
    start = json.loads(sys.argv[1])
    if start["is_ours"]:
        refuse_pandas()
    threading.Thread(target=_end_with_parent, args=(start["pipe"],), daemon=True).start()
    folder = Path(start["folder"]) if start["folder"] is not None else None
    files = tuple(start["files"])
    _serve(Connection(start["pipe"]), Codec(SharedStore(folder, len(files), start["slot"], files)))


def _end_with_parent(pipe: int) -> None:
    """End this process, whatever it does, once nobody is at the other end of the pipe."""
    poll = select.poll()
    poll.register(pipe, 0)  # that the other end is closed is always told
    poll.poll()
    os._exit(0)


def _serve(pipe: Connection, codec: Codec) -> None:
    """Answer requests: the key of a function, one to drop or None, and whether the function comes; then that, and the item."""
    functions: dict[int, Callable[[Any], Any]] = {}
    with suppress(EOFError, OSError):
        while True:
            key, drop, comes = codec.loads(pipe.recv_bytes())
            functions.pop(drop, None)
            function = pipe.recv_bytes() if comes else None
            pipe.send_bytes(_answer(codec, functions, key, function, pipe.recv_bytes()))


def _answer(codec: Codec, functions: dict[int, Any], key: int, function: bytes | None, item: bytes) -> bytes:
    """(True, result), or (False, error)."""
    try:
        if function is not None:
            functions[key] = codec.loads(function)
        result = functions[key](codec.loads(item))
        return codec.dumps((True, result), f"the result of {name_of(functions[key])}", functions[key])
    except BaseException as error:
        return _failure(codec, error)
    finally:
        sys.stdout.flush()


def _failure(codec: Codec, error: BaseException) -> bytes:
    """The error itself, with the traceback as a note; only its text where it cannot be sent."""
    error.add_note("In a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        data = codec.dumps((False, error))
        codec.loads(data)
        return data
    except Exception:
        told = RuntimeError(f"{type(error).__qualname__}: {error}")
        told.add_note(error.__notes__[-1])
        return codec.dumps((False, told))
