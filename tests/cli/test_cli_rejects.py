"""`--on-bad skip --max-bad N --rejects FILE` from the shell, for every loader: what is listed, what is said, the exit codes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Command
from follow import follow, last_line

from tensorize.core import registry


@dataclass(frozen=True)
class Case:
    """A clean sample, what is done to it, and what must be listed: (place, line, column, row, kind, raw), in order."""

    sample: str
    spoil: Callable[[Path], None]
    flags: tuple[str, ...]
    noun: str
    listed: tuple[tuple[str, int | None, str | None, int, str, str], ...]


def lines(changed: Mapping[int, Callable[[bytes], bytes]]) -> Callable[[Path], None]:
    """Change lines of a file, by their 1-based numbers."""

    def spoil(path: Path) -> None:
        held = path.read_bytes().split(b"\n")
        for number, change in changed.items():
            held[number - 1] = change(held[number - 1])
        path.write_bytes(b"\n".join(held))

    return spoil


def cell(index: int, value: bytes, mark: bytes = b",") -> Callable[[bytes], bytes]:
    def change(line: bytes) -> bytes:
        cells = line.split(mark)
        return mark.join([*cells[:index], value, *cells[index + 1 :]])

    return change


def pictures(folder: Path) -> None:
    whole = (folder / "disc/0001.png").read_bytes()
    (folder / "disc/cut.png").write_bytes(whole[:60])
    (folder / "disc/not.png").write_text("hello")


CASES = {
    "table": Case(
        "houses-synthetic.csv",
        lines(
            {
                9: lambda line: b"8,oak",
                5: cell(1, b"many"),
                7: cell(3, b"M\xfcnchen"),
                11: cell(3, b'"x"y'),
            }
        ),
        ("--missing", "median"),
        "rows",
        (
            ("", 7, "city", 5, "encoding", r"M\xfcnchen"),
            ("", 9, None, 7, "ragged", "8,oak"),
            ("", 11, None, 9, "quote", '"x"y'),
            ("", 5, "rooms", 3, "cast", "many"),
        ),
    ),
    "wine": Case(
        "wine-synthetic.csv",
        lines({4: lambda line: b"7.1;0.3", 6: cell(1, b"much", b";")}),
        (),
        "rows",
        (("", 4, None, 2, "ragged", "7.1;0.3"), ("", 6, "volatile acidity", 4, "cast", "much")),
    ),
    "series": Case(
        "meter-synthetic.csv",
        lines({4: cell(0, b"never"), 7: cell(1, b"much"), 9: lambda line: b"oops"}),
        ("--time", "stamp", "--step", "1h", "--gaps", "interpolate", "--window", "4"),
        "rows",
        (
            ("", 9, None, 7, "ragged", "oops"),
            ("", 7, "kwh", 5, "cast", "much"),
            ("", 4, "stamp", 2, "time", "never"),
        ),
    ),
    "bikes": Case(
        "bikes-synthetic.csv",
        lines({6: lambda line: b"6,too,short", 10: cell(1, b"2011-02-31"), 13: cell(10, b"warm")}),
        (),
        "rows",
        (
            ("", 6, None, 4, "ragged", "6,too,short"),
            ("", 13, "temp", 11, "cast", "warm"),
            ("", 10, "dteday", 8, "time", "2011-02-31"),
        ),
    ),
    "text": Case(
        "text-synthetic.txt",
        lines({2: lambda line: b"\xff\xfe", 7: lambda line: line + b"caf\xc3"}),
        ("--level", "word", "--encode", "ids"),
        "lines",
        (("", 2, None, 1, "encoding", r"\xff\xfe"), ("", 7, None, 6, "encoding", r"caf\xc3")),
    ),
    "images": Case(
        "shapes-synthetic",
        pictures,
        (),
        "images",
        (("/disc/cut.png", None, None, 16, "damaged", ""), ("/disc/not.png", None, None, 17, "format", "")),
    ),
}


def test_every_loader_has_its_case() -> None:
    assert {name for name, entry in registry.table("loaders").items() if entry.distribution == "tensorize"} == set(CASES)


@pytest.fixture(params=CASES)
def kind(request: pytest.FixtureRequest, tmp_path: Path, samples: Path) -> str:
    """A loader; `clean` and `bad` are its sample as it is, and spoiled."""
    case = CASES[request.param]
    for name in ("clean", "bad"):
        path = tmp_path / f"{name}{Path(case.sample).suffix}"
        copy = shutil.copytree if (samples / case.sample).is_dir() else shutil.copyfile
        copy(samples / case.sample, path)
    case.spoil(path)
    return str(request.param)


def check_list(case: Case, source: str, path: Path) -> None:
    found = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    short = [(item["path"], item["line"], item["column"], item["row"], item["kind"]) for item in found]
    assert short == [(source + place, *rest) for place, *rest, _ in case.listed]
    assert all(item["reason"] for item in found)
    assert [raw in item["raw"] for item, (*_, raw) in zip(found, case.listed, strict=True)] == [True] * len(found)


def test_within_the_limit_all_are_listed_and_the_run_is_done(tensorize: Command, tmp_path: Path, kind: str) -> None:
    case, suffix = CASES[kind], Path(CASES[kind].sample).suffix
    flags = ["--on-bad", "skip", "--max-bad", len(case.listed), "--rejects", "r.jsonl"]
    done = tensorize(kind, f"bad{suffix}", *case.flags, *flags, "-o", "x.h5")
    assert (done.returncode, done.stderr) == (0, "")
    check_list(case, f"bad{suffix}", tmp_path / "r.jsonl")
    kinds = Counter(kind for *_, kind, _ in case.listed)
    said = next(line for line in done.stdout.splitlines() if "skipped" in line)
    assert said.startswith(f"  skipped: {len(case.listed)} of ")
    assert all(part in said for part in (case.noun, "see r.jsonl", *(f"{count} {kind}" for kind, count in kinds.items())))
    told = json.loads(tensorize(kind, f"bad{suffix}", *case.flags, *flags, "-o", "x.h5", "--force", "--json").stdout)["rejects"]
    assert (told["count"], told["kinds"], told["path"]) == (len(case.listed), kinds, "r.jsonl")


def test_above_the_limit_all_are_listed_and_nothing_is_written(tensorize: Command, tmp_path: Path, kind: str) -> None:
    case, suffix = CASES[kind], Path(CASES[kind].sample).suffix
    flags = ["--on-bad", "skip", "--max-bad", len(case.listed) - 1, "--rejects", "r.jsonl"]
    done = tensorize(kind, f"bad{suffix}", *case.flags, *flags, "-o", "x.h5")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"are bad, and --max-bad is {len(case.listed) - 1}" in done.stderr
    check_list(case, f"bad{suffix}", tmp_path / "r.jsonl")
    assert not (tmp_path / "x.h5").exists()
    works, said = follow(last_line(done.stderr), tmp_path)
    assert works, said


def test_apply_lists_the_same(tensorize: Command, tmp_path: Path, kind: str) -> None:
    case, suffix = CASES[kind], Path(CASES[kind].sample).suffix
    assert tensorize(kind, f"clean{suffix}", *case.flags, "-o", "c.h5").returncode == 0
    apply = ["apply", "c.h5", f"bad{suffix}", "-o", "x.h5"]
    assert tensorize(*apply).returncode == 1
    done = tensorize(*apply, "--on-bad", "skip", "--max-bad", len(case.listed), "--rejects", "r.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    check_list(case, f"bad{suffix}", tmp_path / "r.jsonl")
    assert tensorize(*apply, "--force", "--on-bad", "skip", "--max-bad", len(case.listed) - 1).returncode == 1
