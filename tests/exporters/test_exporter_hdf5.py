"""HDF5 files that another program has written again: read through HDF5 in a process apart, or refused by name."""

import json
import os
import random
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest

import tensorize
from tensorize.core.errors import DataError, RunError, TensorizeError, TensorizeWarning, UsageError
from tensorize.core.limits import max_header
from tensorize.exporters.hdf5 import rewritten
from tensorize.exporters.hdf5.exporter import Hdf5

RNG = np.random.default_rng(3)
TABLE = {"a": RNG.normal(size=60), "b": RNG.normal(size=60), "c": ["x", "y", "z"] * 20}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    path = tmp_path_factory.mktemp("ours") / "x.h5"
    tensorize.prepare("table", TABLE, target="c", split="0.6,0.2,0.2", out=path)
    return path


def copied(ours, path, **settings):
    """Every object into a new file, attributes kept, as `f.copy` does; or each dataset stored anew."""
    with h5py.File(ours) as old, h5py.File(path, "w") as new:
        new.attrs.update(old.attrs)
        for name in old:
            old.copy(name, new)
        for split in ("train", "val", "test") if settings else ():
            for name, dataset in old[split].items():
                del new[f"{split}/{name}"]
                made = new.create_dataset(f"{split}/{name}", data=dataset[()], **settings)
                made.attrs.update(dataset.attrs)
    return path


