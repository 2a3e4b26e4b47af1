"""No command writes over what it reads."""

import os
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image

import tensorize
from tensorize import UsageError
from tensorize.sources.targets import check_targets, default_out

TABLE = b"x,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(40))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "data.h5"  # of a name that an output may have
    path.write_bytes(TABLE)
    return path


def link(path: Path) -> Path:
    other = path.with_name("link.h5")
    other.symlink_to(path)
    return other


def hard(path: Path) -> Path:
    other = path.with_name("hard.h5")
    os.link(path, other)
    return other


@pytest.mark.parametrize("target", [lambda path: path, link, hard, lambda path: path.parent / "." / path.name])
@pytest.mark.parametrize(
    "flags", [["-o", "{}"], ["-o", "out.h5", "--on-bad", "skip", "--rejects", "{}"]], ids=["out", "rejects"]
)
def test_a_source_is_not_overwritten(tensorize: Command, source: Path, target, flags: list[str]) -> None:
    path = target(source)
    words = [flag.format(path) for flag in flags]
    for given in (source, "*.h5"):
        done = tensorize("table", given, *words, "--force")
        assert (done.returncode, "is an input, and would be overwritten" in done.stderr) == (2, True), done.stderr
        assert source.read_bytes() == TABLE


def test_nothing_is_written_into_a_folder_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "d" / "a").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "d" / "a" / "0.png")
    for out in ("d/x.h5", "d/a/x.h5", "d/a/../x.h5"):
        with pytest.raises(UsageError, match="the folder that is read"):
            tensorize.prepare("images", tmp_path / "d", out=tmp_path / out)
    assert [path.name for path in sorted((tmp_path / "d").rglob("*"))] == ["a", "0.png"]
    tensorize.prepare("images", tmp_path / "d", out=tmp_path / "x.h5")


def test_files_that_other_commands_read_stay_too(tensorize: Command, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(TABLE)
    assert tensorize("table", "t.csv", "--target", "y", "--split", "0.8,0.2", "-o", "t.h5").returncode == 0
    assert tensorize("train", "t.h5", "--model", "linear", "--epochs", "1", "--device", "cpu", "-o", "m.pt").returncode == 0
    (tmp_path / "m.csv").hardlink_to(tmp_path / "m.pt")
    kept = {name: (tmp_path / name).read_bytes() for name in ("t.csv", "t.h5", "m.pt")}
    for command in (
        ["apply", "t.h5", "t.csv", "-o", "t.h5"],
        ["apply", "t.h5", "t.csv", "-o", "x.h5", "--on-bad", "skip", "--rejects", "t.csv"],
        ["train", "t.h5", "--model", "linear", "-o", "t.h5"],
        ["predict", "m.pt", "t.csv", "-o", "t.csv"],
        ["predict", "m.pt", "t.csv", "-o", "m.csv"],
        ["inspect", "t.h5", "--recipe", "-o", "t.h5"],
        ["plot", "m.pt", "-o", "m.pt"],
        ["export", "m.pt", "m.onnx"],
    ):
        if command[0] == "export":
            (tmp_path / "m.onnx").hardlink_to(tmp_path / "m.pt")
        done = tensorize(*command, "--force")
        assert (done.returncode, "is an input, and would be overwritten" in done.stderr) == (2, True), (command, done.stderr)
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept


def test_inside_a_folder_that_is_read_the_default_is_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cats/small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert default_out(["cats"]) == Path("cats.h5")
    monkeypatch.chdir(tmp_path / "cats")
    assert default_out(["."]) == Path("../cats.h5")
    assert default_out(["small"]) == Path("small.h5")
    monkeypatch.chdir(tmp_path / "cats/small")
    assert default_out([".."]) == Path("../../cats.h5")
    with pytest.raises(UsageError, match=r"such as -o \.\./\.\./x\.h5"):
        check_targets(["x.h5"], "..")
