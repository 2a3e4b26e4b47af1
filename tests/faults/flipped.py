"""The process that reads damaged files: flipped.py FILE SEED TIMES; it says a line for each, and is watched.

A line is `found` where `verify` finds the change, `missed` where it does not; a reader that does anything but read or
raise one of our errors ends the process with a traceback, one that hangs is ended after ten seconds.
"""

import faulthandler
import random
import resource
import sys
from contextlib import suppress
from pathlib import Path

from outputs import copy, files_of, remove

import tensorize
from tensorize.core import registry
from tensorize.core.errors import TensorizeError

MEMORY = 8 << 30
"""What a reader may take: a size out of a damaged file must not be believed."""


def changed(good: bytes, rng: random.Random) -> bytes:
    """One bit, a few bits, a run of bytes, or bytes that are left out or put in."""
    bad, way = bytearray(good), rng.random()
    at = rng.randrange(len(bad))
    if way < 0.7:
        for _ in range(1 if way < 0.5 else rng.randrange(2, 9)):
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    elif way < 0.8:
        bad[at : at + 8] = rng.choice([bytes(8), b"\xff" * 8, rng.randbytes(8)])[: len(bad) - at]
    elif way < 0.9:
        del bad[at : at + rng.randrange(1, 64)]
    else:
        bad[at:at] = rng.randbytes(rng.randrange(1, 64))
    return bytes(bad)


def read(path: Path) -> None:
    """Everything in a file, as far as it goes."""
    if path.suffix == ".json":
        tensorize.Recipe.read(path)
    elif path.name.startswith("model"):
        from tensorize.train.checkpoint import Checkpoint

        Checkpoint.load(path).build()
    elif registry.exporter_for(path).reads:
        with tensorize.read(path) as ts:
            for key in ts:
                ts.numpy(key)
            ts.recipe.parsed_options()


def hurt(good: Path, bad: Path, rng: random.Random) -> bool:
    """Make a copy of a file, or of a folder, with a change in one file, or without it; whether there is a change at all."""
    if bad.exists():
        remove(bad)
    copy(good, bad)
    files = files_of(bad)
    file = rng.choices(files, [1 + path.stat().st_size for path in files])[0]
    if bad.is_dir() and rng.random() < 0.05:
        file.unlink()
        return True
    data = file.read_bytes()
    flipped = changed(data, rng)
    file.write_bytes(flipped)
    return flipped != data


def main(good: Path, seed: int, times: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    bad = good.with_name(f"{good.stem}-bad{good.suffix}")
    tensorize.verify(good)
    read(good)
    rng = random.Random(seed)
    for _ in range(times):
        is_changed = hurt(good, bad, rng)
        faulthandler.dump_traceback_later(10, exit=True)
        try:
            tensorize.verify(bad)
            said = "missed" if is_changed else "same"
        except TensorizeError:
            said = "found"
        with suppress(TensorizeError):
            read(bad)
        print(said, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
