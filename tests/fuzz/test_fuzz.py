"""A short share of `make fuzz`: the same targets over their seeds, what was found before, and a few hundred changes of them."""

import random
import warnings
from pathlib import Path

import pytest
from targets import TARGETS

FOUND = sorted((Path(__file__).parent / "found").glob("*-*"))
CHANGES = {"recipe": 150, "pt": 400, "hdf5": 400, "safetensors": 400, "npz": 400, "parquet": 400, "arrow": 400, "csv": 150}
WORDS = [
    b"-1",
    b"1e999",
    b"null",
    b"[",
    b"{}",
    b'"',
    b"\n",
    b"\x00",
    b"\xff\xff\xff\x7f",
    b"99999999999999999999",
    b"../x",
    b";",
    b'""',
]


def changed(data: bytes, rng: random.Random) -> bytes:
    """A few places changed, cut out, doubled, or with a word put in."""
    made = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at, way = rng.randrange(len(made) + 1), rng.randrange(5)
        stop = min(len(made), at + rng.randrange(1, 9))
        if way == 0 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            made[at:stop] = rng.choice(WORDS)
        elif way == 2:
            made[at:at] = rng.choice(WORDS)
        elif way == 3:
            del made[at:stop]
        else:
            made[at:at] = made[at:stop]
    return bytes(made)


@pytest.mark.parametrize("name", TARGETS)
def test_readers_take_their_seeds_and_changes_of_them(name):
    target, rng = TARGETS[name], random.Random(0)
    seeds = list(target.seeds())
    for data in seeds:
        target.reader(data) if name != "csv" and data[:1] not in (b"p",) else target.read(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(CHANGES[name]):
            target.read(changed(rng.choice(seeds), rng))
            if target.json is not None:
                target.read(target.reshape(rng.choice(seeds), rng))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_fuzzing_found_stays_mended(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TARGETS[path.name.partition("-")[0]].read(path.read_bytes())
