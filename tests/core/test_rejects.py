"""The list of what was left out: whole or not at all, safe to print, and of bounded memory."""

from __future__ import annotations

import json
import resource
import tracemalloc
from pathlib import Path

import pytest
from conftest import Command

from tensorize import prepare
from tensorize.core import registry
from tensorize.core.errors import DataError, UsageError
from tensorize.core.rejects import RAW_CHARS, Reject, Rejects, TooManyBadError, allowed
from tensorize.storage.rejects import collecting


def bad(row: int, raw: str = "a,b,c") -> Reject:
    return Reject("a.csv", "ragged", "3 cells, not 2", row=row, line=row + 2, raw=raw)


@pytest.mark.parametrize(
    ("limit", "seen", "count"),
    [("0.5%", 200, 1), ("0.5%", 199, 0), ("100%", 7, 7), ("0", 9, 0), ("12", 9, 12), (".1%", 3000, 3), (" 5 % ", 20, 1)],
)
def test_a_limit_is_a_count_or_an_exact_share(limit: str, seen: int, count: int) -> None:
    assert allowed(limit, seen) == count


@pytest.mark.parametrize("limit", ["", "%", "-1", "0.5", "101%", "1e3", "half", "٣", "1.5.2%", "nan%"])
def test_anything_else_is_no_limit(limit: str) -> None:
    with pytest.raises(UsageError, match="no limit"):
        allowed(limit, 100)


def test_the_file_appears_as_the_run_succeeds_and_is_empty_where_nothing_is_bad(tmp_path: Path) -> None:
    target = tmp_path / "bad.jsonl"
    with collecting(skip=True, limit="0", path=target) as rejects:
        rejects.saw(10)
        rejects.check()
        assert not target.exists()
    assert target.read_bytes() == b""


def fail(target: Path, error: BaseException | None, *, force: bool = False) -> None:
    """A run of ten rows, two of them bad, one of which is allowed; it ends with `error` where there is one."""
    with collecting(skip=True, limit="1", path=target, force=force) as rejects:
        rejects.saw(10, "row")
        rejects.add(bad(3))
        rejects.add(bad(5))
        if error is not None:
            raise error
        rejects.check()


def test_the_file_appears_where_too_much_is_bad_for_it_tells_what(tmp_path: Path) -> None:
    target = tmp_path / "bad.jsonl"
    with pytest.raises(TooManyBadError, match=r"2 of 10 rows \(20%\) are bad, and --max-bad is 1") as error:
        fail(target, None)
    assert str(target) in error.value.hint
    assert [json.loads(line)["line"] for line in target.read_text().splitlines()] == [5, 7]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("something other"), MemoryError()])
