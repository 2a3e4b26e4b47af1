"""WebDataset archives: what the package and tar see of them, and the sets that cannot be one."""

import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import webdataset
from PIL import Image
from test_exporters import layout, rich, written

import tensorize
from tensorize.core.contracts import TensorSpec
from tensorize.core.errors import DataError, UsageError
from tensorize.exporters.webdataset import ABOUT, WebDataset, tar_header

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
__all__ = ["rich"]


def samples(path):
    """What the package gives, without where it came from."""
    found = webdataset.WebDataset(str(path), shardshuffle=False).decode()
    return [{name: value for name, value in sample.items() if name not in ("__url__", "__local_path__")} for sample in found]


@pytest.fixture
def pictures(tmp_path):
    """Two classes of four pictures each."""
    rng = np.random.default_rng(0)
    for name in ("cat", "döner"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(rng.integers(0, 255, (6, 5, 3), dtype=np.uint8)).save(tmp_path / f"pictures/{name}/{number}.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_package_sees_every_picture_with_its_class(tmp_path, pictures, dtype):
    ts = tensorize.prepare("images", pictures, dtype=dtype, split="0.5,0.25,0.25")
    found = samples(ts.save(tmp_path / "x.tar"))
    expected = []
    for split in ts.splits:
        one = ts.split(split)
        for at in range(one["labels"].shape[0]):
            label = int(one["labels"][at])
            about = {"row": int(one["row"][at]), "path": one.meta["paths"][at], "label": ("cat", "döner")[label]}
            expected.append((f"{split}/{at:08d}", one.numpy("images")[at], label, about))
    assert [(sample["__key__"], sample["cls"], sample["json"]) for sample in found] == [(k, c, j) for k, _, c, j in expected]
    for sample, (_, image, _, _) in zip(found, expected, strict=True):
        assert sample.keys() == {"__key__", "npy", "cls", "json"}
        assert sample["npy"].dtype == dtype
        np.testing.assert_array_equal(sample["npy"], image)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_as_png_hold_the_same_pixels(tmp_path, channels):
    images = np.random.default_rng(1).integers(0, 255, (5, channels, 4, 3), dtype=np.uint8)
    spec = TensorSpec("images", images.shape, "uint8", ("row", "channel", "height", "width"), "input")
    plan, exporter = layout([spec], "images"), WebDataset("png")
    writer = exporter.create(tmp_path / "x.tar", plan)
    writer.write("images", 0, images)
    writer.commit(plan.recipe)
    exporter.verify(tmp_path / "x.tar")
    with tarfile.open(tmp_path / "x.tar") as archive:
        for at in range(5):
            pixels = np.asarray(Image.open(io.BytesIO(archive.extractfile(f"{at:08d}.png").read())))
            np.testing.assert_array_equal(pixels.reshape(4, 3, channels).transpose(2, 0, 1), images[at])


def test_the_rows_of_a_table_are_samples(tmp_path):
    table = {"a": [1.0, 2.0, 3.0], "name": ["x", "ÿ", "z"], "c": ["u", "v", "u"]}
    ts = tensorize.prepare("table", table, target="c", id="name", scale="none", encode="onehot")
    found = samples(ts.save(tmp_path / "x.tar"))
    assert [sample["json"] for sample in found] == [
        {"row": 0, "id": "x", "label": "u"},
        {"row": 1, "id": "ÿ", "label": "v"},
        {"row": 2, "id": "z", "label": "u"},
    ]
    assert [sample["cls"] for sample in found] == [0, 1, 0]
    assert [sample["features.npy"].tolist() for sample in found] == [[1.0], [2.0], [3.0]]


def test_numbers_to_predict_are_arrays(tmp_path):
    ts = tensorize.prepare("table", {"a": [1.0, 2.0], "y": [0.5, 1.5]}, target="y", scale="none")
    assert [sample["target.npy"].item() for sample in samples(ts.save(tmp_path / "x.tar"))] == [0.5, 1.5]


def test_every_tensor_of_every_type_comes_out(tmp_path, rich):
    plan, arrays = rich
    found = {sample["__key__"]: sample for sample in samples(written(tmp_path / "x.tar", plan, arrays))}
    assert len(found) == 12
    for key, values in arrays.items():
        split, _, name = key.partition("/")
        for at, value in enumerate(values):
            sample = found[f"{split}/{at:08d}"]
            assert sample[f"{name}.npy"].dtype == value.dtype
            np.testing.assert_array_equal(sample[f"{name}.npy"], value)
            assert sample["json"]["path"] == plan.texts[f"{split}/paths"][at]


def test_tar_lists_it_and_the_last_member_has_the_rest(tmp_path, rich):
    plan, arrays = rich
    path = written(tmp_path / "x.tar", plan, arrays)
    with tarfile.open(path, format=tarfile.USTAR_FORMAT) as archive:
        members = archive.getmembers()
        assert members[-1].name == ABOUT
        assert {(m.mtime, m.uid, m.gid, m.mode, m.uname, m.isreg()) for m in members} == {(0, 0, 0, 0o644, "", True)}
        about = json.load(archive.extractfile(ABOUT))
    assert about["recipe"].rstrip(" ") == plan.recipe
    assert len(about["sha256"]) == 64
    if shutil.which("tar"):
        done = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == [member.name for member in members]


@pytest.mark.parametrize(("name", "size"), [("a.cls", 0), ("train/00000001.npy", 12345), ("n" * 100, (8 << 30) - 1)])
def test_a_header_is_the_one_that_python_writes(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    ours, theirs = (tarfile.TarInfo.frombuf(data, "utf-8", "strict") for data in (tar_header(name, size), info.tobuf()))
    assert ours.get_info() == theirs.get_info()


def test_a_set_without_samples_is_refused(tmp_path):
    text = tensorize.prepare("text", {"text": "one two\nthree\n"}, level="word")
    hours = {"at": [f"2024-01-01 {hour:02}:00:00" for hour in range(8)], "a": [float(hour) for hour in range(8)]}
    index = tensorize.prepare("series", hours, time="at", window=3, encode="index")
    for ts in (text, index):
        with pytest.raises(UsageError, match=r"holds samples.*write \.h5 instead"):
            ts.save(tmp_path / "x.tar")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_into_its_names_and_numbers_is_refused():
    def refusal(*specs, pictures="npy"):
        return WebDataset(pictures).refusal(layout(specs))

    good = TensorSpec("a", (2, 3), "float32", ("row", "x"), "input")
    assert refusal(good) == ""
    assert "case" in refusal(good, replace(good, name="A"))
    assert "long" in refusal(replace(good, name="a" * 90))
    assert "8 GiB" in refusal(replace(good, shape=(1, 3 << 30)))
    picture = TensorSpec("images", (2, 3, 4, 4), "uint8", ("row", "channel", "height", "width"), "input")
    assert refusal(picture, pictures="png") == ""
    assert "no pictures" in refusal(good, pictures="png")
    assert "--dtype uint8" in refusal(replace(picture, dtype="float32"), pictures="png")
    assert "has 2" in refusal(replace(picture, shape=(2, 2, 4, 4)), pictures="png")


def test_it_is_written_only_and_says_what_reads_it(tmp_path):
    plan = layout([TensorSpec("a", (2, 3), "float32", ("row", "x"), "input")])
    path = written(tmp_path / "x.tar", plan, {"a": np.zeros((2, 3), np.float32)})
    with pytest.raises(UsageError, match="does not read them") as caught:
        tensorize.read(path)
    line = caught.value.hint.partition("in Python: ")[2].partition("\n")[0]
    assert len(list(eval(line, {"webdataset": webdataset}))) == 2


def test_another_archive_is_not_ours(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    for _ in range(2):
        with pytest.raises(DataError, match="was not written by tensorize"):
            WebDataset().verify(path)
        path.write_bytes(b"")
