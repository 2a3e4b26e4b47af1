"""Measure tensorize beside other tools: python benchmarks/bench.py FOLDER [--scale 1] [--runs 3] [--only NAME] [--write PAGE]

Every run is a whole process, imports included. Ours and the peers run in turn, several times; what counts is the ratio
of the medians. Memory is the peak of the process and its children, as the kernel counts it.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import make_data

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
REMARKS = "\n## What falls short"
"""Where the part of the page begins that is written by hand."""
TENSORIZE = [str(Path(sys.executable).with_name("tensorize"))]
BIG = ["--force", "-q", "--max-size", "1000GB"]


@dataclass(frozen=True)
class Job:
    """One row of the table: `ours` and each peer are commands in which SOURCE and OUT are put in.

    `targets` are upper bounds of ours / peer in time, or lower bounds of the rate where `rate` is set.
    """

    name: str
    source: str
    ours: Sequence[str]
    peers: dict[str, Sequence[str]] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    says_seconds: bool = False
    says_rate: bool = False
    unit: float = 0
    """What one source holds, for a rate: MB of text, or images."""
    noun: str = ""
    rate: float = 0
    suffix: str = ".h5"
    once: Sequence[str] = ()
    """Peers that take about five minutes or more: they run once."""


def peer(name: str) -> list[str]:
    return [sys.executable, str(HERE / "peers.py"), name, "SOURCE", "OUT"]


def ours(*arguments: str) -> list[str]:
    kind, *flags = arguments
    return [*TENSORIZE, kind, "SOURCE", *flags, "-o", "OUT", *BIG]


def jobs(scale: float) -> list[Job]:
    """The jobs, with the targets that hold at scale 1."""
    wine = ours("wine", "--onehot", "quality")
    wine_peers = {"pandas + scikit-learn": peer("pandas_wine"), "polars + torch": peer("polars_wine")}
    modes = [flag for name in ("c0", "c1", "c2", "c3") for flag in ("--missing", f"{name}=mode")]
    mixed = ours("table", "--target", "y", "--encode", "ids", "--onehot", "c0,c1,c2,c3", "--missing", "median", *modes)
    windows = ours("series", "--time", "at", "--group", "meter", "--window", "168", "--encode", "index", "--step", "1h")
    words = {
        "tutorial loop": peer("tutorial_words"),
        "CountVectorizer": peer("count_vectorizer"),
        "tokenizers": peer("tokenizers_words"),
    }
    pictures = {
        "imageio + Pillow loop": peer("imageio_loop"),
        "DataLoader, 2 workers": peer("data_loader"),
        "limit: decode + resize alone": peer("decode_and_resize"),
        "limit: decode alone": peer("decode_alone"),
    }
    limits = {"limit: pyarrow parse": peer("arrow_parse"), "limit: read the bytes": peer("read_bytes")}
    return [
        Job(
            "wine 2M rows → HDF5",
            "wine-2m.csv",
            wine,
            {**wine_peers, "numpy.loadtxt + scatter": peer("loadtxt_wine"), **limits},
            {"pandas + scikit-learn": 0.75, "polars + torch": 1.0},
        ),
        Job(
            "wine 2M rows → .pt",
            "wine-2m.csv",
            wine,
            wine_peers,
            {"pandas + scikit-learn": 0.75, "polars + torch": 1.0},
            suffix=".pt",
        ),
        Job(
            "wine 2M rows, work without imports",
            "wine-2m.csv",
            peer("ours_work"),
            {"limit: pyarrow parse": peer("arrow_parse")},
            {"limit: pyarrow parse": 1.6},
            says_seconds=True,
        ),
        Job("wine 20M rows → HDF5", "wine-20m.csv", wine),
        Job(
            "wine 2M rows of Parquet → HDF5",
            "wine-2m.parquet",
            wine,
            {"polars + torch": wine_peers["polars + torch"]},
            {"polars + torch": 0.7},
        ),
        Job("wine 20M rows of Parquet → HDF5", "wine-20m.parquet", wine),
        Job(
            "wine 2M rows of Arrow → HDF5",
            "wine-2m.arrow",
            wine,
            {"polars + torch": wine_peers["polars + torch"]},
            {"polars + torch": 0.7},
        ),
        Job("wine 20M rows of Arrow → HDF5", "wine-20m.arrow", wine),
        Job(
            "wine 2M rows of JSON Lines → HDF5",
            "wine-2m.jsonl",
            wine,
            {"pandas + scikit-learn": peer("pandas_json")},
            {"pandas + scikit-learn": 0.5},
        ),
        Job("wine 20M rows of JSON Lines → HDF5", "wine-20m.jsonl", wine),
        Job(
            "mixed 2M rows, ids",
            "mixed-2m.csv",
            mixed,
            {"pandas + scikit-learn": peer("pandas_mixed")},
            {"pandas + scikit-learn": 0.6},
        ),
        Job(
            "20M hours of 1000 groups → index of windows",
            "hours-20m.csv",
            windows,
            {"pandas": peer("pandas_windows")},
            {"pandas": 0.3},
        ),
        Job(
            "1 GB text → word ids",
            "text-1g.txt",
            ours("text", "--level", "word", "--encode", "ids"),
            words,
            {"tutorial loop": 1 / 8, "CountVectorizer": 1 / 8},
            unit=1000 * scale,
            noun="MB/s",
            once=("CountVectorizer", "tokenizers"),
        ),
        Job(
            "1 GB text → char ids",
            "text-1g.txt",
            ours("text", "--encode", "ids"),
            {"whole text in memory": peer("tutorial_chars")},
            unit=1000 * scale,
            noun="MB/s",
            rate=150,
        ),
        Job(
            "10,000 JPEG 500×375 → 224×224 uint8",
            "jpeg-500x375",
            ours("images", "--size", "224", "--dtype", "uint8"),
            pictures,
            {"imageio + Pillow loop": 1 / 1.8, "DataLoader, 2 workers": 1 / 1.25, "limit: decode + resize alone": 1 / 0.8},
            unit=10_000 * scale,
            noun="images/s",
        ),
        Job(
            "2,000 JPEG 2000×1500 → 224×224, scaled decoding",
            "jpeg-2000x1500",
            ours("images", "--size", "224", "--dtype", "uint8", "--scaled-decode"),
            {"DataLoader, 2 workers": peer("data_loader")},
            {"DataLoader, 2 workers": 1 / 3},
            unit=2_000 * scale,
            noun="images/s",
        ),
        Job(
            "60,000 CIFAR-10 JPEG → uint8",
            "cifar10",
            ours("images", "--dtype", "uint8"),
            {"Pillow loop": peer("pillow_small")},
            unit=60_000,
            noun="images/s",
            rate=10_000,
        ),
        Job(
            "tensorize --help",
            "wine-2m.csv",
            [*TENSORIZE, "--help"],
            {"import pandas": peer("import_pandas")},
            {"import pandas": 0.8},
        ),
        Job(
            "wine, 4,898 rows → HDF5",
            "wine-small.csv",
            wine,
            {"import torch, pyarrow.csv": peer("import_torch")},
            {"import torch, pyarrow.csv": 0.8},
        ),
        *(
            Job(
                f"shuffled batches of {size} from HDF5 {where}, uint8, normalised",
                source,
                peer("batches_ours"),
                {"one h5py read a sample": peer("batches_h5py")},
                {"one h5py read a sample": 5} if source.startswith("large") else {},
                says_rate=True,
                noun="images/s",
            )
            for size, where, source in (
                ("32×32", "in the page cache", "small-pictures.h5"),
                ("224×224", "in the page cache", "pictures.h5"),
                ("32×32", "larger than memory", "large-small-pictures.h5"),
                ("224×224", "larger than memory", "large-pictures.h5"),
            )
        ),
    ]


@dataclass(frozen=True)
class Run:
    """What one process took: seconds (or what it says of itself), and its peak memory in MB."""

    value: float
    memory: float


def apart(function: Callable[..., object], *arguments: object) -> None:
    """Call in a process of its own. The peak of a child counts what its parent held as it started: this one stays small."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(function, *arguments).result()


