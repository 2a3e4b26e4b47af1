"""Readers of files that somebody else may have made: nothing is run, nothing outside is read, nothing grows without bound."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
import torch
from conftest import Command

import tensorize
from tensorize import Recipe
from tensorize.core import limits
from tensorize.core.errors import DataError, RecipeError, TensorizeError, TensorizeWarning, UsageError
from tensorize.exporters.hdf5 import index as hdf5_index
from tensorize.exporters.pt import unpickled
from tensorize.exporters.pt.dense import Dense, NotPlainError
from tensorize.storage.digest import DIGEST_SIZE, digest

SUFFIXES = [".h5", ".pt"]


@pytest.fixture
def command(request):
    """The installed command; the library has its name here."""
    return request.getfixturevalue("tensorize")


@pytest.fixture(params=SUFFIXES)
def prepared(request, tmp_path):
    path = tmp_path / f"x{request.param}"
    tensorize.prepare("table", {"a": [1.0, 2.0, 4.0, 5.0], "b": ["u", "v", "u", "v"]}, split="0.5,0.5", out=path)
    return path


def sealed(path):
    """Give a file that was tampered with the digest that fits, as somebody who wants to deceive does."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        said = digest(file.fileno(), size, size - DIGEST_SIZE)
        file.seek(size - DIGEST_SIZE)
        file.write(said.encode())


# torch --------------------------------------------------------------------------------------------------------------


def pickle_of(value):
    theirs = io.BytesIO()
    torch.save(value, theirs)
    return zipfile.ZipFile(theirs).read("archive/data.pkl")


def nested(depth):
    found = []
    for _ in range(depth):
        found = [found]
    return found


