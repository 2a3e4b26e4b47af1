"""The readers that take what strangers wrote: each target takes bytes, and may raise nothing but an error of ours.

`seeds` are files that the project makes itself; `read` is what is tried on them and on what fuzzing makes of them.
"""

import contextlib
import functools
import json
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorize
from tensorize import Recipe
from tensorize.core.errors import TensorizeError
from tensorize.exporters.hdf5.index import MAGIC
from tensorize.exporters.pt.dense import NotPlainError
from tensorize.exporters.pt.unpickled import unpickled
from tensorize.exporters.rowwise.index import MAGIC as ROWS_MAGIC
from tensorize.loaders import read_table
from tensorize.storage.digest import DIGEST_SIZE

SIZE = 1 << 20
"""What a recipe may make of a row or two."""
ROWS = {"a": [1.0, 2.0, 3.0, 4.0], "b": ["x", "y", "x", "z"], "c": [0, 1, 1, 0]}
HOURS = {"at": [f"2024-01-01 {hour:02}:00:00" for hour in range(8)], "a": [float(hour) for hour in range(8)]}
LINES = {"text": "one two three\nfour five\n"}


@functools.cache
def folder() -> Path:
    """Where inputs lie while they are read."""
    made = tempfile.TemporaryDirectory(prefix="tensorize-fuzz-")
    folder.made = made  # it lives as long as the process
    return Path(made.name)


def file(data: bytes, suffix: str) -> Path:
    path = folder() / f"x{suffix}"
    path.write_bytes(data)
    return path


def prepared(suffix: str) -> bytes:
    """A small file with a bit of everything."""
    path = folder() / f"seed{suffix}"
    tensorize.prepare("table", ROWS, target="c", id="b", split="0.5,0.5", out=path, force=True)
    return path.read_bytes()


def recipes() -> Iterable[bytes]:
    """One of each kind that needs no pictures."""
    yield tensorize.prepare("table", ROWS, target="c", onehot="b").recipe.to_json().encode()
    yield tensorize.prepare("table", ROWS, scale="minmax", missing="median", encode="ids").recipe.to_json().encode()
    yield tensorize.prepare("series", HOURS, time="at", window=3, horizon=1, target="a").recipe.to_json().encode()
    yield tensorize.prepare("series", HOURS, time="at", fold=4).recipe.to_json().encode()
    yield tensorize.prepare("text", LINES, level="word", encode="ids").recipe.to_json().encode()
    yield tensorize.prepare("text", LINES, per="line", charset="corpus").recipe.to_json().encode()


def read_recipe(data: bytes) -> None:
    """Read a recipe, and do what it says."""
    recipe = Recipe.from_json(data.decode(errors="replace"))
    recipe.parsed_options()
    assert Recipe.from_json(recipe.to_json()) == recipe
    source = {"series": HOURS, "bikes": HOURS, "text": LINES}.get(recipe.kind, ROWS)
    if recipe.kind != "images":
        recipe.inverse(recipe.apply(source, max_size=SIZE, threads=1))


def read_all(path: Path) -> None:
    with tensorize.read(path) as ts:
        for key in ts:
            ts.numpy(key)
        ts.recipe.parsed_options()


def torch_files() -> Iterable[bytes]:
    whole = prepared(".pt")
    yield b"f" + whole
    with zipfile.ZipFile(folder() / "seed.pt") as archive:
        yield b"p" + archive.read("archive/data.pkl")


def read_torch(data: bytes) -> None:
    """A whole file, or the pickle alone, which a checksum would keep fuzzing away from."""
    if data[:1] == b"p":
        for views in (False, True):
            with contextlib.suppress(NotPlainError):
                unpickled(data[1:], views=views)
    read_all(file(data[1:], ".pt"))


def safetensors_files() -> Iterable[bytes]:
    whole = prepared(".safetensors")
    yield b"f" + whole
    yield b"h" + whole[8 : 8 + int.from_bytes(whole[:8], "little")]


def read_safetensors(data: bytes) -> None:
    """A whole file, or the header alone, of the length that it has, before as many zeros as the tensors of the seed take."""
    body = data[1:]
    read_all(file(len(body).to_bytes(8, "little") + body + bytes(80) if data[:1] == b"h" else body, ".safetensors"))


def numpy_archives() -> Iterable[bytes]:
    yield prepared(".npz")


def hdf5_files() -> Iterable[bytes]:
    whole = prepared(".h5")
    yield b"f" + whole
    size, _ = struct.unpack("<Q8s", whole[-DIGEST_SIZE - 16 : -DIGEST_SIZE])
    yield b"i" + whole[-DIGEST_SIZE - 16 - size : -DIGEST_SIZE - 16]


@functools.cache
def hdf5_head() -> bytes:
    """What lies before the index."""
    whole = prepared(".h5")
    return whole[: whole.rindex(b'{"format"')]


def read_hdf5(data: bytes) -> None:
    """A whole file, or the index alone behind a good beginning."""
    if data[:1] == b"i":
        data = b"i" + hdf5_head() + data[1:] + struct.pack("<Q8s", len(data) - 1, MAGIC) + b"0" * DIGEST_SIZE
    read_all(file(data[1:], ".h5"))