def noticed(path):
    with pytest.warns(TensorizeWarning, match="rewritten by another program") as caught:
        ts = tensorize.read(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return ts, str(caught[0].message)


def refused(path, match):
    with pytest.raises(DataError, match=match) as caught:
        tensorize.read(path)
    return caught.value.hint


def test_a_copy_has_the_same_tensors_and_recipe_and_converts_to_the_same_bytes(ours, tmp_path):
    ts, notice = noticed(copied(ours, tmp_path / "copy.h5"))
    assert "checksum is gone" in notice
    assert f"tensorize convert {tmp_path}/copy.h5 {tmp_path}/copy-new.h5" in notice
    with ts, tensorize.read(ours) as whole:
        assert ts.layout == whole.layout
        assert ts.equals(whole)
        assert ts.recipe == whole.recipe
        ts.save(tmp_path / "copy-new.h5")
    assert (tmp_path / "copy-new.h5").read_bytes() == ours.read_bytes()


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_a_copy_in_any_version_of_the_file_format(ours, tmp_path, libver):
    with h5py.File(ours) as old, h5py.File(tmp_path / "x.h5", "w", libver=libver) as new:
        new.attrs.update(old.attrs)
        for name in old:
            old.copy(name, new)
    with noticed(tmp_path / "x.h5")[0] as ts, tensorize.read(ours) as whole:
        assert ts.equals(whole)


def test_a_file_that_was_edited_in_place_shows_what_is_not_ours(ours, tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(ours.read_bytes())
    with h5py.File(path, "r+") as file:
        file["train/features"][0, 0] = 7
        file["train/guess"] = [1, 2]
        file["latest"] = h5py.SoftLink("/train/features")
        file.create_group("train/more/inside")["x"] = 1
        file["away"] = h5py.ExternalLink("other.h5", "/train")
    ts, notice = noticed(path)
    assert notice.endswith("ignored: away, latest, train/guess, train/more")
    with ts, tensorize.read(ours) as whole:
        assert ts.layout == whole.layout
        assert ts["train/features"][0, 0] == 7
        np.testing.assert_array_equal(ts["train/features"][1:], whole["train/features"][1:])


def test_texts_long_names_and_empty_tensors(tmp_path, samples):
    tensorize.prepare("images", samples / "shapes-synthetic", dtype="uint8", split="0.75,0.25", out=tmp_path / "i.h5")
    with noticed(copied(tmp_path / "i.h5", tmp_path / "ic.h5"))[0] as ts, tensorize.read(tmp_path / "i.h5") as whole:
        assert ts.meta == whole.meta
        assert ts.equals(whole)
    tensorize.prepare("table", {"x" * 300: [1.0, 2.0]}, out=tmp_path / "l.h5")
    ts, notice = noticed(copied(tmp_path / "l.h5", tmp_path / "lc.h5"))
    assert notice.endswith("names over 255 bytes are cut")
    assert ts.labels("features", "feature") == ("x" * 255,)
    with tensorize.read(tmp_path / "l.h5") as whole:
        assert ts.recipe == whole.recipe


@pytest.mark.parametrize("settings", [{"chunks": True}, {"compression": "gzip"}, {"maxshape": None}])
def test_chunks_are_refused_with_the_command_that_undoes_them(ours, tmp_path, settings):
    settings = {"chunks": True, "shuffle": True} if "maxshape" in settings else settings
    hint = refused(copied(ours, tmp_path / "a b.h5", **settings), "stored in chunks or compressed")
    assert hint.endswith(f"h5repack -f NONE -l CONTI '{tmp_path}/a b.h5' '{tmp_path}/a b-plain.h5'")


def test_what_never_was_ours_is_refused_as_before(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["features"] = [1, 2]
    refused(tmp_path / "x.h5", "was not written by tensorize")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("recipe", None, "has lost the attribute recipe"),
        ("kind", None, "has lost the attribute kind"),
        ("recipe", 5, "has lost the attribute recipe"),
        ("tensorize_format", "x", "HDF5 cannot read it"),
    ],
)
def test_what_a_copy_has_lost_is_named(ours, tmp_path, key, value, match):
    path = copied(ours, tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        del file.attrs[key]
        if value is not None:
            file.attrs[key] = value
    refused(path, match)


def test_a_newer_format_says_update(ours, tmp_path):
    path = copied(ours, tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["tensorize_format"] = 99
    with pytest.raises(UsageError, match="format 99"):
        tensorize.read(path)


def replaced(path, make):
    """`train/features` made anew by `make(group, attributes)`."""
    with h5py.File(path, "r+") as file:
        attributes = dict(file["train/features"].attrs)
        del file["train/features"]
        made = make(file["train"])
        if made is not None:
            made.attrs.update(attributes)


def external(group):
    return group.create_dataset("features", (36, 2), "<f4", external=[("/etc/passwd", 0, 36 * 8)])


def virtual(group):
    layout = h5py.VirtualLayout((36, 2), "<f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (36, 2))
    return group.create_virtual_dataset("features", layout)


def huge(group):
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    space = h5py.h5s.create_simple((1 << 40, 2))
    return h5py.Dataset(h5py.h5d.create(group.id, b"features", h5py.h5t.IEEE_F32LE, space, settings))


def big_endian(group):
    return group.create_dataset("features", data=np.zeros((36, 2), ">f4"))


def words(group):
    return group.create_dataset("features", data=np.array([["a", "b"]], object), dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (external, "values of train/features lie in another file"),
        (virtual, "values of train/features lie in another file"),
        (huge, "values of train/features were never written"),
        (big_endian, "train/features have a type"),
        (words, "train/features have a type"),
    ],
)
def test_tensors_that_are_stored_otherwise_are_refused_by_name(ours, tmp_path, make, match):
    path = copied(ours, tmp_path / "x.h5")
    replaced(path, make)
    refused(path, match)


@pytest.mark.parametrize("link", [h5py.ExternalLink("x.h5", "/train/features"), h5py.SoftLink("/val/features")])
def test_links_are_not_followed(ours, tmp_path, link):
    (tmp_path / "elsewhere").mkdir()
    path = copied(ours, tmp_path / "elsewhere/x.h5")
    replaced(path, lambda group: group.__setitem__("features", link))
    ts, notice = noticed(path)
    assert notice.endswith("ignored: train/features")
    assert "train/features" not in ts


def test_a_copy_that_was_cut_off_is_refused_as_before(ours, tmp_path):
    whole = copied(ours, tmp_path / "x.h5").read_bytes()
    for size in (0, 9, 64, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "x.h5").write_bytes(whole[:size])
        refused(tmp_path / "x.h5", "was not written by tensorize")
    (tmp_path / "x.h5").write_bytes(whole + b"more")
    refused(tmp_path / "x.h5", "was not written by tensorize")


def test_changed_bytes_are_read_or_refused_and_end_in_time(ours, tmp_path):
    whole, rng = copied(ours, tmp_path / "x.h5").read_bytes(), random.Random(5)
    for _ in range(int(os.environ.get("TENSORIZE_HDF5_CHANGES", "8"))):
        made = bytearray(whole)
        for _ in range(rng.randrange(1, 20)):
            made[rng.randrange(64, 16_000)] = rng.randrange(256)
        (tmp_path / "x.h5").write_bytes(made)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TensorizeWarning)
            try:
                with tensorize.read(tmp_path / "x.h5") as ts:
                    assert all(ts.numpy(key).nbytes <= len(whole) for key in ts)
            except TensorizeError:
                continue


# what becomes of the process -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error", "match"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", DataError, r"HDF5 crashed on it \(SIGSEGV\)"),
        ("import time; time.sleep(100)", DataError, "took more than"),
        ("raise SystemExit(3)", RunError, "does not start"),
        ("print('[]')", RunError, "does not start"),
        ("print('{')", DataError, "damaged"),
        ("print('{\"recipe\": 1000000000000}')", DataError, "over the limit"),
        ("print('{\"recipe\": 10}')", RunError, "does not start"),
        ("while True: print('x' * 1000000, end='')", DataError, "over the limit"),
        ("print('{\"recipe\": 0}')", DataError, "damaged"),
    ],
)
def test_a_process_that_ends_or_says_otherwise_is_an_error(ours, tmp_path, monkeypatch, code, error, match):
    monkeypatch.setattr(rewritten, "_MAIN", code)
    monkeypatch.setattr(rewritten, "WALL_SECONDS", 1 if "sleep" in code else 60)
    with max_header(1 << 20), pytest.raises(error, match=match):
        tensorize.read(copied(ours, tmp_path / "x.h5"))


