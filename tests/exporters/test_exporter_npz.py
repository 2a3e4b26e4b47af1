"""NumPy archives: what numpy sees, at any size, and members that are not what the layout says."""

import json
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest
from test_exporter_pt import write
from test_exporters import DTYPES, rich, small, written

import tensorize
from tensorize.core.contracts import TensorSpec
from tensorize.core.errors import DataError
from tensorize.exporters.npy import array_header
from tensorize.exporters.npz import ABOUT, Npz
from tensorize.storage.digest import DIGEST_SIZE

__all__ = ["rich"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 2), (0, 4), (2, 0, 3), (5,), (2, 3, 4, 5), (1 << 40, 7), (9,) * 8, (1 << 55, *(1,) * 7)])
def test_numpy_reads_the_header_of_an_array_as_its_own(tmp_path, dtype, shape):
    header = array_header(TensorSpec("x", shape, dtype, tuple("abcdefgh"[: len(shape)]), "input"))
    (tmp_path / "x.npy").write_bytes(header)
    with (tmp_path / "x.npy").open("rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        assert np.lib.format.read_array_header_1_0(file) == (shape, False, np.dtype(dtype))
        assert file.tell() == len(header)
    assert len(header) % 64 == 0


def test_numpy_sees_every_tensor_and_no_pickle(tmp_path, rich):
    plan, arrays = rich
    path = written(tmp_path / "x.npz", plan, arrays)
    with np.load(path, allow_pickle=False) as file:
        assert set(file.files) == {*arrays, ABOUT}
        for key, values in arrays.items():
            assert file[key].dtype == values.dtype
            np.testing.assert_array_equal(file[key], values)
        about = json.loads(file[ABOUT])
    assert about["recipe"].rstrip(" ") == plan.recipe
    assert about["kind"] == "odd"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(archive.comment) == DIGEST_SIZE


def test_numbers_are_aligned_to_64_bytes(tmp_path, rich):
    plan, arrays = rich
    with tensorize.read(written(tmp_path / "x.npz", plan, arrays)) as ts:
        assert all(slot.at % 64 == 0 for slot in ts.store._slots.values())


def test_an_archive_of_numpy_is_refused_and_the_hint_reads_it(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(4.0), b=np.arange(4))
    with pytest.raises(DataError, match="was not written by tensorize") as caught:
        tensorize.read(path)
    made = eval(caught.value.hint.partition("columns: ")[2], {"tensorize": tensorize, "numpy": np})
    assert made["features"].shape == (4, 2)


def test_an_archive_that_was_written_again_with_compression_is_refused(tmp_path):
    plan, arrays = small()
    path = written(tmp_path / "x.npz", plan, arrays)
    with zipfile.ZipFile(path) as archive:
        members, comment = {name: archive.read(name) for name in archive.namelist()}, archive.comment
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.comment = comment
    with pytest.raises(DataError, match="was not written by tensorize"):
        tensorize.read(path)


def test_members_that_are_not_what_the_layout_says_are_refused(tmp_path):
    plan, arrays = small()
    spec, numbers = plan.tensors[0], arrays["features"].tobytes()
    with np.load(written(tmp_path / "x.npz", plan, arrays)) as file:
        about = file[ABOUT]

    def header(**changes):
        return array_header(replace(spec, **changes))

    good = {"features.npy": header() + numbers, ABOUT: about}
    wrong = [
        {ABOUT: about},
        {"features.npy": good["features.npy"]},
        {**good, "features.npy": good["features.npy"][:-1]},
        {**good, "features.npy": good["features.npy"] + b"\0"},
        {**good, "features.npy": header(dtype="int32") + numbers},
        {**good, "features.npy": header(shape=(2, 5)) + numbers},
        {**good, "features.npy": b""},
        {**good, ABOUT: b"{}"},
        {**good, ABOUT: b"\xff"},
        {**good, ABOUT: b"[" * 100_000},
        {**good, ABOUT: about.replace(b'"shape": [5, 2]', b'"shape": [5, 3]')},
    ]
    for members in wrong:
        write(tmp_path / "y.npz", {name: (len(data), data) for name, data in members.items()}, b"0" * DIGEST_SIZE)
        with pytest.raises(DataError):
            Npz().open(tmp_path / "y.npz")
    write(tmp_path / "y.npz", {name: (len(data), data) for name, data in good.items()}, b"0" * DIGEST_SIZE)
    with Npz().open(tmp_path / "y.npz") as ts:
        assert np.array_equal(ts.numpy("features"), arrays["features"])


def test_an_archive_of_more_than_four_gigabytes(tmp_path):
    big = TensorSpec("big", (5 << 30,), "uint8", ("row",), "input")
    last = TensorSpec("last", (4,), "int64", ("row",), "meta")
    plan, writer_made = replace(small()[0], tensors=(big, last)), np.arange(4)
    path = tmp_path / "x.npz"
    headers = {spec.name: array_header(spec) for spec in (big, last)}
    with np.load(written(tmp_path / "small.npz", *small())) as file:
        about = json.loads(file[ABOUT])
    about["layout"]["tensors"] = [
        {**about["layout"]["tensors"][0], "name": s.name, "shape": s.shape, "dtype": s.dtype, "axes": s.axes, "labels": {}}
        for s in plan.tensors
    ]
    data = json.dumps(about).encode()
    write(
        path,
        {
            "big.npy": (len(headers["big"]) + (5 << 30), headers["big"] + b"\7"),
            "last.npy": (len(headers["last"]) + 32, headers["last"] + writer_made.tobytes()),
            ABOUT: (len(data), data),
        },
        b"0" * DIGEST_SIZE,
    )
    with np.load(path) as file:
        assert file["last"].tolist() == [0, 1, 2, 3]
        assert file.zip.getinfo("last.npy").header_offset > 5 << 30
    with Npz().open(path) as ts:
        assert ts.store.read("big", 0, 2).tolist() == [7, 0]
        assert ts.store.read("big", (5 << 30) - 1, 5 << 30).tolist() == [0]
        assert ts["last"].tolist() == [0, 1, 2, 3]


def test_the_checksum_of_a_member_counts_its_header(tmp_path):
    plan, arrays = small()
    with zipfile.ZipFile(written(tmp_path / "x.npz", plan, arrays)) as archive:
        assert zlib.crc32(array_header(plan.tensors[0]) + arrays["features"].tobytes()) == archive.getinfo("features.npy").CRC
