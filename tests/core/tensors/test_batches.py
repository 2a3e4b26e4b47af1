"""Batches: each row once, shuffled anew each time, the same for the same seed, and shared out among workers."""

import os

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tensorize import prepare, read
from tensorize.core.errors import UsageError


@pytest.fixture
def path(tmp_path):
    table = {"x": [float(n) for n in range(23)], "c": ["ab"[n % 2] for n in range(23)], "y": list(range(23))}
    prepare("table", table, target="y", task="numbers", encode="ids", onehot="c", scale="none", out=tmp_path / "t.h5")
    return tmp_path / "t.h5"


def test_batches_hold_every_row_once_in_order(path):
    with read(path) as ts:
        batches = list(ts.batches(5))
        assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 3] == [len(y) for _, y in batches]
        assert len(ts.batches(5)) == 5
        assert torch.equal(torch.cat([x for x, _ in batches]), ts.batch(slice(0, 23))[0])
        assert batches[0][0].shape == (5, 3)
        assert len(ts.batches(5, drop_last=True)) == 4
        assert [len(x) for x, _ in ts.batches(5, drop_last=True)] == [5, 5, 5, 5]


def test_shuffled_batches_differ_each_time_and_not_from_run_to_run(path):
    with read(path) as ts:
        batches = ts.batches(4, shuffle=True, seed=3)
        first, second = (torch.cat([y for _, y in batches]).tolist() for _ in range(2))
        assert sorted(first) == sorted(second) == list(range(23))
        assert first != second != list(range(23))
        again = ts.batches(4, shuffle=True, seed=3)
        assert [torch.cat([y for _, y in again]).tolist() for _ in range(2)] == [first, second]
        assert torch.cat([y for _, y in ts.batches(4, shuffle=True, seed=4)]).tolist() != first
        for x, y in batches:
            assert torch.equal(x[:, 0], y)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_share_the_batches_out(path, start):
    ts = read(path)
    loader = DataLoader(ts.batches(4, shuffle=True), batch_size=None, num_workers=2, multiprocessing_context=start)
    passes = [torch.cat([y for _, y in loader]).tolist() for _ in range(2)]
    assert all(sorted(rows) == list(range(23)) for rows in passes)
    assert passes[0] != passes[1]


def test_workers_that_are_kept_have_another_order_in_each_pass(path):
    ts = read(path)
    loader = DataLoader(ts.batches(4, shuffle=True), batch_size=None, num_workers=2, persistent_workers=True)
    passes = [torch.cat([y for _, y in loader]).tolist() for _ in range(3)]
    assert all(sorted(rows) == list(range(23)) for rows in passes)
    assert len({tuple(rows) for rows in passes}) == 3


def test_batches_of_a_split(tmp_path):
    ts = prepare("table", {"x": list(range(20))}, split="0.5,0.5", scale="none")
    rows = [x[:, 0] for x, y in ts.batches(3, split="test") if y is None]
    assert torch.cat(rows).tolist() == ts["test/features"][:, 0].tolist()
    with pytest.raises(UsageError, match="split"):
        ts.batches(3)
    with pytest.raises(UsageError, match="none"):
        ts.batches(0, split="test")


def test_compact_images_expand_to_the_same_bits(samples):
    compact, full = (prepare("images", samples / "shapes-synthetic", dtype=dtype) for dtype in ("uint8", "float32"))
    for (x, labels), (expected, same) in zip(compact.batches(7, shuffle=True), full.batches(7, shuffle=True), strict=True):
        assert torch.equal(x, expected)
        assert torch.equal(labels, same)


def test_a_row_number_beyond_the_end_is_an_error(path):
    with read(path) as ts, pytest.raises(IndexError):
        ts.batch(np.array([23]))


def test_rows_in_no_order_are_announced_to_the_system_once_each(tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (2000, 48, 48, 3), dtype=np.uint8)
    path = tmp_path / "x.h5"
    prepare("images", pictures, dtype="uint8", out=path)
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, at, size, advice: asked.append((at, size, advice)))
    with read(path) as ts:
        in_order = torch.cat([x for x, _ in ts.batches(64)])
        assert asked == []
        shuffled = torch.cat([x for x, _ in ts.batches(64, shuffle=True, seed=3)])
    assert sum(size for _, size, _ in asked) == pictures.nbytes
    assert len({at for at, _, _ in asked}) == len(asked) > 1900
    assert {advice for _, _, advice in asked} == {os.POSIX_FADV_WILLNEED}
    order = np.random.default_rng([3, 1]).permutation(2000)
    assert torch.equal(shuffled, in_order[order])