SHARED = ["x"]
BASE = torch.arange(12.0)
REFUSED = {
    "a sparse tensor": lambda: torch.eye(2).to_sparse(),
    "a quantised tensor": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "a parameter": lambda: torch.nn.Parameter(torch.ones(2)),
    "a gradient": lambda: torch.ones(2, requires_grad=True),
    "a part of a storage": lambda: BASE[2:6],
    "strides": lambda: BASE.reshape(3, 4).t(),
    "an expanded tensor": lambda: torch.ones(1).expand(1_000_000_000),
    "a complex tensor": lambda: torch.ones(2, dtype=torch.complex64),
    "a size": lambda: torch.Size([1]),
    "a tuple of lists": lambda: ([], []),
    "a set": lambda: {1},
    "bytes": lambda: b"x",
    "a module": lambda: torch.nn.Linear(1, 1),
    "a function": lambda: print,
    "a class": lambda: dict,
    "a list twice": lambda: [SHARED, SHARED],
    "depth": lambda: nested(150),
    "a tensor as a key": lambda: {(1, 2): 2},
    "a long number": lambda: 1 << 70,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_a_pickle_with_anything_but_dense_tensors_and_plain_data_is_refused(name):
    data = pickle_of({"x": REFUSED[name]()})
    with pytest.raises(NotPlainError):
        unpickled.unpickled(data)


def test_a_pickle_of_dense_tensors_and_plain_data_is_read():
    plain = {"text": "é\n", "none": None, "list": [1, -2, 1 << 40, 1.5, True], "empty": {}, 7: (1, (2.5, "x"))}
    found = unpickled.unpickled(pickle_of({"x": torch.zeros(2, 3), "y": torch.zeros(0, 4, dtype=torch.uint16), "z": plain}))
    assert found == {"x": Dense("0", "float32", (2, 3)), "y": Dense("1", "uint16", (0, 4)), "z": plain}


@pytest.mark.parametrize("name", ["a part of a storage", "strides"])
def test_views_within_their_storage_are_read_where_they_may_be(name):
    shape = tuple(REFUSED[name]().shape)
    found = unpickled.unpickled(pickle_of({"x": REFUSED[name](), "half": torch.zeros(2, dtype=torch.bfloat16)}), views=True)
    assert found == {"x": Dense("0", "float32", shape), "half": Dense("1", "bfloat16", (2,))}
    with pytest.raises(NotPlainError):
        unpickled.unpickled(pickle_of({"x": REFUSED["an expanded tensor"]()}), views=True)


def test_a_pickle_that_unfolds_stops_before_it_does():
    """Two tensors that say they have 10^18 numbers, in a file of a few hundred bytes."""
    data = pickle_of({"x": torch.zeros(7, dtype=torch.uint8)})
    huge = data.replace(b"K\x07\x85", b"\x8a\x08" + struct.pack("<q", 10**18) + b"\x85")
    assert huge != data
    with pytest.raises(NotPlainError):
        unpickled.unpickled(huge)


def rewritten(path, change):
    """The archive with other members, in the layout that a reader of ours expects."""
    with zipfile.ZipFile(path) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
        new.comment = b"0" * DIGEST_SIZE
    sealed(path)


def test_an_archive_that_somebody_else_wrote_in_the_same_way_is_read(tmp_path):
    tensorize.prepare("table", {"a": [1.0, 2.0]}, out=tmp_path / "x.pt")
    rewritten(tmp_path / "x.pt", lambda members: None)
    with tensorize.read(tmp_path / "x.pt") as ts:
        assert len(ts["features"]) == 2


@pytest.mark.parametrize("what", ["smaller", "larger", "missing", "big-endian", "no pickle"])
def test_an_archive_whose_members_do_not_fit_is_refused(tmp_path, what):
    changes = {
        "smaller": lambda members: members.update({"archive/data/0": b"1"}),
        "larger": lambda members: members.update({"archive/data/0": b"1" * 100}),
        "missing": lambda members: members.pop("archive/data/0"),
        "big-endian": lambda members: members.update({"archive/byteorder": b"big"}),
        "no pickle": lambda members: members.pop("archive/data.pkl"),
    }
    tensorize.prepare("table", {"a": [1.0, 2.0]}, out=tmp_path / "x.pt")
    rewritten(tmp_path / "x.pt", changes[what])
    with pytest.raises(DataError):
        tensorize.read(tmp_path / "x.pt")


def test_a_compressed_archive_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 100_000)
        archive.comment = b"0" * DIGEST_SIZE
    with pytest.raises(DataError, match="stored"):
        tensorize.read(path)


# HDF5 ---------------------------------------------------------------------------------------------------------------


def test_reading_needs_neither_torch_nor_hdf5(prepared):
    code = "import sys, tensorize; ts = tensorize.read(sys.argv[1]); ts.numpy('train/features'); print(sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code, prepared], capture_output=True, text=True, check=True).stdout
    assert "'torch'" not in said
    assert "'h5py'" not in said


@pytest.mark.parametrize("way", ["external link", "soft link", "external storage", "virtual"])
def test_hdf5_that_points_elsewhere_is_never_followed(tmp_path, way):
    """Another program has put a link in the place of a tensor; with the old index behind it the old bytes are read."""
    path, secret = tmp_path / "x.h5", tmp_path / "secret.raw"
    made = tensorize.prepare("table", {"a": [1.0, 2.0, 4.0]}, scale="none", out=path)["features"]
    secret.write_bytes(np.full((3, 1), 7, "f4").tobytes())
    end = path.read_bytes()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["features"] = np.full((3, 1), 7, "f4")
    with h5py.File(path, "r+") as file:
        del file["features"]
        if way == "external link":
            file["features"] = h5py.ExternalLink("other.h5", "/features")
        elif way == "soft link":
            file["features"] = h5py.SoftLink("/row")
        elif way == "external storage":
            file.create_dataset("features", (3, 1), "f4", external=[(str(secret), 0, 12)])
        else:
            layout = h5py.VirtualLayout((3, 1), "f4")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "features", (3, 1))
            file.create_virtual_dataset("features", layout)
    with pytest.warns(TensorizeWarning, match="features"), tensorize.read(path) as ts:
        assert ts.keys() == ("row",)
    with path.open("ab") as file:
        file.write(end[end.rindex(b'{"format"') :])
    sealed(path)
    with tensorize.read(path) as ts:
        assert torch.equal(ts["features"], made)


