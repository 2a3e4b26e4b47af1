"""Scratch gives back what was appended, over the borders of memory and files, and room from the front."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import tensorize
from tensorize.core.errors import RunError
from tensorize.engine import scratch
from tensorize.engine.scratch import Scratch


@pytest.mark.parametrize("memory", [0, 5, 1000])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_bytes_over_borders(monkeypatch, memory, size):
    monkeypatch.setattr(scratch, "FILE_BYTES", size)
    data = np.random.default_rng(0).integers(0, 256, 300, dtype=np.uint8).tobytes()
    with Scratch(memory=memory) as held:
        places = [held.append(data[at : at + 3]) for at in range(0, 300, 3)]
        assert places == list(range(0, 300, 3))
        assert all(held.read(at, count) == data[at : at + count] for at in range(0, 300, 11) for count in (0, 1, 4, 40, 400))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc to count open files in")
def test_room_is_given_back_from_the_front(monkeypatch):
    monkeypatch.setattr(scratch, "FILE_BYTES", 10)
    before = open_files()
    with Scratch(memory=0) as held:
        for at in range(10):
            held.append(bytes([at]) * 10)
        assert open_files() == before + 10
        held.forget(45)
        assert open_files() == before + 6
        assert held.read(45, 10) == bytes([4] * 5 + [5] * 5)
        held.forget(100)
        assert open_files() == before
    with Scratch() as held:
        held.forget(held.append(b"in memory") + 9)
        assert held.read(0, 9) == b"in memory"


def test_files_do_not_become_many(monkeypatch):
    monkeypatch.setattr(scratch, "FILE_BYTES", 64)
    with Scratch(memory=0) as held:
        for _ in range(2000):
            held.append(bytes(64))
        assert len(held._files) < 100


def test_a_file_that_was_cut_off_is_no_endless_wait():
    with Scratch(memory=0) as held:
        held.append(bytes(100))
        held._files[0].truncate(50)
        with pytest.raises(RunError, match="cut off"):
            held.read(0, 100)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_come_out_of_scratch_as_they_went_in(monkeypatch, tmp_path, dtype):
    pixels = np.random.default_rng(1).integers(0, 256, (300, 8, 8, 3), dtype=np.uint8)
    options = {"dtype": dtype, "split": "0.6,0.2,0.2"}
    whole = tensorize.prepare("images", pixels, **options)
    monkeypatch.setattr("tensorize.loaders.images.spans.SPAN_BYTES", 1000)
    monkeypatch.setattr(scratch, "FILE_BYTES", 3000)
    monkeypatch.setattr(scratch.Scratch.__init__, "__defaults__", (None, 2000))
    pieces = tensorize.prepare("images", pixels, out=tmp_path / "o.h5", **options)
    assert all(np.array_equal(whole[key].numpy(), pieces[key].numpy()) for key in ("train/images", "val/images", "test/images"))
