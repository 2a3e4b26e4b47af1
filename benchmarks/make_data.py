"""Make the data of the benchmarks: python benchmarks/make_data.py FOLDER [--scale 0.1]

Real files are resampled where TENSORIZE_DATA names them, synthetic ones otherwise. What is there already stays.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import csv, ipc, parquet

ROOT = Path(__file__).resolve().parent.parent
RNG_SEED = 20261123


def original(name: str, sample: str) -> Path:
    """A public file, or the synthetic one of the same schema."""
    real = Path(os.environ.get("TENSORIZE_DATA", "/nowhere")) / name
    return real if real.exists() else ROOT / "samples" / sample


def wine(path: Path, rows: int) -> None:
    """Rows of the wine file, drawn with replacement, the measurements moved by up to 1 %, about 92 bytes each."""
    source = original("wine/winequality-white.csv", "wine-synthetic.csv")
    header = source.read_text().partition("\n")[0]
    values = np.loadtxt(source, delimiter=";", skiprows=1)
    rng = np.random.default_rng(RNG_SEED)
    line = ";".join(["%.6g"] * (values.shape[1] - 1) + ["%d"])
    with path.open("w") as file:
        file.write(header + "\n")
        for start in range(0, rows, 500_000):
            picked = values[rng.integers(0, len(values), min(500_000, rows - start))]
            picked[:, :-1] *= rng.uniform(0.99, 1.01, (len(picked), values.shape[1] - 1))
            np.savetxt(file, picked, fmt=line)


def wine_parquet(path: Path, rows: int) -> None:
    """The same rows as Parquet, in row groups of 128,000."""
    made = path.with_suffix(".csv")
    wine(made, rows)
    with csv.open_csv(made, parse_options=csv.ParseOptions(delimiter=";")) as batches:
        parquet.write_table(pa.Table.from_batches(batches), path, row_group_size=128_000)
    made.unlink()


def wine_arrow(path: Path, rows: int) -> None:
    """The same rows as an Arrow file, in batches of 65,536, compressed by lz4 as pandas and R do."""
    made = path.with_suffix(".csv")
    wine(made, rows)
    options = ipc.IpcWriteOptions(compression="lz4")
    with csv.open_csv(made, parse_options=csv.ParseOptions(delimiter=";")) as batches:
        table = pa.Table.from_batches(batches)
    with pa.OSFile(str(path), "wb") as sink, ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks(), 65_536)
    made.unlink()


def wine_jsonl(path: Path, rows: int) -> None:
    """The same rows as JSON Lines."""
    made = path.with_suffix(".csv")
    wine(made, rows)
    with made.open() as lines, path.open("w") as file:
        names = [json.dumps(name.strip('"')) for name in next(lines).strip().split(";")]
        line = "{" + ", ".join(f"{name}: %s" for name in names) + "}\n"
        file.writelines(line % tuple(text.strip().split(";")) for text in lines)
    made.unlink()


def mixed(path: Path, rows: int) -> None:
    """Six columns of numbers, four of words with 5 to 1000 values, 2 % of all cells missing, a class to predict."""
    rng = np.random.default_rng(RNG_SEED)
    with path.open("w") as file:
        file.write(",".join([f"n{i}" for i in range(6)] + [f"c{i}" for i in range(4)] + ["y"]) + "\n")
        for start in range(0, rows, 200_000):
            count = min(200_000, rows - start)
            columns = [np.char.mod("%.4f", rng.normal(i, 10**i, count)) for i in range(6)]
            columns += [np.char.mod("word%d", rng.integers(0, size, count)) for size in (5, 20, 100, 1000)]
            columns = [np.where(rng.random(count) < 0.02, "", column) for column in columns]
            columns.append(rng.integers(0, 2, count).astype(str))
            file.write("\n".join(map(",".join, zip(*columns, strict=True))) + "\n")


def hours(path: Path, rows: int) -> None:
    """Hourly rows of 1000 groups, one after the other."""
    rng = np.random.default_rng(RNG_SEED)
    each = max(rows // 1000, 400)
    stamps = np.datetime_as_string(np.datetime64("2015-01-01T00") + np.arange(each), unit="m")
    stamps = np.char.add(np.char.replace(stamps, "T", " "), ":00")
    with path.open("w") as file:
        file.write("meter,at,kwh\n")
        for group in range(1000):
            values = np.char.mod("%.3f", rng.gamma(2, 1, each))
            file.write(
                "".join([f"m{group:04},{at},{value}\n" for at, value in zip(stamps.tolist(), values.tolist(), strict=True)])
            )


def text(path: Path, size: int) -> None:
    """Lines of the novel in another order, over and over."""
    lines = original("text/1342-0.txt", "text-synthetic.txt").read_text("utf-8-sig").splitlines(keepends=True)
    rng = np.random.default_rng(RNG_SEED)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            file.write("".join([lines[index] for index in rng.permutation(len(lines))]))


def photographs(folder: Path, count: int, width: int, height: int) -> None:
    """JPEG of smooth shapes and some grain, 100 unlike ones over and over, in two class folders.

    At quality 85 they take about as much as photographs of that size do: 35 KB and 500 KB.
    """
    rng = np.random.default_rng(RNG_SEED)
    made = []
    for _ in range(min(count, 100)):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 25, width // 25, 3), dtype=np.uint8))
        grain = rng.normal(0, 4, (height, width, 3))
        pixels = np.clip(np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) + grain, 0, 255)
        data = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(data, "jpeg", quality=85)
        made.append(data.getvalue())
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        (folder / "ab"[index % 2] / f"{index:05}.jpg").write_bytes(made[index % len(made)])


def cifar(folder: Path, count: int) -> None:
    """CIFAR-10 as class folders of JPEG, or synthetic pictures of that size."""
    archive = Path(os.environ.get("TENSORIZE_DATA", "/nowhere")) / "cifar10/cifar10-images.tar.xz"
    if archive.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        return
    rng = np.random.default_rng(RNG_SEED)
    for split, share in (("train", 5), ("test", 1)):
        for index in range(count * share // 6):
            path = folder / split / f"class{index % 10}" / f"{index:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path, quality=90)


def larger_than_memory(path: Path, source: Path, scale: float) -> None:
    """The pictures of a prepared file over and over, 1.2 times as many bytes as the machine has memory."""
    import tensorize
    from tensorize.core import registry

    size = 1.2 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * scale
    with tensorize.read(source) as ts:
        rows = int(size / (ts.layout.nbytes / ts.rows))
        specs = tuple(replace(spec, shape=(rows, *spec.shape[1:])) for spec in ts.layout.tensors)
        writer = registry.exporter_for(path).create(path, replace(ts.layout, tensors=specs, texts={}), force=True)
        try:
            for spec in specs:
                step = max(1, (8 << 20) // (spec.nbytes // rows))
                for at in range(0, rows, step):
                    writer.write(spec.key, at, ts.store.take(spec.key, np.arange(at, min(at + step, rows)) % ts.rows))
            writer.commit(ts.layout.recipe)
        finally:
            writer.abort()


def forget(path: Path) -> None:
    """Drop what the page cache holds of a file."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


