"""The engine of worker processes: fresh interpreters on this machine. One that is killed is replaced, its item done again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, TypeVar

from tensorize.core.contracts import ScratchStore
from tensorize.core.errors import RunError, plural
from tensorize.core.threads import ordered_map
from tensorize.engine.child import ONE_THREAD, child_command
from tensorize.engine.pandas_free import no_plugins
from tensorize.engine.pickling import Codec, name_of
from tensorize.engine.shared_scratch import SharedStore

T = TypeVar("T")
U = TypeVar("U")

TRIES = 3
HELD = 4
"""Functions that a worker holds at a time, so that maps can take turns without sending theirs again."""
_MAIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path']; from tensorize.engine.worker import main; main()"
_ROOM = "is there enough memory? Free some, say fewer --workers, or --engine threads"


class ProcessEngine:
    """See `tensorize.core.contracts.Engine`. The workers start with the first map; no `__main__` guard is needed.

    Each has a thread here, which sends items and waits. Raises UnpicklableError for what cannot be sent.

    >>> engine = ProcessEngine(2)
    >>> list(engine.map(abs, [-1, 2, -3]))
    [1, 2, 3]
    >>> engine.close()
    """

    def __init__(self, workers: int = 1, scratch: Path | None = None) -> None:
        self.workers = workers
        self._store = SharedStore(scratch, workers + 1, own=workers)
        self.store: ScratchStore = self._store
        self._codec, self._keys, self._closed = Codec(self._store), count(), False
        self._killed: list[_GoneError] = []
        self._slots = [_Slot(number, self._store) for number in range(workers)]
        self._free: LifoQueue[_Slot] = LifoQueue()
        for slot in self._slots:
            self._free.put(slot)

    def map(self, function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
        """Yield `function(item)` in the order of the items; at most `workers + 1` results wait.

        An error of the function is raised as itself. Raises RunError if three workers in turn are killed at one item.
        """
        name = name_of(function)
        sent = _Function(next(self._keys), name, self._codec.dumps(function, name, function), function)
        return ordered_map(partial(self._do, sent), items, self.workers, self._end)

    def keep(self, function: Callable[[T], tuple[U, Any]], items: Iterable[T]) -> Iterator[tuple[U, Any]]:
        """As `map` over a function that returns (facts, value); the worker stores the value and returns its reference."""
        return self.map(_Kept(function, self.store), items)

    def _do(self, function: _Function, item: Any) -> Any:
        data = self._codec.dumps(item, f"an item of {function.name}", function.itself)
        slot = self._free.get()
        try:
            answer = self._asked(slot, function, data)
        finally:
            self._free.put(slot)
        is_done, result = self._codec.loads(answer)
        if not is_done:
            raise result
        return result

    def _asked(self, slot: _Slot, function: _Function, item: bytes) -> bytes:
        for left in reversed(range(TRIES)):
            if self._closed:
                break
            try:
                return slot.ask(function, item)
            except _GoneError as gone:
                if not left and not self._closed:
                    raise gone.final(function.name) from None
                self._killed.append(gone)
        raise RunError("the engine is closed")

    def notes(self) -> tuple[str, ...]:
        """How many workers were replaced."""
        killed = plural(len(self._killed), "worker process was", "worker processes were")
        return (f"{killed} killed and replaced",) if self._killed else ()

    def _end(self) -> None:
        """Kill the workers; the threads that wait for one notice, and end."""
        self._closed = True
        for slot in self._slots:
            slot.kill()

    def close(self) -> None:
        """End the workers and release scratch. Safe to call twice, and while a map is under way."""
        self._end()
        returned: list[_Slot] = []
        try:
            while len(returned) < self.workers:
                returned.append(self._free.get(timeout=5))
        except Empty:
            pass
        for slot in returned:
            slot.end()
            self._free.put(slot)
        self._store.close()


@dataclass(frozen=True)
class _Kept:
    """A function whose value is stored where it is made."""

    __wrapped__: Callable[[Any], tuple[Any, Any]]
    store: ScratchStore

    def __call__(self, item: Any) -> tuple[Any, Any]:
        facts, value = self.__wrapped__(item)
        return facts, self.store.keep(value)


@dataclass(frozen=True)
class _Function:
    """A function as it is sent: pickled once for each map."""

    key: int
    name: str
    data: bytes = field(repr=False)
    itself: Any = field(repr=False)


class _GoneError(Exception):
    """A worker process that has ended, by itself or killed."""

    def __init__(self, code: int, has_answered: bool) -> None:
        self.how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self.is_start = code >= 0 and not has_answered
        super().__init__(self.how)

    def final(self, name: str) -> RunError:
        """What to say when there is no further try."""
        if self.is_start:
            return RunError(f"a worker process does not start ({self.how})", hint=_ROOM)
        return RunError(f"a worker process was killed {TRIES} times at the same item of {name} ({self.how})", hint=_ROOM)


class _Slot:
    """The place of one worker process, used by one thread at a time."""

    def __init__(self, number: int, store: SharedStore) -> None:
        self._number, self._store = number, store
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._known: list[int] = []
        self._has_answered = False

    def ask(self, function: _Function, item: bytes) -> bytes:
        """The answer of the worker, which is started if there is none. Raises _GoneError if it ends instead."""
        pipe = self._pipe or self._start()
        try:
            self._send(pipe, function, item)
            answer = pipe.recv_bytes()
        except (OSError, EOFError):
            raise _GoneError(self.end(by_itself=True), self._has_answered) from None
        except BaseException:
            self.end()
            raise
        self._has_answered = True
        return answer

    def _send(self, pipe: Connection, function: _Function, item: bytes) -> None:
        is_new = function.key not in self._known
        drop = self._known.pop(0) if is_new and len(self._known) == HELD else None
        pipe.send_bytes(Codec().dumps((function.key, drop, is_new)))
        if is_new:
            self._known.append(function.key)
            pipe.send_bytes(function.data)
        pipe.send_bytes(item)

    def _start(self) -> Connection:
        """Start a worker. Raises RunError if the system does not let us."""
        files, (ours, theirs) = self._store.files, socket.socketpair()
        with ours, theirs:
            argument = self._argument(theirs.fileno(), files)
            try:
                self._process = subprocess.Popen(
                    child_command(_MAIN, argument),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *files),
                    env={**os.environ, **ONE_THREAD},
                    process_group=0,  # Ctrl-C in a terminal goes to us alone, who end the workers
                )
            except OSError as error:
                raise RunError(f"a worker process does not start: {error.strerror}", hint=_ROOM) from error
            self._pipe, self._known, self._has_answered = Connection(os.dup(ours.fileno())), [], False
        return self._pipe

    def _argument(self, pipe: int, files: tuple[int, ...]) -> str:
        """What a worker is told at its start, as JSON: where to import from is the same as here."""
        path = [*(entry for entry in sys.path if isinstance(entry, str)), str(Path(__file__).parents[2])]
        folder = None if self._store.folder is None else str(self._store.folder)
        told = {"path": path, "pipe": pipe, "files": files, "slot": self._number, "folder": folder, "is_ours": no_plugins()}
        return json.dumps(told)

    def kill(self) -> None:
        """Kill the worker, whoever is waiting for it."""
        process = self._process
        if process is not None:
            process.kill()

    def end(self, by_itself: bool = False) -> int:
        """End the worker, or give one that is ending by itself a second for it; return its exit code."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is None:
            return 0
        try:
            return process.wait(1 if by_itself else 0)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
