"""Any size: memory stays within bounds whatever comes in or goes out. Peaks are measured in a process of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import ROOT
from PIL import Image
from pyarrow.csv import WriteOptions, write_csv

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the peak from")

SLACK = 120
"""MB by which the peak may grow while the input grows by 330 and what is made of it by up to four times as much.

The peak depends on how many pieces are under way at once, and on what allocators hold back: 20 to 80 from run to run.
"""

PEAK = """
import sys, tensorize
kind, source, out, options = sys.argv[1:5]
tensorize.prepare(kind, source, out=out, threads=2, max_size=1 << 40, **eval(options))
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""The kernel's own high-water mark of this process: `ru_maxrss` would count what its parent took before it, too."""


def peak(kind: str, source: Path, out: Path, options: dict[str, object]) -> int:
    """The peak memory of one job, in MB."""
    command = [sys.executable, "-c", PEAK, kind, source, out, repr(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out.unlink()
    return int(done.stdout)


def table(path: Path, megabytes: int) -> None:
    rng = np.random.default_rng(0)
    columns = zip(*rng.normal(size=(2, 20_000)), *rng.integers(0, 12, (2, 20_000)), strict=True)
    block = "".join(f"{a:.6f},{b:.6f},{c},word{d}\n" for a, b, c, d in columns)
    with path.open("w") as file:
        file.write("a,b,c,d\n")
        for _ in range(megabytes * 1_000_000 // len(block) + 1):
            file.write(block)


def series(path: Path, megabytes: int) -> None:
    rows = np.arange(megabytes * 1_000_000 // 27 // 24 * 24)
    hours = (np.datetime64("1960-01-01T00") + rows).astype("datetime64[s]")
    table = pa.table({"at": hours, "kwh": (10_000 + rows % 997) / 1000})
    write_csv(table, path, WriteOptions(quoting_style="none"))


def text(path: Path, megabytes: int) -> None:
    block = "".join(f"the {n % 4999} word of line {n}, and “more” of it\n" for n in range(50_000))
    with path.open("w", encoding="utf-8") as file:
        for _ in range(megabytes * 1_000_000 // len(block.encode()) + 1):
            file.write(block)


SIZES = {"small": 110, "large": 440}
"""MB. What is kept in memory of what was parsed, 64 MB, is full with either."""
JOBS = [
    ("table", table, {"onehot": "c"}, ".h5"),
    pytest.param("table", table, {"split": "0.8,0.1,0.1", "encode": "ids"}, ".pt", marks=pytest.mark.long),
    pytest.param("series", series, {"time": "at", "window": 24, "encode": "index"}, ".h5", marks=pytest.mark.long),
    ("series", series, {"time": "at", "period": "day"}, ".pt"),
    pytest.param("text", text, {"level": "word", "encode": "ids"}, ".h5", marks=pytest.mark.long),
    ("text", text, {"encode": "ids"}, ".pt"),
]


@pytest.mark.parametrize(("kind", "write", "options", "suffix"), JOBS)
def test_memory_does_not_grow_with_the_input(tmp_path, kind, write, options, suffix):
    peaks = {}
    for name, megabytes in SIZES.items():
        write(tmp_path / "source", megabytes)
        peaks[name] = peak(kind, tmp_path / "source", tmp_path / f"out{suffix}", options)
        (tmp_path / "source").unlink()
    assert peaks["large"] - peaks["small"] < SLACK, peaks


def test_memory_does_not_grow_with_the_pictures(tmp_path):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8))
    (tmp_path / "p").mkdir()
    picture.save(tmp_path / "p/0.jpg")
    data = (tmp_path / "p/0.jpg").read_bytes()
    peaks = []
    for first, last in ((0, 500), (500, 2500)):
        for n in range(first, last):
            (tmp_path / f"p/{n}.jpg").write_bytes(data)
        peaks.append(peak("images", tmp_path / "p", tmp_path / "o.h5", {"dtype": "uint8"}))
    assert peaks[1] - peaks[0] < SLACK, peaks


def test_no_scratch_is_left_beside_the_output(tmp_path):
    table(tmp_path / "t.csv", 150)
    out = tmp_path / "out"
    out.mkdir()
    peak("table", tmp_path / "t.csv", out / "o.h5", {})
    assert list(out.iterdir()) == []


def test_the_benchmarks_run_at_a_small_scale(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("polars")
    pytest.importorskip("tokenizers")
    flags = ["--scale", "0.001", "--runs", "1", "--only", "wine 2M rows", "--write", tmp_path / "page.md"]
    command = [sys.executable, ROOT / "benchmarks/bench.py", tmp_path / "data", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text("utf-8")
    assert "| **wine 2M rows → HDF5** | tensorize |" in page
    assert "polars + torch" in page