MAKERS: dict[str, Callable[[Path, float], None]] = {
    "wine-2m.csv": lambda path, scale: wine(path, int(2_000_000 * scale)),
    "wine-20m.csv": lambda path, scale: wine(path, int(20_000_000 * scale)),
    "wine-2m.parquet": lambda path, scale: wine_parquet(path, int(2_000_000 * scale)),
    "wine-20m.parquet": lambda path, scale: wine_parquet(path, int(20_000_000 * scale)),
    "wine-2m.arrow": lambda path, scale: wine_arrow(path, int(2_000_000 * scale)),
    "wine-20m.arrow": lambda path, scale: wine_arrow(path, int(20_000_000 * scale)),
    "wine-2m.jsonl": lambda path, scale: wine_jsonl(path, int(2_000_000 * scale)),
    "wine-20m.jsonl": lambda path, scale: wine_jsonl(path, int(20_000_000 * scale)),
    "mixed-2m.csv": lambda path, scale: mixed(path, int(2_000_000 * scale)),
    "hours-20m.csv": lambda path, scale: hours(path, int(20_000_000 * scale)),
    "text-1g.txt": lambda path, scale: text(path, int(1_000_000_000 * scale)),
    "jpeg-500x375": lambda path, scale: photographs(path, int(10_000 * scale), 500, 375),
    "jpeg-2000x1500": lambda path, scale: photographs(path, int(2_000 * scale), 2000, 1500),
    "cifar10": lambda path, scale: cifar(path, int(60_000 * scale)),
}
"""Name in the folder → what makes it; scale 1 is the size of the stated targets."""


def paths(folder: Path) -> dict[str, Path]:
    """Name → where it lies, made or not."""
    return {name: folder / name for name in MAKERS}


def make(folder: Path, scale: float, wanted: frozenset[str] = frozenset(MAKERS)) -> None:
    """Make what is wanted and lacking."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in paths(folder).items():
        if name in wanted and not path.exists():
            print(f"making {path}", flush=True)
            part = folder / f".{name}.part"
            MAKERS[name](part, scale)
            part.rename(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    make(options.folder, options.scale)
