"""Names that mean harm: what files, columns and classes are called never reaches a terminal as it is."""

from __future__ import annotations

import csv
import shutil
import unicodedata
from itertools import cycle
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Command

CLEAR, TITLE = "\x1b[2J", "\x1b]0;mine\x07"
CLASSES = (f"{TITLE}red", "$\\frac{$", "_\u202egnp\x9b5m")
COLUMNS = (f"x{CLEAR}", "y\r\nz")
FILE = f"{CLEAR}raw.csv"


def plain(text: str) -> bool:
    """Whether a terminal shows it, and obeys nothing in it."""
    return all(char == "\n" or unicodedata.category(char)[0] != "C" for char in text)


@pytest.fixture
def raw(tmp_path: Path) -> str:
    """A table of three classes in a row of two numbers; all names are hostile. Its name, in `tmp_path`."""
    with (tmp_path / FILE).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, f"kind{TITLE}"])
        writer.writerows([index % 7, index % 5, CLASSES[index % 3]] for index in range(60))
    return FILE


@pytest.fixture
def model(warm: Command, raw: str) -> str:
    name = f"{TITLE}model.pt"
    prepared = warm("table", raw, "--target", f"kind{TITLE}", "--split", "0.6,0.2,0.2", "-o", f"{CLEAR}.h5")
    assert prepared.returncode == 0, prepared.stderr
    done = warm("train", f"{CLEAR}.h5", "--model", "mlp", "--epochs", 2, "-o", name)
    assert done.returncode == 0, done.stderr
    assert plain(done.stdout + done.stderr)
    return name


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_terminal_obeys_no_name(warm: Command, raw: str, model: str, tmp_path: Path, more: tuple[str, ...]) -> None:
    commands = [
        ("train", f"{CLEAR}.h5", "--model", "linear", "--epochs", 1, "-o", f"{CLEAR}.pt"),
        ("evaluate", model, f"{CLEAR}.h5"),
        ("predict", model, raw, "-o", f"{TITLE}.parquet"),
        ("plot", model, f"{CLEAR}.h5", "-o", f"{TITLE}.png"),
        ("export", model, f"{TITLE}.onnx"),
    ]
    for command in commands:
        done = warm(*command, *more)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stderr == "", command
        assert done.stdout
        assert plain(done.stdout), command
    found = pq.read_table(tmp_path / f"{TITLE}.parquet")
    assert set(found[f"kind{TITLE}"].to_pylist()) <= set(CLASSES)


def test_no_error_makes_a_terminal_obey(warm: Command, raw: str, model: str) -> None:
    ways: list[tuple[str, ...]] = [(), ("--json",), ("--debug",)]
    commands = [
        ("train", f"{CLEAR}.h5", "--model", f"{CLEAR}mlp"),
        ("train", f"{CLEAR}.h5", "--model", "mlp", "--set", f"{TITLE}=1"),
        ("train", f"{CLEAR}.h5", "--model", "mlp", "--loss", f"MSE{CLEAR}Loss"),
        ("train", raw, "--model", "mlp"),
        ("evaluate", model, f"{TITLE}.h5"),
        ("evaluate", raw, f"{CLEAR}.h5"),
        ("evaluate", model, f"{CLEAR}.h5", "--split", f"{CLEAR}val"),
        ("predict", model, f"{TITLE}.csv"),
        ("predict", model, raw, "-o", f"pred.{CLEAR}"),
        ("plot", model, "-o", f"curves.{CLEAR}"),
        ("export", model, f"{CLEAR}.pt"),
    ]
    for command, more in zip(commands, cycle(ways), strict=False):
        done = warm(*command, *more)
        assert done.returncode in (1, 2), (command, done.stdout)
        assert "unexpected" not in done.stdout + done.stderr, (command, done.stdout + done.stderr)
        assert plain(done.stdout + done.stderr), (command, done.stdout + done.stderr)


def test_folders_and_pictures_of_any_name(warm: Command, samples: Path, tmp_path: Path) -> None:
    for index, name in enumerate(sorted(path.name for path in (samples / "shapes-synthetic").iterdir())):
        folder = tmp_path / "pictures" / CLASSES[index]
        folder.mkdir(parents=True)
        for path in sorted((samples / "shapes-synthetic" / name).iterdir())[:6]:
            shutil.copy(path, folder / f"{TITLE}{path.name}")
    done = warm("images", "pictures", "--split", "0.6,0.4", "--stratify", "-o", "pictures.h5")
    assert done.returncode == 0, done.stderr
    for command in (
        ("train", "pictures.h5", "--model", "cnn", "--epochs", 1, "-o", "model.pt"),
        ("evaluate", "model.pt", "pictures.h5"),
        ("plot", "model.pt", "pictures.h5"),
        ("predict", "model.pt", "pictures", "-o", "pred.parquet"),
    ):
        done = warm(*command)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", command
        assert plain(done.stdout), command
    assert f"{CLASSES[0]}/{TITLE}" in pq.read_table(tmp_path / "pred.parquet")["path"][0].as_py()