def reindexed(path, change):
    index = hdf5_index.read_index(path).model_dump()
    change(index)
    data = path.read_bytes()
    end = json.dumps(index).encode()
    end += struct.pack("<Q8s", len(end), hdf5_index.MAGIC) + b"0" * DIGEST_SIZE
    path.write_bytes(data[: data.rindex(b'{"format"')] + end)
    sealed(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index["tensors"].update({"train/features": 1 << 40}),
        lambda index: index["tensors"].update({"train/features": -1}),
        lambda index: index["tensors"].update({"../../etc/passwd": 1}),
        lambda index: index["tensors"].pop("train/features"),
        lambda index: index["recipe"].update({"size": 1 << 40}),
        lambda index: index["recipe"].update({"at": True}),
        lambda index: index["layout"]["tensors"][0].update({"shape": [1 << 60, 1 << 60]}),
        lambda index: index["layout"]["tensors"][0].update({"shape": [10] * 9}),
        lambda index: index["layout"]["tensors"][0].update({"name": "../x"}),
        lambda index: index["layout"]["tensors"][0].update({"split": ".."}),
        lambda index: index["layout"]["tensors"][0].update({"dtype": "object"}),
        lambda index: index["layout"]["tensors"][0].update({"labels": {"feature": 99}}),
        lambda index: index["layout"].update({"tensors": [*index["layout"]["tensors"], index["layout"]["tensors"][0]]}),
        lambda index: index["texts"].update({"x": {"at": 0, "width": 1, "count": 1}}),
        lambda index: index.update({"more": 1}),
    ],
)
def test_an_index_that_does_not_fit_the_file_is_refused(tmp_path, change):
    path = tmp_path / "x.h5"
    tensorize.prepare("table", {"a": [1.0, 2.0, 4.0, 5.0]}, split="0.5,0.5", out=path)
    reindexed(path, change)
    with pytest.raises(DataError):
        tensorize.read(path)


# limits -------------------------------------------------------------------------------------------------------------


def test_what_a_file_holds_beside_its_tensors_has_a_limit_that_the_error_names(prepared, command: Command):
    with limits.max_header(100), pytest.raises(DataError, match="over the limit of 100 B") as caught:
        tensorize.read(prepared)
    assert "--max-header" in caught.value.hint
    done = command("inspect", prepared, "--max-header", "100B")
    assert done.returncode == 1
    assert "--max-header" in done.stderr
    assert command("inspect", prepared, "--max-header", "1MB").returncode == 0


# recipes ------------------------------------------------------------------------------------------------------------

GOOD = {"tensorize": 1, "kind": "table", "options": {}, "schema": {"columns": []}, "steps": []}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "not JSON"),
        (json.dumps(GOOD | {"options": {"x": nested(40)}}), "nested more than 32 deep"),
        (json.dumps(GOOD | {"kind": "x" * (2 << 20)}), "cannot be read"),
        (json.dumps(GOOD | {"kind": 5}), "cannot be read"),
        (json.dumps(GOOD | {"more": 5}), "cannot be read"),
        (json.dumps(GOOD).replace('"kind"', '"x": NaN, "kind"'), "not JSON"),
        (json.dumps(GOOD).replace("{}", '{"x": 1, "x": 2}'), "twice"),
        (json.dumps(GOOD).replace('"tensorize": 1', '"tensorize": ' + "9" * 5000), "not JSON"),
        (json.dumps(GOOD | {"steps": [{"step": "zscore", "of": "a", "state": {}, "role": "root"}]}), "cannot be read"),
    ],
)
def test_a_recipe_that_is_none_says_why(text, said):
    with pytest.raises(RecipeError, match=said):
        Recipe.from_json(text)


