"""Files in the making: a format whose header comes first, several writers at once, threads that end."""

import json
import multiprocessing
import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from outputs import bytes_of

from tensorize.core import registry
from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError
from tensorize.core.tensorset import TensorSet
from tensorize.exporters.npy import Npy
from tensorize.storage import writer as writer_module
from tensorize.storage.digest import NO_DIGEST, check_digest
from tensorize.storage.layout import from_plain, to_plain
from tensorize.storage.plan import FilePlan, Slot
from tensorize.storage.store import FileStore
from tensorize.storage.writer import SlotWriter


class HeaderFirst:
    """A length (8 bytes), a header of that length as JSON, then the tensors, as in a safetensors file.

    The header holds the recipe, which is known last, and the digest.
    """

    suffixes = (".first",)
    reads = True

    def create(self, path, layout, *, force=False):
        size = 8 + len(self.packed(layout))
        slots, at = {}, size
        for spec in layout.tensors:
            slots[spec.key] = Slot(spec, at)
            at = slots[spec.key].stop

        def late(recipe, checksums):
            return [(0, struct.pack("<Q", size - 8) + self.packed(replace(layout, recipe=recipe)))]

        digest_at = 8 + self.packed(layout).index(NO_DIGEST)
        plan = FilePlan(at, slots, digest_at, layout.recipe, (), late, header=size)
        return SlotWriter.create(path, plan, self.open, force=force)

    def packed(self, layout):
        return json.dumps({"sha256": NO_DIGEST.decode(), "layout": to_plain(layout)}).encode()

    def header(self, path):
        data = path.read_bytes()
        return data[: 8 + struct.unpack("<Q", data[:8])[0]]

    def open(self, path):
        header = self.header(path)
        layout, slots, at = from_plain(json.loads(header[8:])["layout"], path), {}, len(header)
        for spec in layout.tensors:
            slots[spec.key] = Slot(spec, at)
            at = slots[spec.key].stop
        return TensorSet(layout, FileStore(path, slots))

    def verify(self, path):
        header = self.header(path)
        check_digest(path, header.index(b'"sha256": "') + len(b'"sha256": "'), len(header))


EXPORTERS = {
    "first": HeaderFirst,
    **{name: registry.load("exporters", name) for name in registry.EXPORTERS},
    "npy": partial(Npy, tensor="train/features"),
}


@pytest.fixture(params=EXPORTERS)
def exporter(request):
    return EXPORTERS[request.param]()


def made(rows=1000, mean=0.5):
    spec = TensorSpec("features", (rows, 2), "float32", ("row", "feature"), "input", {"feature": ("a", "b")}, "train")
    other = TensorSpec("features", (3, 2), "float32", ("row", "feature"), "input", {"feature": ("a", "b")}, "test")
    layout = Layout("table", (spec, other), json.dumps({"tensorize": 1, "mean": mean}))
    numbers = np.random.default_rng(0).normal(size=(rows + 3, 2)).astype("f4")
    return layout, {spec.key: numbers[:rows], other.key: numbers[rows:]}


def write(exporter, path, layout, arrays, recipe):
    writer = exporter.create(path, layout)
    try:
        for at in range(0, 2000, 100):
            for key, values in arrays.items():
                if at < len(values):
                    writer.write(key, at, values[at : at + 100])
        writer.commit(recipe)
    finally:
        writer.abort()


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("tensorize")]


def test_a_recipe_that_is_known_last_is_kept_wherever_the_format_has_it(tmp_path, exporter, monkeypatch):
    """Hashed along the way, in pieces, and at the end: the digest is the same."""
    layout, arrays = made()
    final = made(mean=-0.123456789012345)[0].recipe
    for hashed in (1, 1000, 4 << 20):
        monkeypatch.setattr(writer_module, "_HASHED", hashed)
        path = tmp_path / f"{hashed}{exporter.suffixes[0]}"
        write(exporter, path, layout, arrays, final)
        exporter.verify(path)
        if exporter.reads:
            with exporter.open(path) as ts:
                assert ts.layout == replace(layout, recipe=final)
                assert all(np.array_equal(ts.numpy(key), values) for key, values in arrays.items())
    assert len({bytes_of(path) for path in tmp_path.iterdir()}) == 1


