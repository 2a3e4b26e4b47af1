"""What may pass is tried again: how long, how often, and what is said once it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tensorize.core.errors import RunError

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds before the first new try, doubled for each further one."""
MOST_TRIES = 6
ENOUGH = 64 << 10
"""Bytes that must come within the time limit for it to begin anew: a server that trickles is one that stalls."""


class MayPassError(Exception):
    """A failure that may pass: a reset connection, a time-out, a busy server. `after` are the seconds that it asks to wait."""

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.after = after


class Patience:
    """How long a read may go on without progress: `seconds`, over all tries together."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._tries, self._come, self._wasted = 0, 0, False
        self._deadline = time.monotonic() + seconds

    @property
    def each(self) -> float:
        """Seconds that one answer may take, so that there is time for another try."""
        return max(0.1, min(self._seconds / 3, self._deadline - time.monotonic()))

    def got(self, count: int) -> None:
        """Some bytes have come. Raises MayPassError where they trickle."""
        self._come += count
        self._wasted = True
        if self._come >= ENOUGH:
            self._come, self._deadline = 0, time.monotonic() + self._seconds
        elif time.monotonic() > self._deadline:
            raise MayPassError(f"less than {ENOUGH >> 10} KiB came in {self._seconds:g} s")

    def forget(self) -> None:
        """What failed before has been made good: what came is kept."""
        self._tries, self._wasted = 0, False

    def wait(self, error: MayPassError) -> None:
        """Wait before the next try. Raises RunError where there is to be none."""
        pause = max(error.after, min(FIRST_PAUSE * 2**self._tries, LONGEST_PAUSE))
        self._tries += 2 if self._wasted else 1  # a try that is begun anew may have taken long
        self._wasted = False
        if self._tries > MOST_TRIES or time.monotonic() + pause > self._deadline:
            longer = 2 * max(self._seconds, error.after)
            raise RunError(
                f"{self._name} cannot be read: {error}",
                hint=f"try again later, or wait longer: --timeout {longer:g}",
            ) from None
        time.sleep(pause)


def persistent(name: str, seconds: float, attempt: Callable[[Patience], T]) -> T:
    """The result of `attempt`, tried again where it raises MayPassError. Raises RunError once that goes on too long."""
    patience = Patience(name, seconds)
    while True:
        try:
            return attempt(patience)
        except MayPassError as error:
            patience.wait(error)


def filled(name: str, seconds: float, count: int, attempt: Callable[[int, memoryview, Patience], int]) -> bytes:
    """`count` bytes of what `attempt(done, buffer, patience)` reads piece by piece: it goes on where the last one ended.

    An attempt returns how many bytes it has read, 0 where the other side has ended early, or raises MayPassError. Raises
    RunError where no more come.
    """
    buffer, done = bytearray(count), 0
    patience = Patience(name, seconds)
    while done < count:
        try:
            got = attempt(done, memoryview(buffer)[done:], patience)
            if not got:
                raise MayPassError(f"only {done:,} of {count:,} bytes came")
        except MayPassError as error:
            patience.wait(error)
        else:
            done += got
            patience.forget()
    return bytes(buffer)
