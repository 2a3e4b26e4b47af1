"""What comes out of input — names of files, folders and columns, cells, words, messages of libraries — obeys no terminal."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image

from tensorize import prepare

EVIL = "\x1b]2x\x07\x1b[2J\u202e\x9b1A\x08\x7f\u2028"
"""Sets a title, clears the screen, turns the direction of what follows, goes up a line, takes a character back."""
Check = Callable[..., int]
FLAGS = ([], ["-v"], ["--dry-run"], ["--json"], ["--debug"], ["-q"])


def unsafe(text: str) -> set[str]:
    return {char for char in text if char not in "\n " and not char.isprintable()}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Input of each kind, everything in it and around it hostile; `bad-` ones cannot be read as they are."""
    made = {
        name: tmp_path / f"{name}{EVIL}.csv" for name in ("table", "bad-table", "series", "bad-series", "ragged", "headless")
    }
    made["table"].write_text(f"n,{EVIL}w\n" + "".join(f"{row},{EVIL}{row % 3}\n" for row in range(9)))
    made["bad-table"].write_text(f"n,{EVIL}w\n1,{EVIL}\n{EVIL},2\n3,\n" + "4,5\n" * 9)
    made["ragged"].write_text(f"n,{EVIL}w\n1,{EVIL}\n{EVIL}\n3,4,{EVIL}\n")
    made["headless"].write_text(f"{EVIL},{EVIL}\n")
    hours = [f"2024-01-01 {hour:02}:00" for hour in range(24)]
    made["series"].write_text(f"t,{EVIL}x\n" + "".join(f"{hour},{row}\n" for row, hour in enumerate(hours)))
    made["bad-series"].write_text(f"t,{EVIL}x\n{EVIL},1\n" + "".join(f"{hour},{row}\n" for row, hour in enumerate(hours)))
    made["text"], made["bad-text"] = tmp_path / f"t{EVIL}.txt", tmp_path / f"b{EVIL}.txt"
    made["text"].write_text(f"one {EVIL}two\nthree\n")
    made["bad-text"].write_bytes(f"one {EVIL}two\n".encode() + b"\xff\x1b[2J\n")
    for name in ("images", "bad-images"):
        made[name] = tmp_path / f"{name}{EVIL}"
        (made[name] / f"class{EVIL}").mkdir(parents=True)
        for row in range(3):
            Image.new("RGB", (4, 4), (row, 0, 0)).save(made[name] / f"class{EVIL}/{row}{EVIL}.png")
    (made["bad-images"] / f"class{EVIL}/4{EVIL}.tif").write_bytes(b"II*\0" + EVIL.encode())
    (made["bad-images"] / f"class{EVIL}/{EVIL}.png").write_text(EVIL)
    return made


KINDS = {
    "table": ("table", ()),
    "bad-table": ("table", ()),
    "ragged": ("table", ()),
    "headless": ("table", ()),
    "series": ("series", ("--time", "t", "--window", "3")),
    "bad-series": ("series", ("--time", "t", "--window", "3", "--gaps", "drop")),
    "text": ("text", ("--level", "word")),
    "bad-text": ("text", ("--level", "word")),
    "images": ("images", ()),
    "bad-images": ("images", ()),
}


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Check]:
    """Run a command in this process, since there are many of them; give its exit code once what it says was looked at."""
    from tensorize_cli.main import main

    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def run(*args: object) -> int:
        with pytest.raises(SystemExit) as end:
            main(list(map(str, args)))
        shown = capsys.readouterr()
        assert not unsafe(shown.out + shown.err), (args, shown)
        assert "unexpected" not in shown.out + shown.err, (args, shown)
        if "--json" in args and shown.out:
            json.loads(shown.out)
        return int(end.value.code or 0)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("name", KINDS)
def test_the_commands_that_prepare(check: Check, inputs: dict[str, Path], name: str) -> None:
    kind, options = KINDS[name]
    skip = ("--on-bad", "skip", "--max-bad", "90%", "--rejects", f"r{EVIL}.jsonl")
    for flags in FLAGS:
        code = check(kind, inputs[name], *options, "-o", f"o{EVIL}.h5", "--force", *flags)
        assert code == (0 if name in ("table", "series", "text", "images") else code or 1)
    for flags in ([], ["--json"]):
        check(kind, inputs[name], *options, *skip, "-o", f"o{EVIL}.h5", "--force", *flags)


