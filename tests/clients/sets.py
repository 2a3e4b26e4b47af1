"""The five sets that every client reads, in every format, and what must be in them as plain bytes.

`make(folder)` writes NAME.SUFFIX for each set and format, and for each set NAME.json, key → shape, dtype and file, with the
numbers of each tensor as little-endian bytes in C order in a file of its own.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

import tensorize
from tensorize.core import registry

SAMPLES = Path(__file__).parent.parent.parent / "samples"
SPLIT = "0.6,0.2,0.2"
NAMES = ("wine", "windows", "text", "images", "bikes")


def prepared(folder: Path) -> dict[str, tensorize.TensorSet]:
    """The sets, in memory."""
    rng = np.random.default_rng(0)
    stamps = [f"2024-01-{hour // 24 + 1:02} {hour % 24:02}:00" for hour in range(24 * 20)]
    steps = {"at": stamps, "kwh": rng.normal(size=480), "temp °C": rng.normal(size=480)}
    lines = [" ".join(rng.choice(["the", "quick", "naïve", "fox,", "日本", "runs"], 1 + n % 7)) for n in range(60)]
    (folder / "book.txt").write_text("\n".join(lines) + "\n", "utf-8")
    for n in range(20):
        picture = folder / "pictures" / ("cat", "dog")[n % 2] / f"{n}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(picture)
    hours = (SAMPLES / "bikes-synthetic.csv").read_text().splitlines()[: 24 * 20]
    (folder / "hour.csv").write_text("\n".join(hours) + "\n")
    return {
        "wine": tensorize.prepare("wine", SAMPLES / "wine-synthetic.csv", onehot="quality", split=SPLIT),
        "windows": tensorize.prepare("series", steps, time="at", window=12, horizon=3, target="kwh", split=SPLIT),
        "text": tensorize.prepare("text", folder / "book.txt", level="word", per="line", encode="ids", split=SPLIT),
        "images": tensorize.prepare("images", folder / "pictures", dtype="uint8", split=SPLIT),
        "bikes": tensorize.prepare("bikes", folder / "hour.csv", onehot="weathersit"),
    }


def make(folder: Path) -> None:
    """Write every set in every format that holds whole sets, and as plain bytes."""
    for name, tensors in prepared(folder).items():
        index = {}
        for number, (key, spec) in enumerate(tensors.specs.items()):
            values = tensors.numpy(key)
            (folder / f"{name}.{number}.bin").write_bytes(np.ascontiguousarray(values).tobytes())
            index[key] = {"shape": spec.shape, "dtype": spec.dtype, "file": f"{name}.{number}.bin"}
        (folder / f"{name}.json").write_text(json.dumps(index))
        for exporter in registry.EXPORTERS:
            found = registry.load("exporters", exporter)
            if not found().refusal(tensors.layout):
                tensors.save(folder / f"{name}{found.suffixes[0]}")
