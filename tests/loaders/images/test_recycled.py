"""Memory that is used again: never while anything refers to it, and never more than is said is held back."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch

import tensorize
from tensorize.loaders.images import normalize
from tensorize.loaders.images.normalize import Normalizer, Recycled
from tensorize.loaders.images.state import Normalize

SHAPE = (600, 600)


def test_a_tensor_keeps_its_memory():
    memory = Recycled()
    tensor = torch.from_numpy(memory.empty(SHAPE, "float32"))
    tensor[:] = 7
    part, place = tensor[3:5].view(-1)[10:20], tensor.data_ptr()
    del tensor
    other = memory.empty(SHAPE, "float32")
    other[:] = 1
    assert part.tolist() == [7.0] * 10
    del part
    assert memory.empty(SHAPE, "float32").ctypes.data == place


def test_little_is_held_back(monkeypatch):
    monkeypatch.setattr(normalize, "FREE_BYTES", 4 << 20)
    memory = Recycled()
    arrays = [memory.empty((1 << 20,), "uint8") for _ in range(9)]
    arrays.clear()
    assert len(memory._free) == 4
    assert memory.empty((100,), "uint8").flags.owndata


def test_the_garbage_collector_gives_back_at_any_moment():
    memory = Recycled()

    class Knot:
        def __init__(self) -> None:
            self.array, self.knot = memory.empty((1 << 20,), "uint8"), self

    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(300):
            Knot()
            memory.empty((1 << 21,), "uint8")
    finally:
        gc.set_threshold(*thresholds)
    assert len(memory._free) < 300


def test_threads_never_share_memory():
    memory, wrong = Recycled(), []

    def work(value: int) -> None:
        for _ in range(200):
            array = memory.empty((1 << 18,), "int64")
            array[:] = value
            if not (array == value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (4, 3, 7, 9), (3, 1, 6, 5), (0, 3, 8, 8), (70, 3, 224, 224)])
def test_two_pixels_at_once_are_what_one_by_one_are(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    state = Normalize(mean=(0.4, 0.5, 0.6)[: shape[1]], std=(0.2, 0.0, 0.3)[: shape[1]])
    normalizer = Normalizer(state, 8)
    expected = np.stack([normalizer.table[channel][images[:, channel]] for channel in range(shape[1])], axis=1)
    assert normalizer.normalized(images).tobytes() == expected.tobytes()
    turned = images[..., ::-1]
    assert normalizer.normalized(turned).tobytes() == np.ascontiguousarray(expected[..., ::-1]).tobytes()


def test_batches_that_are_held_stay_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 128, 3), dtype=np.uint8)
    path = tmp_path / "p.h5"
    tensorize.prepare("images", pixels, dtype="uint8", out=path)
    with tensorize.read(path) as tensors:
        held = [batch for batch, _ in tensors.batches(8)]
        again = [batch.clone() for batch, _ in tensors.batches(8)]
    assert all(torch.equal(one, other) for one, other in zip(held, again, strict=True))
