"""Every exporter: what is written comes back, opens elsewhere, appears whole or not at all, and runs nothing."""

import errno
import hashlib
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from outputs import content_of, files_of, remove
from torch.utils.data import DataLoader

import tensorize
from tensorize import prepare
from tensorize.core import registry
from tensorize.core.contracts import Layout, TensorSpec
from tensorize.core.errors import DataError, RunError, TensorizeError, UsageError
from tensorize.core.tensorset import MemoryStore, TensorSet
from tensorize.storage.layout import padded

SUFFIXES = [registry.load("exporters", name).suffixes[0] for name in registry.EXPORTERS]
READ = [registry.load("exporters", name).suffixes[0] for name in registry.EXPORTERS if registry.load("exporters", name).reads]
"""The others are only written, and verified."""
ODD = (
    "plain",
    "with space",
    "a/b",
    "tab\there",
    "nul\x00byte",
    "back\\slash",
    "\ud800lone",
    "日本",
    "x" * 70_000,
    "",
    "[bold]",
)
DTYPES = ["float32", "float64", "float16", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool"]


def layout(tensors, kind="table", recipe='{"tensorize": 1}', texts=None):
    return Layout(kind, tuple(tensors), recipe, texts or {})


def written(path, plan, arrays, force=False):
    """Write arrays, a few rows at a time."""
    writer = registry.exporter_for(path).create(path, plan, force=force)
    try:
        for key, values in arrays.items():
            for at in range(0, len(values), 3):
                writer.write(key, at, values[at : at + 3])
        writer.commit(plan.recipe)
    finally:
        writer.abort()
    return path


@pytest.fixture
def rich():
    """A layout with everything: all dtypes, three splits, odd names, texts, an empty tensor, and its numbers."""
    rng = np.random.default_rng(0)
    specs, arrays = [], {}
    for split, rows in (("train", 7), ("val", 4), ("test", 1)):
        labels = {"feature": ODD}
        specs.append(TensorSpec("features", (rows, len(ODD)), "float32", ("row", "feature"), "input", labels, split))
        arrays[f"{split}/features"] = rng.normal(size=(rows, len(ODD))).astype(np.float32)
        for dtype in DTYPES:
            specs.append(TensorSpec(f"x_{dtype}", (rows, 2, 3), dtype, ("row", "a", "b"), "meta", {}, split))
            arrays[f"{split}/x_{dtype}"] = rng.integers(0, 2, (rows, 2, 3)).astype(dtype)
        specs.append(TensorSpec("none", (rows, 0), "float32", ("row", "nothing"), "meta", {}, split))
        arrays[f"{split}/none"] = np.empty((rows, 0), np.float32)
    texts = {"train/paths": ODD[:7], "val/paths": ("é",) * 4, "test/paths": ("",)}
    return layout(specs, "odd", json.dumps({"tensorize": 1, "text": "“\\u0000”"}), texts), arrays


def small(rows=5):
    spec = TensorSpec("features", (rows, 2), "float32", ("row", "feature"), "input", {"feature": ("a", "b")})
    return layout([spec]), {"features": np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)}


def fitting(suffix, made):
    """A layout and its numbers, or a small one where the format cannot hold that."""
    return small() if registry.exporter_for(f"x{suffix}").refusal(made[0]) else made


def look(path):
    """Read the first tensor, or verify what is only written."""
    exporter = registry.exporter_for(path)
    if exporter.reads:
        with tensorize.read(path) as ts:
            ts["features"]
    else:
        exporter.verify(path)


def left(folder):
    return sorted(os.listdir(folder))