ROW_END = struct.Struct("<Q8s")


def row_file(suffix: str) -> tuple[bytes, bytes, bytes]:
    """A file of rows: what lies before its index, the index, and what comes after it."""
    whole = prepared(suffix)
    end = whole.rindex(ROWS_MAGIC) - 8
    size, _ = ROW_END.unpack_from(whole, end)
    return whole[: end - size], whole[end - size : end], whole[end + ROW_END.size :]


def row_files(suffix: str) -> Iterable[bytes]:
    yield b"f" + prepared(suffix)
    yield b"i" + row_file(suffix)[1]


def read_rows(data: bytes, suffix: str) -> None:
    """A whole file, or the index alone in the place of a good one."""
    body = data[1:]
    if data[:1] == b"i":
        head, _, tail = row_file(suffix)
        body = head + body + ROW_END.pack(len(body), ROWS_MAGIC) + tail
    read_all(file(body, suffix))


CSV = [
    b"a,b,c\n1,2,x\n3,4,y\n",
    b'a;b\r\n"1,5";"x;""y"""\r\n2;z\r\n',
    b"# made by a meter\n\na\tb\n1\t2\n3\t4\n\nend of file\n",
    b'\xef\xbb\xbfname,n\nK\xc3\xb6ln,1\n"two\nlines",2\n',
    "a,b\n1,é\n2,x\n".encode("utf-16"),
    b"1,2,3\n4,5,6\n7,8,9\n",
    b"a,b\n1,2\n3\n4,5,6\n",
    b'a|b\r1|2\r3|"x\r',
    b"a,a,\n1,2,3\n\x00,\xff,9223372036854775808\n",
]
WAYS = [{}, {"on_bad": "skip", "max_bad": "100%"}, {"header": "no"}, {"quote": "none", "delimiter": ";"}]


def tables() -> Iterable[bytes]:
    for way in range(len(WAYS)):
        yield from (bytes([way]) + data for data in CSV)


def read_csv(data: bytes) -> None:
    """As text, and as numbers, in one of a few ways."""
    way = WAYS[data[0] % len(WAYS)] if data else {}
    path = file(data[1:], ".csv")
    with contextlib.suppress(TensorizeError):
        found = read_table(path, infer=False, **way)
        assert all(column.null_count == 0 for column in found.columns)
    tensorize.prepare("table", path, threads=1, chunk_bytes=64, max_size=SIZE, scale="none", missing="drop", **way)


VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2,
    1e-300,
    1e300,
    10**12,
    1 << 63,
    "",
    "a",
    "b",
    "at",
    "x",
    "\ud800",
    [],
    {},
    ["a"],
    [1, "x"],
    "1h",
    "mean",
]


def reshaped(data: bytes, rng: random.Random) -> bytes:
    """JSON with one of its values replaced, left out, or doubled: still JSON, so that fuzzing gets past the parser."""
    try:
        tree = json.loads(data)
    except ValueError:
        return data
    places = list(_places(tree))
    if not places:
        return data
    inside, at = rng.choice(places)
    way = rng.randrange(4)
    if way == 0:
        inside[at] = rng.choice(VALUES)
    elif way == 1:
        other, key = rng.choice(places)
        inside[at] = json.loads(json.dumps(other[key]))
    elif way == 2:
        del inside[at]
    elif isinstance(inside, list):
        inside.insert(at, inside[at])
    else:
        inside[rng.choice(WORDS)] = inside[at]
    return json.dumps(tree).encode()


WORDS = ["a", "b", "state", "step", "onehot", "target", "time", "window", "period", "missing", "length", "categories", "words"]


def _places(tree: object) -> Iterable[tuple[Any, Any]]:
    """Yield (container, key) of every value."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])


@dataclass(frozen=True)
class Target:
    """What is fuzzed: its seeds, and the reader."""

    seeds: Callable[[], Iterable[bytes]]
    reader: Callable[[bytes], None]
    json: bytes | None = None
    """What stands before JSON, where the input is some."""

    def reshape(self, data: bytes, rng: random.Random) -> bytes:
        """The input with its JSON reshaped; as it is, where it holds none."""
        if self.json is None or not data.startswith(self.json):
            return data
        return self.json + reshaped(data[len(self.json) :], rng)

    def read(self, data: bytes) -> None:
        """AssertionError, or whatever else is raised, is a find."""
        with contextlib.suppress(TensorizeError):
            self.reader(data)


TARGETS = {
    "recipe": Target(recipes, read_recipe, b""),
    "pt": Target(torch_files, read_torch),
    "hdf5": Target(hdf5_files, read_hdf5, b"i"),
    "safetensors": Target(safetensors_files, read_safetensors, b"h"),
    "npz": Target(numpy_archives, lambda data: read_all(file(data, ".npz"))),
    "parquet": Target(lambda: row_files(".parquet"), lambda data: read_rows(data, ".parquet"), b"i"),
    "arrow": Target(lambda: row_files(".arrow"), lambda data: read_rows(data, ".arrow"), b"i"),
    "csv": Target(tables, read_csv),
}