def measured(command: Sequence[str], source: Path, out: Path, says: bool) -> Run:
    """Run a command once. Raises RuntimeError where it fails."""
    out.unlink(missing_ok=True)
    os.sync()  # what the run before has left to be written, or given back, is not for this one to wait for
    words = [str(source) if word == "SOURCE" else str(out) if word == "OUT" else word for word in command]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(words, stdout=said, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(words)}\n{errors.read()}")
        unit = 1024 if sys.platform == "linux" else 1024 * 1024
        return Run(float(said.read().split()[-1]) if says else seconds, usage.ru_maxrss / unit)


def run_job(job: Job, source: Path, folder: Path, runs: int) -> dict[str, list[Run]]:
    """Ours and the peers in turn, `runs` times; those of `once` in the first turn only."""
    commands = {"tensorize": job.ours, **job.peers}
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(runs):
        for name, command in commands.items():
            if turn and name in job.once:
                continue
            if source.name.startswith("large"):
                make_data.forget(source)
            suffix = job.suffix if name == "tensorize" else ".out"
            out = folder / f"out{suffix}"
            found[name].append(measured(command, source, out, job.says_seconds or job.says_rate))
            print(f"  {name}: {found[name][-1].value:.2f}  {found[name][-1].memory:.0f} MB", flush=True)
            out.unlink(missing_ok=True)
    return found