def test_a_recipe_file_carries_a_digest_and_reads_back(prepared, tmp_path, command: Command):
    recipe = Recipe.read(prepared)
    path = recipe.save(tmp_path / "r.json")
    assert Recipe.read(path) == recipe
    assert command("verify", path).stdout == f"{path}   intact\n"
    with pytest.raises(UsageError, match="exists"):
        recipe.save(path)
    again = tmp_path / "again.json"
    assert command("inspect", prepared, "--recipe", "-o", again).returncode == 0
    assert again.read_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b'"table"', b'"tablE"'))
    assert "its SHA-256 does not fit" in command("verify", path).stderr
    path.write_text(recipe.to_json())
    assert "carries no digest" in command("verify", path).stderr


# what meets a terminal ------------------------------------------------------------------------------------------------

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202eevil\u2028\r\nerror: forged\x9b31m\x7f"


def tame(text):
    return all(char.isprintable() or char == "\n" for char in text) and "\nerror: forged" not in text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_in_a_hostile_file_reaches_the_terminal(tmp_path, suffix, command: Command):
    path = tmp_path / f"x{suffix}"
    tensorize.prepare("table", {HOSTILE: [1.0, 2.0], "c": [HOSTILE, "b"]}, onehot="c", out=path)
    for flags in ([], ["-v"], ["--json"], ["--recipe"]):
        done = command("inspect", path, *flags)
        assert done.returncode == 0, done.stderr
        assert tame(done.stdout)
    (tmp_path / "new.csv").write_text("a,c\n1,b\n")
    for flags in ([], ["--json"], ["--debug"]):
        done = command("apply", path, "new.csv", "-o", "y.h5", *flags)
        assert done.returncode in (1, 2)
        assert tame(done.stdout)
        assert tame(done.stderr)
        assert "owned" in done.stdout + done.stderr


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".json"])
def test_a_damaged_file_that_says_something_is_escaped(tmp_path, suffix, command: Command):
    evil = {"format": 1, f"more{HOSTILE}": 1}
    path = tmp_path / f"x{suffix}"
    if suffix == ".pt":
        tensorize.prepare("table", {"a": [1.0]}, out=path)
        rewritten(path, lambda members: members.update({"archive/data.pkl": pickle_of({"tensorize": evil})}))
    elif suffix == ".h5":
        end = json.dumps(evil).encode()
        path.write_bytes(end + struct.pack("<Q8s", len(end), hdf5_index.MAGIC) + b"0" * DIGEST_SIZE)
    else:
        path.write_text(json.dumps(GOOD | {f"more{HOSTILE}": 1}))
    done = command("apply", path, "new.csv", "-o", "y.h5")
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert tame(done.stderr)


def test_every_error_of_a_reader_is_one_of_ours(prepared):
    prepared.write_bytes(prepared.read_bytes()[:-1])
    with pytest.raises(TensorizeError):
        tensorize.read(prepared)


def nested(depth: int) -> list[object]:
    found: list[object] = []
    for _ in range(depth - 1):
        found = [found]
    return found


@pytest.mark.parametrize(
    "wide",
    [
        [{"epoch": n, "scores": {"loss": 1.5}} for n in range(3000)],
        {str(n): {"step": 1, "state": {}} for n in range(3000)},
        {"a": [[[] for _ in range(70)] for _ in range(70)], "b": [nested(unpickled.DEPTH - 2) for _ in range(3)]},
    ],
)
def test_what_lies_side_by_side_is_not_nested(wide):
    assert unpickled.unpickled(pickle.dumps(wide, 2)) == wide


def test_depth_has_its_limit():
    assert unpickled.unpickled(pickle.dumps(nested(unpickled.DEPTH), 2)) == nested(unpickled.DEPTH)
    for deep in (nested(unpickled.DEPTH + 1), {"a": [1, nested(unpickled.DEPTH)]}):
        with pytest.raises(NotPlainError, match="nested more than 64 deep"):
            unpickled.unpickled(pickle.dumps(deep, 2))