def test_tensors_are_hashed_while_they_are_written_though_the_header_is_known_last(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "_HASHED", 1)
    layout, arrays = made()
    writer = HeaderFirst().create(tmp_path / "x.first", layout)
    try:
        writer.write("train/features", 0, arrays["train/features"])
        writer._writes.finish()
        assert writer._hashed - writer.plan.header == arrays["train/features"].nbytes
    finally:
        writer.abort()


def test_a_changed_byte_of_a_header_that_comes_first_is_found(tmp_path):
    layout, arrays = made(rows=5)
    path, exporter = tmp_path / "x.first", HeaderFirst()
    write(exporter, path, layout, arrays, layout.recipe)
    good = path.read_bytes()
    for at in [good.index(b"mean"), good.index(b'"sha256"') + 20, len(good) - 1]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(DataError, match="has changed"):
            exporter.verify(path)


def test_late_bytes_that_lie_elsewhere_than_planned_are_refused(tmp_path, exporter):
    layout, arrays = made(rows=5)
    with pytest.raises(ValueError, match="more has changed than its numbers"):
        write(
            exporter,
            tmp_path / f"x{exporter.suffixes[0]}",
            layout,
            arrays,
            layout.recipe[:-1] + ', "more": "words"}' + " " * 5000,
        )
    assert os.listdir(tmp_path) == []


def test_several_writers_at_once_in_one_thread_and_in_many(tmp_path, exporter):
    layout, arrays = made()
    suffix = exporter.suffixes[0]
    write(exporter, tmp_path / f"alone{suffix}", layout, arrays, layout.recipe)
    one, two = (exporter.create(tmp_path / f"{name}{suffix}", layout) for name in ("one", "two"))
    for key, values in arrays.items():
        for at in range(0, len(values), 250):
            for writer in (one, two):
                writer.write(key, at, values[at : at + 250])
    two.commit(layout.recipe)
    one.commit(layout.recipe)
    with ThreadPoolExecutor(4) as pool:
        paths = [tmp_path / f"thread-{number}{suffix}" for number in range(8)]
        list(pool.map(lambda path: write(exporter, path, layout, arrays, layout.recipe), paths))
    assert len(os.listdir(tmp_path)) == 11
    assert len({bytes_of(path) for path in tmp_path.iterdir()}) == 1
    assert ours() == []


def in_a_process(name: str, path: Path) -> None:
    exporter = EXPORTERS[name]()
    layout, arrays = made()
    write(exporter, path, layout, arrays, layout.recipe)


@pytest.mark.parametrize("name", EXPORTERS)
def test_several_processes_write_files_of_one_set(tmp_path, name):
    processes = [
        multiprocessing.get_context("spawn").Process(target=in_a_process, args=(name, tmp_path / f"{number}.file"))
        for number in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len({bytes_of(path) for path in tmp_path.iterdir()}) == 1
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("when", ["at once", "after rows", "after a failure"])
def test_the_threads_of_a_writer_end_on_abort(tmp_path, exporter, when, monkeypatch):
    layout, arrays = made()
    writer = exporter.create(tmp_path / f"x{exporter.suffixes[0]}", layout)
    if when == "after a failure":

        def failing(*_):
            raise OSError("no disk")

        monkeypatch.setattr(writer.part, "write", failing)
    if when != "at once":
        writer.write("train/features", 0, arrays["train/features"])
    writer.abort()
    assert ours() == []
    assert os.listdir(tmp_path) == []


def test_the_registry_tells_the_suffixes_of_each_exporter():
    assert {name: suffixes for name, (_, _, suffixes) in registry.EXPORTERS.items()} == {
        name: registry.load("exporters", name).suffixes for name in registry.EXPORTERS
    }
