"""Prepared files and models in an object store: what commands write there appears whole, and is read from there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from outputs import bytes_of, content_of
from servers import bucket, moto

from tensorize import prepare, read
from tensorize.core.errors import UsageError

TABLE = "a,b,y\n" + "".join(f"{row},{row * 7 % 13},{row % 2}\n" for row in range(200))


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, Any]]:
    pytest.importorskip("moto", reason="moto is not installed")
    with moto() as endpoint:
        yield endpoint, bucket(endpoint, "outputs")


@pytest.fixture
def run(store: tuple[str, Any], warm: Command, tmp_path: Path) -> Command:
    (tmp_path / "d.csv").write_text(TABLE)
    env = {
        "AWS_ENDPOINT_URL": store[0],
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hidden-key",
        "AWS_REGION": "us-east-1",
    }

    def command(*args: str) -> Any:
        done = warm(*args, env=env)
        assert "tensorize-copy" not in done.stdout + done.stderr
        return done

    return command


def content(store: tuple[str, Any], key: str) -> bytes:
    with store[1].open_input_stream(f"outputs/{key}") as stream:
        return bytes(stream.read())


def test_a_file_is_written_read_and_used_there(run: Command, store: tuple[str, Any], tmp_path: Path) -> None:
    assert run("table", "d.csv", "--target", "y", "--split", "0.7,0.3", "-o", "local.h5").returncode == 0
    done = run("table", "d.csv", "--target", "y", "--split", "0.7,0.3", "-o", "s3://outputs/a/x.h5")
    assert done.returncode == 0, done.stderr
    assert "s3://outputs/a/x.h5" in done.stdout
    assert "next: tensorize inspect s3://outputs/a/x.h5" in done.stdout
    assert content(store, "a/x.h5") == (tmp_path / "local.h5").read_bytes()
    for call in (
        ("inspect", "s3://outputs/a/x.h5"),
        ("verify", "s3://outputs/a/x.h5", "local.h5"),
        ("convert", "s3://outputs/a/x.h5", "s3://outputs/a/x.pt"),
        ("apply", "s3://outputs/a/x.h5", "d.csv", "-o", "s3://outputs/a/y.h5"),
        ("train", "s3://outputs/a/x.h5", "--model", "linear", "--epochs", "1", "-o", "s3://outputs/a/model.pt"),
        ("evaluate", "s3://outputs/a/model.pt", "s3://outputs/a/x.h5"),
        ("predict", "s3://outputs/a/model.pt", "d.csv", "-o", "s3://outputs/a/p.csv"),
    ):
        done = run(*call)
        assert done.returncode == 0, (call, done.stderr)
    assert content(store, "a/p.csv").count(b"\n") == 201
    assert b"tensorize-copy" not in content(store, "a/model.pt") + content(store, "a/y.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "local.h5"]


def test_a_folder_that_is_a_set_is_written_and_replaced_there(run: Command, store: tuple[str, Any], tmp_path: Path) -> None:
    from pyarrow import fs

    address, split = "s3://outputs/z/x.zarr", ("--split", "0.7,0.3")
    assert run("table", "d.csv", *split, "-o", "local.zarr").returncode == 0
    assert run("table", "d.csv", *split, "-o", address).returncode == 0

    def stored() -> dict[str, bytes]:
        infos = store[1].get_file_info(fs.FileSelector("outputs/z", recursive=True))
        keys = [info.path.removeprefix("outputs/z/") for info in infos if info.type == fs.FileType.File]
        return {key.removeprefix("x.zarr/"): content(store, f"z/{key}") for key in keys}

    local = content_of(tmp_path / "local.zarr")
    assert stored() == local
    for call in (("inspect", address), ("verify", address), ("convert", address, "back.zarr")):
        done = run(*call)
        assert done.returncode == 0, (call, done.stderr)
    assert bytes_of(tmp_path / "back.zarr") == bytes_of(tmp_path / "local.zarr")
    done = run("table", "d.csv", "-o", address)
    assert (done.returncode, "exists" in done.stderr) == (2, True)
    assert stored() == local
    assert run("table", "d.csv", "-o", address, "--force").returncode == 0
    assert run("table", "d.csv", "-o", "whole.zarr").returncode == 0
    assert stored() == content_of(tmp_path / "whole.zarr")


def test_an_object_is_not_replaced_without_force(run: Command, store: tuple[str, Any]) -> None:
    assert run("table", "d.csv", "-o", "s3://outputs/b.h5").returncode == 0
    before = content(store, "b.h5")
    done = run("table", "d.csv", "--target", "y", "-o", "s3://outputs/b.h5")
    assert done.returncode == 2
    assert "s3://outputs/b.h5 exists" in done.stderr
    assert content(store, "b.h5") == before
    assert run("table", "d.csv", "--target", "y", "-o", "s3://outputs/b.h5", "--force").returncode == 0
    assert content(store, "b.h5") != before


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("table", "d.csv", "--missing", "nonsense=1", "-o", "s3://outputs/c.h5"), 2),
        (("table", "d.csv", "--dry-run", "-o", "s3://outputs/c.h5"), 0),
        (("table", "d.csv", "-o", "s3://outputs/c.nonsense"), 2),
        (("table", "d.csv", "-o", "s3://outputs"), 2),
        (("table", "d.csv", "-o", "s3://missing-bucket/c.h5"), 2),
        (("table", "d.csv", "-o", "https://example.org/c.h5"), 2),
        (("inspect", "s3://outputs/none.h5"), 2),
    ],
)
def test_nothing_appears_where_a_command_fails(run: Command, store: tuple[str, Any], call: tuple[str, ...], code: int) -> None:
    from pyarrow import fs

    done = run(*call)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    keys = [info.path for info in store[1].get_file_info(fs.FileSelector("outputs", recursive=True))]
    assert not [key for key in keys if "/c." in key]


def test_the_json_names_the_address(run: Command) -> None:
    done = run("table", "d.csv", "-o", "s3://outputs/j.h5", "--json")
    assert json.loads(done.stdout)["output"]["path"] == "s3://outputs/j.h5"


def test_python_writes_and_reads_there_too(store: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ENDPOINT_URL": store[0], "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    (tmp_path / "d.csv").write_text(TABLE)
    made = prepare("table", tmp_path / "d.csv", out="s3://outputs/python.h5")
    with read("s3://outputs/python.h5") as found:
        assert found.equals(made)
    made.close()
    with pytest.raises(UsageError, match=r"s3://outputs/python\.h5 exists"):
        found.recipe.apply(tmp_path / "d.csv", out="s3://outputs/python.h5")
