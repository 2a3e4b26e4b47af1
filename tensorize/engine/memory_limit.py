"""A limit on the memory of this process, for one that reads what strangers wrote."""

from __future__ import annotations

import resource


def limit_memory(most: int) -> None:
    """Let the data of this process grow by `most` bytes. Only Linux counts them; elsewhere nothing happens."""
    try:
        used = pages(5)
        resource.setrlimit(resource.RLIMIT_DATA, (used + most, used + most))
    except (OSError, ValueError):
        return


def may_have(most: int) -> bool:
    """Whether the system lets this process grow by `most` bytes, so that one who got no memory wanted more than that."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        return allowed == resource.RLIM_INFINITY or pages(0) + most <= allowed
    except OSError:
        return True


def pages(which: int) -> int:
    """A number of `/proc/self/statm` in bytes: 0 is all of the address space, 5 the data and the stack."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[which]) * resource.getpagesize()
