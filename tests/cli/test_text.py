"""Terminals and pipes whose encoding lacks what is said; and help that is read line by line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from conftest import Command
from tensorize_cli.text import HANDLER, LIKE, any_encoding, encodable

CALLS = {
    "ascii": [
        ("--help",),
        ("wine", "--help"),
        ("größe.csv",),
        ("table", "größe.csv", "--target", "y", "--split", "0.8,0.1,0.1", "-v", "-o", "größe.h5"),
        ("inspect", "größe.h5"),
        ("train", "größe.h5", "--model", "linear", "--epochs", "1", "-o", "m.pt"),
        ("evaluate", "m.pt", "größe.h5"),
        ("apply", "größe.h5", "größe.csv", "--dry-run", "-o", "x.h5"),
    ],
    "latin-1": [("größe.csv",), ("table", "--help")],
    "cp437": [("größe.csv",), ("table", "größe.csv", "-o", "x.h5")],
}


@pytest.fixture(autouse=True)
def table(tmp_path: Path) -> None:
    rows = "".join(f"{row},{('Köln', 'Рим')[row % 2]},{row / 2}\n" for row in range(40))
    (tmp_path / "größe.csv").write_text("größe,städt,y\n" + rows, encoding="utf-8")


@pytest.mark.parametrize("encoding", CALLS)
def test_every_command_takes_any_encoding(tensorize: Command, encoding: str) -> None:
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for call in CALLS[encoding]:
        done = tensorize(*call, env=env, encoding=encoding)
        assert done.returncode == 0, (call, done.stderr)
    done = tensorize("table", "größe.csv", "--drop", "größer", "-o", "y.h5", env=env, encoding=encoding)
    assert done.returncode == 2
    assert "there is no column" in done.stderr


def test_signs_are_replaced_by_what_looks_like_them(tensorize: Command, samples: Path) -> None:
    done = tensorize("wine", samples / "wine-synthetic.csv", "-o", "x.h5", env={"PYTHONIOENCODING": "ascii"})
    assert "1,000 rows x 12 columns" in done.stdout
    assert "class index of quality: 0...9" in done.stdout
    assert "?" not in done.stdout


def test_json_says_the_same_in_any_encoding(tensorize: Command) -> None:
    assert tensorize("table", "größe.csv", "-o", "a.h5").returncode == 0
    for flags in (("--recipe",), ("--json",)):
        said = [tensorize("inspect", "a.h5", *flags, env={"PYTHONIOENCODING": code}).stdout for code in ("utf-8", "ascii")]
        assert json.loads(said[0]) == json.loads(said[1])


def test_the_handler_knows_its_signs_and_escapes_the_rest() -> None:
    any_encoding()
    for sign, like in LIKE.items():
        assert sign.encode("ascii", HANDLER) == like.encode("ascii")
    assert "1×2 ö\ud800".encode("ascii", HANDLER) == rb"1x2 \xf6\ud800"
    assert "×ö…".encode("latin-1", HANDLER) == b"\xd7\xf6..."
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    assert json.loads(encodable('"ö😀"', stream)) == "ö😀"
    assert encodable('"o"', stream) == '"o"'


def test_a_call_without_arguments_prints_the_help(warm: Command) -> None:
    done = warm()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == warm("--help").stdout
    assert "\\n" not in done.stderr
    assert "error" not in done.stderr.partition("\n")[0]


def test_help_is_a_command_too(warm: Command) -> None:
    assert warm("help").stdout == warm("--help").stdout
    assert warm("help", "apply").stdout == warm("apply", "--help").stdout
    assert warm("help", "aply").returncode == 2
