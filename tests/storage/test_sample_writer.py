"""Files that go sample by sample: the encoder gets the same groups however the rows come, and nothing is left of scratch."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outputs import write_mixed

from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError, RunError, UsageError
from tensorize.core.layout import uneven_rows
from tensorize.storage import samples
from tensorize.storage.digest import DIGEST_SIZE, NO_DIGEST, check_digest, check_end
from tensorize.storage.layout import padded
from tensorize.storage.samples import SampleWriter, group_rows

SHAPES = {"features": ("float32", (3,)), "flag": ("bool", (2, 3)), "target": ("int64", ()), "none": ("float32", (0,))}


def made(rows=(("train", 700), ("val", 0), ("test", 41)), mean=0.5):
    rng = np.random.default_rng(0)
    specs, arrays = [], {}
    for split, count in rows:
        for name, (dtype, shape) in SHAPES.items():
            axes = ("row", *"abcd"[: len(shape)])
            specs.append(TensorSpec(name, (count, *shape), dtype, axes, "input", {}, split))
            arrays[specs[-1].key] = rng.integers(0, 2, (count, *shape)).astype(dtype)
    return Layout("table", tuple(specs), json.dumps({"tensorize": 1, "mean": mean})), arrays


class Plain:
    """The values of each group, one tensor after the other; the recipe and the digest at either end."""

    def __init__(self, first=False):
        self.first, self.groups = first, []

    def header(self, recipe):
        return padded(recipe).encode() + NO_DIGEST if self.first else b""

    def encode(self, group, out):
        self.groups.append((group.split, group.start, group.stop))
        for name, values in group.values.items():
            out.write(name.encode())
            out.write(values.tobytes())

    def finish(self, recipe, out):
        if not self.first:
            out.write(padded(recipe).encode())
            out.write_digest()


def writer_for(path, layout, encoder=None, check=lambda _: None):
    return SampleWriter.create(path, layout, encoder or Plain(), check)


def write(path, layout, arrays, encoder, seed, recipe=None):
    """Write all rows in an order of its own: in order for each tensor, the tensors and splits mixed."""
    write_mixed(writer_for(path, layout, encoder), arrays, recipe or layout.recipe, seed, 90)
    return path.read_bytes()


@pytest.fixture(params=["small groups", "one group", "nothing in memory"])
def small(request, monkeypatch):
    if request.param != "one group":
        monkeypatch.setattr(samples.group_rows, "__defaults__", (1000,))
    monkeypatch.setattr(samples, "_HELD_BYTES", 0 if request.param == "nothing in memory" else 2000)


@pytest.mark.parametrize("first", [False, True])
def test_the_same_groups_and_bytes_however_the_rows_come(tmp_path, small, first):
    layout, arrays = made()
    results, groups = set(), set()
    for seed in range(6):
        encoder = Plain(first)
        results.add(write(tmp_path / f"{seed}", layout, arrays, encoder, seed))
        groups.add(tuple(encoder.groups))
    assert len(results) == len(groups) == 1
    size = group_rows(layout)
    expected = [
        (split, at, min(at + size, rows)) for split, rows in (("train", 700), ("test", 41)) for at in range(0, rows, size)
    ]
    assert groups == {tuple(expected)}
    data = results.pop()
    values = [name.encode() + arrays[f"{split}/{name}"][at:stop].tobytes() for split, at, stop in expected for name in SHAPES]
    body = b"".join(values)
    assert data.endswith(body) if first else data.startswith(body)
    assert len(data) == len(body) + len(padded(layout.recipe)) + DIGEST_SIZE
    assert sorted(os.listdir(tmp_path)) == [str(seed) for seed in range(6)]
    if first:
        header = len(padded(layout.recipe)) + DIGEST_SIZE
        check_digest(tmp_path / "0", header - DIGEST_SIZE, header)
    else:
        check_end(tmp_path / "0")


@pytest.mark.parametrize("first", [False, True])
def test_a_changed_byte_is_found_and_the_recipe_that_is_known_last_is_kept(tmp_path, first):
    layout, arrays = made()
    final = made(mean=-0.123456789012345)[0].recipe
    one = write(tmp_path / "one", layout, arrays, Plain(first), 2, final)
    assert one == write(tmp_path / "two", replace(layout, recipe=final), arrays, Plain(first), 3)
    at, header = (len(padded(final)), len(padded(final)) + 64) if first else (len(one) - 64, 0)
    for place in (0, len(one) // 2, len(one) - 1):
        (tmp_path / "two").write_bytes(one[:place] + bytes([one[place] ^ 1]) + one[place + 1 :])
        with pytest.raises(DataError):
            check_digest(tmp_path / "two", at, header)


def test_rows_come_in_order_and_whole_and_the_recipe_keeps_its_length(tmp_path):
    layout, arrays = made()
    writer = writer_for(tmp_path / "x", layout)
    rows = arrays["train/features"]
    for start, values in ((1, rows), (0, rows.astype("f8")), (0, rows[:, :1]), (0, np.concatenate([rows, rows]))):
        with pytest.raises(ValueError, match="features"):
            writer.write("train/features", start, values)
    for key, values in arrays.items():
        with pytest.raises(ValueError, match="rows were written of"):
            writer.commit(layout.recipe)
        writer.write(key, 0, values)
        if key == "test/features":
            break
    for key in ("test/flag", "test/target", "test/none"):
        writer.write(key, 0, arrays[key])
    with pytest.raises(ValueError, match="more has changed than its numbers"):
        writer.commit(made(mean=[1.0] * 99)[0].recipe)
    writer.abort()
    writer.abort()
    assert os.listdir(tmp_path) == []
    assert [t for t in threading.enumerate() if t.name.startswith("tensorize")] == []


def test_an_existing_file_stays_and_what_the_check_refuses_does_not_appear(tmp_path):
    layout, arrays = made()
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        writer_for(tmp_path / "x", layout)

    def refused(_):
        raise DataError("no")

    writer = writer_for(tmp_path / "y", layout, check=refused)
    for key, values in arrays.items():
        writer.write(key, 0, values)
    with pytest.raises(DataError):
        writer.commit(layout.recipe)
    writer.abort()
    assert os.listdir(tmp_path) == ["x"]


def test_what_an_encoder_raises_comes_out_and_nothing_is_left(tmp_path):
    class Failing(Plain):
        def encode(self, group, out):
            raise RunError("the picture cannot be written")

    layout, arrays = made()
    writer = writer_for(tmp_path / "y", layout, Failing())
    for key, values in arrays.items():
        writer.write(key, 0, values)
    with pytest.raises(RunError, match="picture"):
        writer.commit(layout.recipe)
    writer.abort()
    assert os.listdir(tmp_path) == []


HERE = Path(__file__).parent
FULL = """
import sys, numpy as np
sys.path[:0] = sys.argv[2:]
import test_sample_writer as t
from tensorize.core.errors import RunError
layout, _ = t.made([("train", 1), ("test", 300_000)])
from pathlib import Path
import tensorize.storage.partfile as p
p.PartFile.reserve = lambda *_: None
writer = t.writer_for(Path(sys.argv[1]), layout)
try:
    writer.write("test/features", 0, np.zeros((300_000, 3), "f4"))
except RunError as error:
    print(error)
writer.abort()
"""


def test_a_full_disk_under_scratch_is_an_error(tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "x", HERE, HERE.parent],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "x cannot be written: File too large" in done.stdout, done.stderr
    assert os.listdir(tmp_path) == []


def test_what_is_not_one_row_per_sample_is_told():
    layout, _ = made()
    assert uneven_rows(layout) == ""
    windows = TensorSpec("series", (5000, 2), "float32", ("step", "channel"), "input", {}, "train")
    assert "train/features 700" in (said := uneven_rows(replace(layout, tensors=(*layout.tensors, windows))))
    assert "train/series 5,000" in said