def test_no_file_appears_where_the_run_fails_for_anything_else(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail(tmp_path / "bad.jsonl", error)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_with_force_only_and_only_by_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "bad.jsonl"
    target.write_text("old")
    with pytest.raises(UsageError, match="exists"):
        fail(target, None)
    with pytest.raises(DataError, match="other"):
        fail(target, DataError("something other"), force=True)
    assert target.read_text() == "old"
    with pytest.raises(TooManyBadError):
        fail(target, None, force=True)
    assert len(target.read_text().splitlines()) == 2


def test_raw_text_is_ascii_in_the_file_and_cannot_command_a_terminal() -> None:
    raw = "\x1b[2J\x7f\x9b\u202e\udcff\ud800 ö" + "x" * RAW_CHARS
    line = bad(1, raw).to_json()
    assert line.isascii()
    assert line.isprintable()
    told = json.loads(line)["raw"]
    assert told.startswith("\x1b[2J\x7f\x9b\u202e\\xff\\ud800 ö")
    assert len(told) < RAW_CHARS + 20
    assert str(bad(1, raw)).isprintable()
    assert len(str(bad(1, raw))) < 200


@pytest.mark.parametrize(("count", "share"), [(1000, "100%"), (999, "100%"), (5, "0.5%"), (145, "14%")])
def test_a_share_is_a_plain_number(count: int, share: str) -> None:
    rejects = Rejects(skip=True)
    rejects.saw(1000, "row")
    for row in range(count):
        rejects.add(bad(row))
    assert rejects.said() == f"{count:,} of 1,000 rows ({share}) are"


def test_memory_does_not_grow_with_what_is_bad(tmp_path: Path) -> None:
    with collecting(skip=True, limit="100%", path=tmp_path / "bad.jsonl") as rejects:
        rejects.add(bad(0))
        tracemalloc.start()
        for row in range(100_000):
            rejects.add(bad(row, "x" * 100))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 << 20
    assert len((tmp_path / "bad.jsonl").read_bytes().splitlines()) == 100_001


def test_without_skip_nothing_is_left_out_and_nothing_can_be_listed() -> None:
    assert not Rejects().skip
    with pytest.raises(UsageError, match="--rejects lists what --on-bad skip leaves out"):
        prepare("table", {"a": [1.0]}, rejects="bad.jsonl")


SAMPLES = {
    "table": ("houses-synthetic.csv", {"target": "price", "missing": "median", "split": "0.8,0.2"}),
    "wine": ("wine-synthetic.csv", {"split": "0.8,0.1,0.1"}),
    "series": ("meter-synthetic.csv", {"time": "stamp", "step": "1h", "gaps": "interpolate", "window": 24}),
    "bikes": ("bikes-synthetic.csv", {"onehot": "weathersit"}),
    "text": ("text-synthetic.txt", {"level": "word", "encode": "ids", "split": "0.8,0.2"}),
    "images": ("shapes-synthetic", {"split": "0.75,0.25", "stratify": True}),
}


def test_every_loader_is_tried() -> None:
    built_in = {name for name, entry in registry.table("loaders").items() if entry.distribution == "tensorize"}
    assert built_in == set(SAMPLES)


@pytest.mark.parametrize("kind", SAMPLES)
def test_where_nothing_is_bad_skip_changes_no_bit(kind: str, samples: Path) -> None:
    name, options = SAMPLES[kind]
    plain = prepare(kind, samples / name, **options)
    skipping = prepare(kind, samples / name, on_bad="skip", **options)
    assert {key: plain.numpy(key).tobytes() for key in plain} == {key: skipping.numpy(key).tobytes() for key in skipping}
    assert plain.recipe.learned == skipping.recipe.learned


BAD_LINES = b"good line\n" * 4 + (b"\xff" * 200 + b"\n") * 20_000
TEXT = ["text", "t.txt", "--on-bad", "skip", "--max-bad", "100%", "--rejects", "bad.jsonl", "-o", "t.h5"]


def test_a_list_that_finds_no_room_leaves_nothing_behind(tensorize: Command, tmp_path: Path) -> None:
    """The output would fit within the limit of a file's size, the list of what was left out does not."""
    (tmp_path / "t.txt").write_bytes(BAD_LINES)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, 5 << 20))  # noqa: E731
    done = tensorize(*TEXT, preexec_fn=limit)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: bad.jsonl cannot be written: File too large")
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]
    assert tensorize(*TEXT).returncode == 0
    assert len((tmp_path / "bad.jsonl").read_bytes().splitlines()) == 20_000


def test_a_dry_run_counts_and_lists_nothing(tensorize: Command, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"good\n\xff\n")
    done = tensorize(*TEXT, "--dry-run")
    assert "skipped: 1 of 2 lines (50%) is bad: 1 encoding" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_two_runs_do_not_write_one_list(tensorize: Command, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"good\n\xff\n")
    with collecting(skip=True, limit="9", path=tmp_path / "bad.jsonl") as rejects:
        rejects.add(bad(1))
        done = tensorize(*TEXT)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: another run is writing bad.jsonl")
    assert len((tmp_path / "bad.jsonl").read_bytes().splitlines()) == 1
    assert not (tmp_path / "t.h5").exists()


def test_the_calls_that_make_no_sense_are_wrong(tensorize: Command, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"good\n")
    for flags, said in (
        (["--rejects", "bad.jsonl"], "--rejects lists what --on-bad skip leaves out"),
        (["--max-bad", "3"], "nothing bad is left out without --on-bad skip"),
        (["--on-bad", "skip", "--max-bad", "half"], '"half" is no limit'),
        (["--on-bad", "skip", "--rejects", "t.h5"], "cannot be both"),
        (["--on-bad", "skip", "--rejects", "none/bad.jsonl"], "the folder none does not exist"),
    ):
        done = tensorize("text", "t.txt", *flags, "-o", "t.h5")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]
