"""Input that changes while it is read: the run is refused, and no output appears."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image

from tensorize import pipeline, prepare
from tensorize.core.errors import DataError
from tensorize.sources.changes import HEAD_BYTES
from tensorize.sources.files import resolve

ROWS = 60_000
Change = Callable[[Path], None]


def table(path: Path, rows: int = ROWS) -> Path:
    path.write_text("a,b\n" + "".join(f"{row},{row % 7}\n" for row in range(rows)))
    return path


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("7,7\n")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path: Path) -> None:
    """The same size, another last number."""
    with path.open("r+") as file:
        file.seek(path.stat().st_size - 2)
        file.write("9")


def replace(path: Path) -> None:
    """Another file of the same size and time takes its name."""
    status, other = path.stat(), path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


class Once:
    """A progress callback that changes a file when a stage is first told of."""

    def __init__(self, stage: str, change: Change, path: Path) -> None:
        self.stage, self.change, self.path, self.done = stage, change, path, False

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage == self.stage and not self.done:
            self.done = True
            self.change(self.path)


@pytest.mark.parametrize("change", [append, cut, overwrite])
def test_a_table_that_changes_while_it_is_parsed(tmp_path: Path, change: Change) -> None:
    source = table(tmp_path / "d.csv")
    once = Once("parse", change, source)
    with pytest.raises(DataError, match="has changed while it was read"):
        prepare("table", source, out=tmp_path / "d.h5", chunk_bytes=4096, threads=1, progress=once)
    assert once.done
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]


@pytest.mark.parametrize("change", [append, cut, overwrite, replace])
def test_a_file_that_changes_before_its_turn(tmp_path: Path, change: Change) -> None:
    first, second = table(tmp_path / "1.csv"), table(tmp_path / "2.csv")
    once = Once("parse", change, second)
    with pytest.raises(DataError, match=r"2\.csv has changed"):
        prepare("table", [first, second], progress=once)
    assert once.done


def test_a_compressed_table_that_changes_while_it_is_parsed(tmp_path: Path) -> None:
    source = tmp_path / "d.csv.gz"
    source.write_bytes(gzip.compress(table(tmp_path / "d.csv").read_bytes(), 0))
    with pytest.raises(DataError, match="has changed"):
        prepare("table", source, chunk_bytes=4096, threads=1, progress=Once("parse", cut, source))


@pytest.mark.parametrize("change", [append, cut, overwrite])
def test_a_series_that_changes_while_it_is_parsed(tmp_path: Path, change: Change) -> None:
    source = tmp_path / "s.csv"
    source.write_text(
        "t,x\n" + "".join(f"{1900 + n // 336}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02},{n}\n" for n in range(20_000))
    )
    with pytest.raises(DataError, match="has changed"):
        prepare("series", source, fold=20, chunk_bytes=4096, threads=1, drop="t", progress=Once("parse", change, source))


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("change", [append, cut, overwrite])
def test_a_text_that_changes_while_it_is_read(tmp_path: Path, change: Change, level: str) -> None:
    source = table(tmp_path / "t.txt")
    once = Once("read", change, source)
    with pytest.raises(DataError, match="has changed"):
        prepare("text", source, level=level, encode="ids", chunk_bytes=4096, threads=1, progress=once)
    assert once.done


def test_a_beginning_that_changes_within_one_tick_of_the_clock(tmp_path: Path) -> None:
    """Size, time and inode are what they were; the bytes that were looked at first are not."""
    source = table(tmp_path / "d.csv")
    (file,) = resolve(source)
    status = source.stat()
    with file.open() as stream:
        assert stream.read(HEAD_BYTES).startswith(b"a,b")
    with source.open("r+") as other:
        other.write("b,a")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError, match="has changed"), file.open() as stream:
        stream.read()


def test_what_stays_as_it_is_is_read_as_often_as_one_likes(tmp_path: Path) -> None:
    source = table(tmp_path / "d.csv")
    (file,) = resolve(source)
    read = []
    for size in (-1, 1, HEAD_BYTES, 100_000, 5):
        with file.open() as stream:
            read.append(b"".join(iter(lambda stream=stream, size=size: stream.read(size), b"")))
    assert set(read) == {source.read_bytes()}


def bitmaps(folder: Path) -> Path:
    folder.mkdir()
    for name in "abcd":
        Image.new("RGB", (1200, 1200)).save(folder / f"{name}.bmp")
    return folder


def days(path: Path) -> Path:
    path.write_text("t,x\n" + "".join(f"{1900 + n // 336}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02},{n}\n" for n in range(60_000)))
    return path


def zipped(path: Path) -> Path:
    path.write_bytes(gzip.compress(table(path.with_suffix("")).read_bytes(), 0))
    return path


APPLIED = {
    # what it is: (kind, options, the stage in which it changes, the input, the file that changes)
    "table": ("table", {"target": "b"}, "parse", table, ""),
    "gz": ("table", {"target": "b"}, "parse", zipped, ""),
    "series": ("series", {"fold": 20, "drop": "t"}, "parse", days, ""),
    "text": ("text", {"level": "word", "encode": "ids"}, "read", table, ""),
    "images": ("images", {"dtype": "uint8"}, "decode", bitmaps, "d.bmp"),
}


@pytest.mark.parametrize("skip", [{}, {"on_bad": "skip", "max_bad": "100%"}], ids=["error", "skip"])
@pytest.mark.parametrize("how", ["apply", "stream"])
@pytest.mark.parametrize("what", APPLIED)
def test_input_that_changes_while_a_recipe_is_applied(tmp_path: Path, what: str, how: str, skip: dict[str, str]) -> None:
    """`stream` is what `predict` reads with. What is left out under `--on-bad skip` is what is bad, not what has changed."""
    kind, options, stage, make, part = APPLIED[what]
    source = make(tmp_path / ("d.csv.gz" if make is zipped else "d"))
    recipe = prepare(kind, source, **options).recipe
    once = Once(stage, cut, source / part if part else source)

    def go() -> None:
        if how == "apply":
            recipe.apply(source, out=tmp_path / "x.h5", progress=once, threads=1, chunk_bytes=4096, **skip)
            return
        run = pipeline.make_run(threads=1, chunk_bytes=4096, progress=once)
        with pipeline.stream(recipe, source, run, pipeline.Output(), skip) as stream:
            list(stream.pieces)

    with pytest.raises(DataError, match="has changed while it was read"):
        go()
    assert once.done
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".h5", ".part")]


def test_the_command_says_what_has_changed_and_writes_nothing(tmp_path: Path) -> None:
    """A writer that goes on appending, as a logger does."""
    source = table(tmp_path / "log.csv", 400_000)
    writer = f"f = open({str(source)!r}, 'a', buffering=1)\nwhile True: f.write('1,1\\n')"
    logger = subprocess.Popen([sys.executable, "-c", writer])
    try:
        while source.stat().st_size == table_size(400_000):
            pass
        command = [str(Path(sys.executable).with_name("tensorize")), "table", str(source), "-o", "log.h5"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        logger.kill()
        logger.wait()
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"error: {source} has changed while it was read")
    assert not (tmp_path / "log.h5").exists()


def table_size(rows: int) -> int:
    return 4 + sum(len(f"{row},0\n") for row in range(rows))


def test_a_pipe_is_read_once_and_kept(tensorize: Command, tmp_path: Path) -> None:
    source = table(tmp_path / "d.csv", 200_000)
    expected = tensorize("table", source, "-o", "a.h5", "--scale", "none")
    assert expected.returncode == 0, expected.stderr
    command = f"'{Path(sys.executable).with_name('tensorize')}' table <(cat d.csv) --scale none -o b.h5"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