@pytest.mark.parametrize("kind", ["table", "series", "text", "images"])
def test_the_commands_on_what_was_prepared(check: Check, inputs: dict[str, Path], tmp_path: Path, kind: str) -> None:
    made, options = tmp_path / f"made{EVIL}.h5", KINDS[kind][1]
    keywords = {flag.removeprefix("--"): value for flag, value in zip(options[::2], options[1::2], strict=True)}
    prepare(kind, inputs[kind], out=made, **keywords).close()
    torch = f"made{EVIL}.pt"
    for args in (["inspect", made], ["inspect", made, "-v"], ["inspect", made, "--recipe"], ["convert", made, torch]):
        assert check(*args) == 0
    for args in (["inspect", torch, "--json"], ["verify", made, torch], ["verify", made, "--json"]):
        assert check(*args) == 0
    assert check("inspect", made, "--recipe", "-o", f"r{EVIL}.json") == 0
    for flags in ([], ["-v"], ["--json"]):
        assert check("apply", f"r{EVIL}.json", inputs[kind], "-o", "a.h5", "--force", *flags) == 0
        check("apply", made, inputs[f"bad-{kind}"], "-o", "a.h5", "--force", *flags)
    for broken in (made, tmp_path / torch, tmp_path / f"r{EVIL}.json"):
        broken.write_bytes(broken.read_bytes()[:-9] + EVIL.encode())
        for args in (["inspect", broken], ["verify", broken], ["convert", broken, "x.pt"], ["apply", broken, inputs[kind]]):
            for flags in ([], ["--json"]):
                assert check(*args, *flags) in (1, 2)


def test_wrong_calls_and_what_is_not_there(check: Check, inputs: dict[str, Path], tmp_path: Path) -> None:
    table = inputs["table"]
    for args in (
        ["table", f"none{EVIL}.csv"],
        ["table", tmp_path],
        ["table", table, "--target", "nn"],
        ["table", table, "--onehot", f"{EVIL}w:a,{EVIL}"],
        ["table", table, "--where", f"{EVIL} > 3"],
        ["table", table, "--type", f"{EVIL}w:number"],
        ["table", table, "--encoding", EVIL],
        ["table", table, "-o", f"o.{EVIL}"],
        ["table", table, "-o", f"none{EVIL}/o.h5"],
        ["images", f"none{EVIL}"],
        ["text", inputs["images"]],
        ["fetch", EVIL],
        ["fetch", "wine", "--mirror", f"http://127.0.0.1:9/{EVIL}", "-o", f"got{EVIL}"],
        [f"table{EVIL}"],
        ["table", f"--{EVIL}"],
        ["inspect", f"none{EVIL}.h5"],
        ["verify", table],
    ):
        for flags in ([], ["--json"], ["--debug"]):
            assert check(*args, *flags) in (1, 2), args
    assert check("plugins") == check("plugins", "--json") == check("fetch") == 0


TITLE = "\x1b]2x\x07\u202e"
HOSTILE = f"""
[tensorize.loaders]
evil = evil:Loader{TITLE}
e\x1b[2Jvil = evil:Loader
"""


def test_a_plug_in_of_a_hostile_distribution(tensorize: Command, tmp_path: Path) -> None:
    """Names and summaries of other packages are input, too."""
    info = tmp_path / "path/evil-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: evil\x1b[2J\nVersion: 1\nSummary: does {TITLE}\n")
    (info / "entry_points.txt").write_text(HOSTILE)
    for args in (["plugins"], ["plugins", "--json"], ["--help"], ["evil", "x"], ["e\x1b[2Jvil", "x"], ["evli"]):
        shown = tensorize(*args, env={"PYTHONPATH": str(tmp_path / "path")})
        assert not unsafe(shown.stdout + shown.stderr), args
    assert "evil" in tensorize("plugins", env={"PYTHONPATH": str(tmp_path / "path")}).stdout