def spread(runs: Sequence[Run]) -> str:
    """The median, and the least and the largest value."""
    values = [run.value for run in runs]
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def lines(job: Job, found: dict[str, list[Run]]) -> list[str]:
    """The rows of the page for one job."""
    mine = statistics.median([run.value for run in found["tensorize"]])
    rows = []
    for name, runs in found.items():
        memory = f"{max(run.memory for run in runs):.0f} MB"
        if name == "tensorize":
            rate = f"{job.unit / mine:,.0f} {job.noun}" if job.unit else ""
            goal = f"≥ {job.rate:,.0f} {job.noun}: {_kept(job.unit / mine >= job.rate)}" if job.rate else ""
            rows.append(f"| **{job.name}** | tensorize | {spread(runs)} | {memory} | {rate} | {goal} |")
            continue
        ratio = mine / statistics.median([run.value for run in runs])
        target = job.targets.get(name)
        kept = None if target is None else (ratio >= target if job.says_rate else ratio <= target)
        goal = "" if target is None else f"{'≥' if job.says_rate else '≤'} {target:.2f}: {_kept(bool(kept))}"
        rows.append(f"| | {name} | {spread(runs)} | {memory} | {ratio:.2f}× | {goal} |")
    return rows


def _kept(is_kept: bool) -> str:
    return "met" if is_kept else "**not met**"


def page(rows: Sequence[str], scale: float, runs: int) -> str:
    """The whole page."""
    packages = (
        "torch",
        "pyarrow",
        "numpy",
        "h5py",
        "simplejpeg",
        "pillow",
        "pandas",
        "scikit-learn",
        "polars",
        "tokenizers",
        "imageio",
    )
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    model = next((line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Made by `make bench`: {runs} runs of each, in turn, as whole processes with their imports, at scale {scale:g}.",
            "The figures are the median, and the least and the largest, in seconds (images a second for the batches);",
            "the ratio is tensorize / peer. Memory is the largest peak. A limit is what cannot be beaten: the parser alone,",
            "or the decoder alone. A peer with one figure, of about five minutes or more, runs once.",
            "The inputs are made by `benchmarks/make_data.py`, the peers stand in `benchmarks/peers.py`.",
            "",
            f"Machine: {model}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {platform.platform()}.",
            f"Versions: {versions}.",
            "",
            "| job | | median (range) | peak memory | ratio or rate | target |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def measured_before(page: str) -> dict[str, list[str]]:
    """Job → its rows in a page."""
    found: dict[str, list[str]] = {}
    for line in page.splitlines():
        if name := re.match(r"\| \*\*(.*?)\*\* \|", line):
            found[name[1]] = [line]
        elif line.startswith("| | ") and found:
            list(found.values())[-1].append(line)
    return found


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def prepared(folder: Path, made: dict[str, Path], wanted: Sequence[Job]) -> dict[str, Path]:
    """The sources that are made by tensorize itself, or are the originals; the large ones are made when their turn comes."""
    small = make_data.original("wine/winequality-white.csv", "wine-synthetic.csv")
    names = {job.source.removeprefix("large-") for job in wanted}
    pictures, small_pictures = folder / "pictures.h5", folder / "small-pictures.h5"
    if small_pictures.name in names and not small_pictures.exists():
        source = made["cifar10"] / "train"
        subprocess.run([*TENSORIZE, "images", source, "--dtype", "uint8", "-o", small_pictures, *BIG], check=True)
    if pictures.name in names and not pictures.exists():
        subprocess.run(
            [*TENSORIZE, "images", made["jpeg-500x375"], "--size", "224", "--dtype", "uint8", "-o", pictures, *BIG], check=True
        )
    large = {path.name: path for path in (folder / f"large-{pictures.name}", folder / f"large-{small_pictures.name}")}
    return {**made, **large, "wine-small.csv": small, "pictures.h5": pictures, "small-pictures.h5": small_pictures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    wanted = [job for job in jobs(options.scale) if options.only in job.name]
    needed = (
        {job.source for job in wanted}
        | ({"cifar10"} if any(job.source.endswith("small-pictures.h5") for job in wanted) else set())
        | ({"jpeg-500x375"} if any(job.source.endswith("pictures.h5") for job in wanted) else set())
    )
    for package in ("tensorize", "cli"):  # as pip does for the peers, where it installs them
        compileall.compile_dir(HERE.parent / package, quiet=1)
    apart(make_data.make, options.folder, options.scale, frozenset(needed))
    made = make_data.paths(options.folder)
    sources = prepared(options.folder, made, wanted)
    rows: dict[str, list[str]] = {}
    for job in wanted:
        print(job.name, flush=True)
        source = sources[job.source]
        is_large = source.name.startswith("large-")
        if is_large:
            apart(make_data.larger_than_memory, source, sources[source.name.removeprefix("large-")], options.scale)
        rows[job.name] = lines(job, run_job(job, source, options.folder, options.runs))
        if is_large:
            source.unlink()
    print("\n".join(line for found in rows.values() for line in found))
    if options.write:
        before = options.write.read_text("utf-8") if options.write.exists() else ""
        kept = {name: found for name, found in measured_before(before).items() if name not in rows} if options.only else {}
        order = {job.name: {**kept, **rows}[job.name] for job in jobs(options.scale) if job.name in kept or job.name in rows}
        text = page([line for found in order.values() for line in found], options.scale, options.runs)
        options.write.write_text(text + before[before.find(REMARKS) :] if REMARKS in before else text, "utf-8")


if __name__ == "__main__":
    main()