PROBE = """
import sys, json
from tensorize.exporters.hdf5 import scanner
def probe(*_):
    said = {}
    for name, what in {"memory": lambda: bytearray(1 << 30), "open": lambda: open("/etc/passwd")}.items():
        try: what()
        except Exception as error: said[name] = type(error).__name__
    raise scanner._RefusedError(json.dumps(said))
scanner._text = probe
scanner.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_the_process_has_little_memory_and_no_other_file(ours, tmp_path, monkeypatch):
    monkeypatch.setattr(rewritten, "_MAIN", PROBE)
    with pytest.raises(DataError) as caught:
        tensorize.read(copied(ours, tmp_path / "x.h5"))
    said = json.loads(caught.value.what[caught.value.what.index("{") :])
    assert (said["memory"], said["open"]) == ("MemoryError", "OSError")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is counted by Linux")
def test_a_file_that_keeps_the_processor_busy_is_ended(ours, tmp_path, monkeypatch):
    busy = "from tensorize.exporters.hdf5 import scanner\ndef scan(_):\n while True: pass\nscanner._scan = scan\nscanner.main()"
    monkeypatch.setattr(rewritten, "_MAIN", busy)
    monkeypatch.setattr(rewritten, "SECONDS", 1)
    refused(copied(ours, tmp_path / "x.h5"), "took more than 1 s")


def test_nothing_of_the_environment_loads_a_part_of_hdf5(ours, tmp_path, monkeypatch):
    for name in ("HDF5_PLUGIN_PATH", "HDF5_VOL_CONNECTOR", "HDF5_DRIVER"):
        monkeypatch.setenv(name, "evil")
    noticed(copied(ours, tmp_path / "x.h5"))[0].close()


def test_verify_says_that_the_checksum_is_gone(ours, tmp_path):
    with pytest.raises(DataError, match="no checksum of tensorize") as caught:
        Hdf5().verify(copied(ours, tmp_path / "x.h5"))
    assert "tensorize convert" in caught.value.hint
    (tmp_path / "y.h5").write_bytes(ours.read_bytes()[:-1])
    with pytest.raises(DataError, match="its SHA-256 does not fit"):
        Hdf5().verify(tmp_path / "y.h5")


# the command ---------------------------------------------------------------------------------------------------------


def test_the_command_prints_one_note_and_converts(ours, tmp_path, warm):
    copied(ours, tmp_path / "x.h5")
    note = (
        "note: x.h5 was rewritten by another program, so its checksum is gone and changed values cannot be detected; "
        "to write a file with a checksum: tensorize convert x.h5 x-new.h5\n"
    )
    shown = warm("inspect", "x.h5", "--json")
    assert (shown.returncode, shown.stderr) == (0, note)
    assert json.loads(shown.stdout)["kind"] == "table"
    done = warm("convert", "x.h5", "x-new.h5")
    assert (done.returncode, done.stderr) == (0, note)
    assert warm("verify", "x-new.h5").stdout == "x-new.h5   intact\n"
    copied(ours, tmp_path / "z.h5", compression="gzip")
    failed = warm("inspect", "z.h5")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "h5repack -f NONE -l CONTI z.h5 z-plain.h5" in failed.stderr


def test_a_file_with_its_index_starts_no_process_and_imports_no_h5py(ours, tmp_path):
    code = (
        f"import sys, tensorize\nwith tensorize.read({str(ours)!r}) as ts: ts.numpy('train/features')\n"
        "print(sorted({'h5py', 'tensorize.exporters.hdf5.rewritten'} & set(sys.modules)))"
    )
    (tmp_path / "read.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "read.py"], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