# round trips ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", READ)
def test_everything_comes_back(tmp_path, rich, suffix):
    plan, arrays = rich
    with tensorize.read(written(tmp_path / f"x{suffix}", plan, arrays)) as ts:
        assert ts.layout == plan
        assert ts.equals(TensorSet(plan, MemoryStore(arrays)))
        for key, values in arrays.items():
            assert ts.numpy(key).dtype == values.dtype
            assert torch.equal(ts[key], torch.from_numpy(values))
        assert ts.split("train").meta["paths"] == ODD[:7]
    registry.exporter_for(f"x{suffix}").verify(tmp_path / f"x{suffix}")
    assert left(tmp_path) == [f"x{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_input_gives_the_same_bytes_under_any_name(tmp_path, rich, suffix):
    plan, arrays = fitting(suffix, rich)
    (tmp_path / "elsewhere").mkdir()
    one = content_of(written(tmp_path / f"one{suffix}", plan, arrays))
    time.sleep(1.1)
    assert content_of(written(tmp_path / "elsewhere" / f"another name{suffix}", plan, arrays)) == one


def test_conversion_there_and_back_is_exact(tmp_path, rich):
    plan, arrays = rich
    first = written(tmp_path / f"x{SUFFIXES[0]}", plan, arrays)
    for suffix in READ:
        with tensorize.read(first) as ts:
            ts.save(tmp_path / f"y{suffix}")
        with tensorize.read(tmp_path / f"y{suffix}") as ts:
            ts.save(tmp_path / f"z{SUFFIXES[0]}", force=True)
        assert (tmp_path / f"z{SUFFIXES[0]}").read_bytes() == first.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_set_without_rows(tmp_path, suffix):
    plan, arrays = small(rows=0)
    path = written(tmp_path / f"x{suffix}", plan, arrays)
    if suffix in READ:
        with tensorize.read(path) as ts:
            assert ts["features"].shape == (0, 2)
    registry.exporter_for(path).verify(path)


@pytest.mark.parametrize("suffix", READ)
def test_a_recipe_of_fifty_megabytes(tmp_path, suffix):
    plan, arrays = small()
    plan = layout(plan.tensors, recipe=json.dumps({"words": "wörd " * 10_000_000}, ensure_ascii=False))
    with tensorize.read(written(tmp_path / f"x{suffix}", plan, arrays)) as ts:
        assert ts.recipe_json == plan.recipe
        assert ts["features"][4, 1] == 9


# other readers --------------------------------------------------------------------------------------------------


def test_torch_opens_it_safely_mapped_or_not(tmp_path, rich):
    plan, arrays = rich
    path = written(tmp_path / "x.pt", plan, arrays)
    for mapped in (False, True):
        found = torch.load(path, weights_only=True, mmap=mapped)
        for key, values in arrays.items():
            assert torch.equal(found[key], torch.from_numpy(values))
        assert found["tensorize"]["recipe"].rstrip(" ") == plan.recipe
    assert zipfile.ZipFile(path).testzip() is None
    if shutil.which("unzip"):
        assert subprocess.run(["unzip", "-tq", path], capture_output=True, check=False).returncode == 0


def test_stock_hdf5_readers_find_groups_roles_and_names(tmp_path, rich):
    plan, arrays = rich
    with h5py.File(written(tmp_path / "x.h5", plan, arrays)) as file:
        assert sorted(file) == ["_names", "test", "train", "val"]
        features = file["train/features"]
        assert features.chunks is None
        assert features.compression is None
        assert features.attrs["role"] == "input"
        assert [dim.label for dim in features.dims] == ["row", "feature"]
        names = features.dims[1][0].asstr()[()]
        assert names[7] == "日本"
        assert names[4] == "nul\\x00byte"
        assert file.attrs["recipe"].rstrip(" ") == plan.recipe
        np.testing.assert_array_equal(features[()], arrays["train/features"])


# damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_changed_byte_is_found(tmp_path, suffix):
    plan, arrays = small()
    path = written(tmp_path / f"x{suffix}", plan, arrays)
    exporter, rng = registry.exporter_for(path), np.random.default_rng(1)
    for file in files_of(path):
        good, times = file.read_bytes(), 150 if path.is_file() else 15
        for at in sorted(set(rng.integers(0, len(good), times).tolist()) | {0, len(good) - 1}):
            bad = bytearray(good)
            bad[at] ^= 1 << int(rng.integers(8))
            file.write_bytes(bad)
            with pytest.raises(TensorizeError):
                exporter.verify(path)
        file.write_bytes(good)
    exporter.verify(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_cut_off_says_so(tmp_path, suffix):
    plan, arrays = small(rows=3000)
    path = written(tmp_path / f"x{suffix}", plan, arrays)
    for file in files_of(path):
        good = file.read_bytes()
        for size in {0, 1, 7, min(100, len(good) - 1), len(good) // 2, len(good) - 1}:
            file.write_bytes(good[:size])
            with pytest.raises(TensorizeError):
                look(path)
        file.write_bytes(good)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_file_of_ours_says_so(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("hello")
    with pytest.raises(DataError):
        look(path)
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["features"] = [1, 2]
    else:
        torch.save({"features": torch.ones(2)}, path)
    with pytest.raises(DataError, match="was not written by tensorize"):
        look(path)


@pytest.mark.parametrize("suffix", READ)
def test_a_newer_format_says_update(tmp_path, suffix, monkeypatch):
    plan, arrays = small()
    path = written(tmp_path / f"x{suffix}", plan, arrays)
    monkeypatch.setattr("tensorize.storage.layout.FORMAT", 0)
    with pytest.raises(UsageError, match="format 1") as caught:
        tensorize.read(path)
    assert "pip install --upgrade" in caught.value.hint


# nothing is executed, nothing outside is read ---------------------------------------------------------------------


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path):
    target = tmp_path / "made by the file"
    torch.save({"tensorize": {"format": 1, "recipe": "{}", "evil": Evil(str(target))}}, tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Evil(str(target))))
    for name in ("x.pt", "y.pt"):
        with pytest.raises(DataError):
            tensorize.read(tmp_path / name)
    assert not target.exists()


# whole or not at all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_there_before_commit_and_nothing_after_abort(tmp_path, suffix):
    plan, arrays = small()
    path = tmp_path / f"x{suffix}"
    writer = registry.exporter_for(path).create(path, plan)
    writer.write("features", 0, arrays["features"])
    assert left(tmp_path) == [f".x{suffix}.part"]
    writer.abort()
    writer.abort()
    assert left(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_come_in_order_and_whole(tmp_path, suffix):
    plan, arrays = small()
    rows = arrays["features"]
    writer = registry.exporter_for(f"x{suffix}").create(tmp_path / f"x{suffix}", plan)
    for start, values in ((1, rows), (0, rows.astype(np.float64)), (0, rows[:, :1]), (0, np.concatenate([rows, rows]))):
        with pytest.raises(ValueError, match="features"):
            writer.write("features", start, values)
    writer.write("features", 0, rows[:3])
    with pytest.raises(ValueError, match="3 rows were written of 5"):
        writer.commit(plan.recipe)
    writer.abort()
    assert left(tmp_path) == []


# the recipe comes last --------------------------------------------------------------------------------------------


def told(mean):
    return json.dumps({"tensorize": 1, "mean": mean, "name": "a 1.5"})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recipe_whose_numbers_were_learned_meanwhile_makes_the_same_bytes(tmp_path, suffix):
    plan, arrays = small()
    known = written(tmp_path / f"known{suffix}", replace(plan, recipe=told([-0.123456789012345, 1e-300])), arrays)
    writer = registry.exporter_for(f"x{suffix}").create(tmp_path / f"x{suffix}", replace(plan, recipe=told([0.0, 1.0])))
    writer.write("features", 0, arrays["features"])
    writer.commit(told([-0.123456789012345, 1e-300]))
    assert content_of(tmp_path / f"x{suffix}") == content_of(known)
    if suffix in READ:
        with tensorize.read(known) as ts:
            assert ts.layout.recipe == told([-0.123456789012345, 1e-300])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recipe_that_differs_in_more_than_numbers_is_refused_and_leaves_nothing(tmp_path, suffix):
    plan, arrays = small()
    writer = registry.exporter_for(f"x{suffix}").create(tmp_path / f"x{suffix}", replace(plan, recipe=told([0.0])))
    writer.write("features", 0, arrays["features"])
    with pytest.raises(ValueError, match="more has changed than its numbers"):
        writer.commit(told([0.0] * 500))
    writer.abort()
    assert left(tmp_path) == []


@pytest.mark.parametrize("suffix", [".h5", ".pt"])
def test_the_recipe_lies_after_every_tensor(tmp_path, rich, suffix):
    plan, arrays = rich
    plan = replace(plan, recipe=told([0.5]))
    path = written(tmp_path / f"x{suffix}", plan, arrays)
    at = path.read_bytes().find(told([0.5]).encode())
    with tensorize.read(path) as ts:
        assert at >= max(slot.at + slot.spec.nbytes for slot in ts.store._slots.values())


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), st.text())
def test_a_padded_recipe_is_as_long_whatever_its_numbers_are(numbers, text):
    one, other = (json.dumps({"state": {"mean": values}, "of": text}) for values in (numbers, [0.0, 1.0, 2.5]))
    assert len(padded(one)) == len(padded(other))
    assert padded(one).rstrip(" ") == one


@pytest.mark.parametrize("suffix", READ)
def test_a_recipe_without_blanks_behind_it_is_read_as_before(tmp_path, rich, suffix, monkeypatch):
    """Files of earlier versions have none."""
    plan, arrays = rich
    for module in ("exporters.hdf5.layout", "storage.layout"):
        monkeypatch.setattr(f"tensorize.{module}.padded", lambda recipe, least=0: recipe)
    path = written(tmp_path / f"x{suffix}", plan, arrays)
    monkeypatch.undo()
    registry.exporter_for(path).verify(path)
    with tensorize.read(path) as ts:
        assert ts.layout == plan
        assert ts.equals(TensorSet(plan, MemoryStore(arrays)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_stays_unless_forced_also_when_it_appears_late(tmp_path, suffix):
    plan, arrays = small()
    path = tmp_path / f"x{suffix}"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        registry.exporter_for(path).create(path, plan)
    written(path, plan, arrays, force=True)
    remove(path)
    writer = registry.exporter_for(path).create(path, plan)
    writer.write("features", 0, arrays["features"])
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        writer.commit(plan.recipe)
    writer.abort()
    assert left(tmp_path) == [path.name]
    assert path.read_text() == "mine"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_where_there_are_no_hard_links_the_file_appears_all_the_same(tmp_path, suffix, monkeypatch):
    def refused(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refused)
    plan, arrays = small()
    written(tmp_path / f"x{suffix}", plan, arrays)
    assert left(tmp_path) == [f"x{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_two_runs_to_one_target_do_not_meet(tmp_path, suffix):
    plan, _ = small()
    path = tmp_path / f"x{suffix}"
    writer = registry.exporter_for(path).create(path, plan)
    with pytest.raises(RunError, match="another run is writing"):
        registry.exporter_for(path).create(path, plan)
    writer.abort()
    assert left(tmp_path) == []


KILLED = """
import os, signal, sys, numpy as np
import tensorize
def stop(stage, done, total):
    if stage == "write":
        print("writing", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
tensorize.prepare("table", {"a": np.arange(200_000.0)}, out=sys.argv[1], force=True, progress=stop, threads=1)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_kill_minus_9_leaves_the_old_file_and_the_next_run_cleans_up(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    plan, arrays = small()
    old = content_of(written(path, plan, arrays))
    done = subprocess.run([sys.executable, "-c", KILLED, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "writing\n")
    assert content_of(path) == old
    assert left(tmp_path) == [f".x{suffix}.part", f"x{suffix}"]
    written(path, plan, arrays, force=True)
    assert left(tmp_path) == [f"x{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_limit_on_the_size_of_files_is_an_error_and_leaves_nothing(tmp_path, suffix):
    code = "import sys, numpy, tensorize; tensorize.prepare('table', {'a': numpy.arange(500_000.0)}, out=sys.argv[1])"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / f"x{suffix}"], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert "RunError" in done.stderr
    assert "File too large" in done.stderr
    assert left(tmp_path) == []


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 2 MB, where it may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_an_error_before_the_first_row(tiny_disk, suffix):
    with pytest.raises(RunError, match="No space left") as caught:
        tensorize.prepare("table", {"a": np.arange(1_000_000.0)}, out=tiny_disk / f"x{suffix}")
    assert "make room" in caught.value.hint
    assert left(tiny_disk) == []


# reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", READ)
def test_rows_are_read_in_any_order_and_only_those_that_are(tmp_path, suffix):
    plan, arrays = small(rows=50)
    with tensorize.read(written(tmp_path / f"x{suffix}", plan, arrays)) as ts:
        rows = np.array([3, 4, 5, 0, 49, 49, 7])
        np.testing.assert_array_equal(ts.store.take("features", rows), arrays["features"][rows])
        assert ts.store.take("features", np.empty(0, np.int64)).shape == (0, 2)
        for bad in ([-1], [50], [0, 99]):
            with pytest.raises(IndexError):
                ts.store.take("features", np.array(bad))
        with pytest.raises(IndexError):
            ts.store.read("features", 40, 51)


@pytest.mark.parametrize("suffix", READ)
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_data_loader_read_the_file_themselves(tmp_path, suffix, start):
    table = {"a": [float(n) for n in range(64)], "y": [n % 2 for n in range(64)]}
    ts = tensorize.prepare("table", table, target="y", scale="none", out=tmp_path / f"x{suffix}")
    loader = DataLoader(ts.dataset(), batch_size=10, num_workers=2, multiprocessing_context=start)
    batches = list(loader)
    assert torch.cat([x for x, _ in batches])[:, 0].tolist() == table["a"]
    assert torch.cat([y for _, y in batches]).tolist() == table["y"]


@pytest.mark.parametrize("suffix", READ)
def test_what_is_asked_of_a_set_and_is_not_there(tmp_path, suffix, rich):
    plan, arrays = rich
    with tensorize.read(written(tmp_path / f"x{suffix}", plan, arrays)) as ts:
        with pytest.raises(UsageError, match='ts\\["train/features"\\]'):
            ts["features"]
        with pytest.raises(UsageError, match='did you mean "train"'):
            ts.split("trian")
        with pytest.raises(UsageError, match="there is no tensor"):
            ts.split("train")["feature"]


def test_the_digest_is_that_of_the_file_with_its_slot_as_zeros(tmp_path):
    plan, arrays = small()
    data = bytearray(written(tmp_path / "x.pt", plan, arrays).read_bytes())
    said = bytes(data[-64:]).decode()
    data[-64:] = bytes(64)
    assert hashlib.sha256(data).hexdigest() == said


def test_a_suffix_that_nobody_knows(tmp_path):
    with pytest.raises(UsageError, match=r"\.h6") as caught:
        tensorize.prepare("table", {"a": [1.0]}, out=tmp_path / "x.h6")
    assert ".h5" in str(caught.value)
    assert Path(tmp_path).exists()


@pytest.mark.parametrize("suffix", [".h5", ".pt"])
def test_a_disk_that_fails_while_it_is_synced_in_between_leaves_nothing(tmp_path, monkeypatch, suffix):
    def failing(fd):
        raise OSError(errno.EIO, "no disk")

    monkeypatch.setattr("tensorize.storage.writer._SYNCED", 1000)
    monkeypatch.setattr(os, "fdatasync", failing, raising=False)
    with pytest.raises(RunError, match=r"o\.\w+ cannot be written: Input/output error"):
        tensorize.prepare("table", {"x": list(range(5000)), "y": list(range(5000))}, out=tmp_path / f"o{suffix}")
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import os, signal, sys
import tensorize_cli.main as command
from tensorize.exporters.hdf5.layout import Metadata
name, at, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
real, calls = getattr(Metadata, name), []
def interrupted(*given):
    calls.append(given)
    if len(calls) == at:
        os.kill(os.getpid(), number)
    return real(*given)
setattr(Metadata, name, interrupted)
sys.argv = ["tensorize", *sys.argv[4:]]
command.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("name", "at"), [("write", 2), ("seek", 5), ("truncate", 1)])
def test_an_interrupt_that_hdf5_loses_is_one_all_the_same(tmp_path, samples, name, at, number):
    """In a call of its library it is replaced by an error on a method that is there."""
    given = [name, at, int(number), "wine", samples / "wine-synthetic.csv", "-o", tmp_path / "w.h5"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, given)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
    assert not list(tmp_path.iterdir())


def test_an_exporter_with_options_can_be_named_or_handed_in(tmp_path):
    from tensorize.exporters import ParquetSamples

    rows = {"a": [1.0, 2.0], "b": [3.0, 5.0]}
    made = prepare("table", rows, out=tmp_path / "x.parquet", format=ParquetSamples(columns=True))
    made.save(tmp_path / "y.parquet", columns=True)
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()
    assert {"a", "b"} < set(pq.read_schema(tmp_path / "x.parquet").names)
    with pytest.raises(UsageError, match=r"\.h5 files have no --columns") as caught:
        made.save(tmp_path / "z.h5", columns=True)
    assert ".parquet" in caught.value.hint
    with pytest.raises(UsageError, match="--columns comes too late"):
        made.save(tmp_path / "z.parquet", format=ParquetSamples(), columns=True)
    with pytest.raises(AttributeError):
        tensorize.exporters.Nothing  # noqa: B018


def test_a_set_that_was_written_in_a_format_nobody_reads_tells_what_it_is(tmp_path):
    made = prepare("table", {"a": [1.0, 2.0]}, out=tmp_path / "x.tar")
    assert (made.keys(), made.num_rows) == (("features", "row"), 2)
    with pytest.raises(UsageError, match=r"features cannot be read back: \.tar files are only written"):
        made["features"]
