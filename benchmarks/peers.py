"""The same jobs as users of other tools write them: python benchmarks/peers.py NAME SOURCE OUT

Each is what a tutorial or the tool's own pages show, no slower on purpose.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEASURED = [f"n{i}" for i in range(6)]
WORDS = [f"c{i}" for i in range(4)]


def pandas_wine(source: str, out: str) -> None:
    import pandas as pd
    import torch
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.read_csv(source, sep=";")
    features = StandardScaler().fit_transform(frame.drop(columns="quality"))
    target = OneHotEncoder(categories=[range(10)], sparse_output=False).fit_transform(frame[["quality"]])
    torch.save({"features": torch.from_numpy(features).float(), "target": torch.from_numpy(target).float()}, out)


def _polars_frame(source: str) -> Any:
    import polars as pl

    if source.endswith(".parquet"):
        return pl.read_parquet(source)
    return pl.read_ipc(source) if source.endswith(".arrow") else pl.read_csv(source, separator=";")


def polars_wine(source: str, out: str) -> None:
    import polars as pl
    import torch

    frame = _polars_frame(source)
    columns = [name for name in frame.columns if name != "quality"]
    scaled = frame.select([(pl.col(name) - pl.col(name).mean()) / pl.col(name).std() for name in columns])
    features = torch.from_numpy(scaled.cast(pl.Float32).to_numpy())
    quality = torch.from_numpy(frame["quality"].to_numpy().copy())
    target = torch.zeros(len(quality), 10).scatter_(1, quality.unsqueeze(1), 1.0)
    torch.save({"features": features, "target": target}, out)


def pandas_sql(source: str, out: str) -> None:
    import pandas as pd
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(source) as base:
        _wine_of(pd.read_sql(f"select * from {sys.argv[4]}", base), out)


def pandas_psycopg(source: str, out: str) -> None:
    import pandas as pd
    import sqlalchemy

    base = sqlalchemy.create_engine(source.replace("postgresql:", "postgresql+psycopg:"))
    _wine_of(pd.read_sql(f"select * from {sys.argv[4]}", base), out)


def pandas_json(source: str, out: str) -> None:
    import pandas as pd

    _wine_of(pd.read_json(source, lines=True), out)


def _wine_of(frame: Any, out: str) -> None:
    import h5py
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    features = StandardScaler().fit_transform(frame.drop(columns="quality"))
    target = OneHotEncoder(categories=[range(10)], sparse_output=False).fit_transform(frame[["quality"]])
    with h5py.File(out, "w") as file:
        file["features"], file["target"] = features.astype("f4"), target.astype("f4")


def loadtxt_wine(source: str, out: str) -> None:
    import numpy as np
    import torch

    data = torch.from_numpy(np.loadtxt(source, dtype=np.float32, delimiter=";", skiprows=1))
    features, quality = data[:, :-1], data[:, -1].long()
    features = (features - features.mean(dim=0)) / torch.sqrt(features.var(dim=0))
    target = torch.zeros(len(quality), 10).scatter_(1, quality.unsqueeze(1), 1.0)
    torch.save({"features": features, "target": target}, out)


def pandas_mixed(source: str, out: str) -> None:
    import pandas as pd
    import torch
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler

    frame = pd.read_csv(source)
    numbers = SimpleImputer(strategy="median").fit_transform(frame[MEASURED])
    features = StandardScaler().fit_transform(numbers)
    words = SimpleImputer(strategy="most_frequent").fit_transform(frame[WORDS].astype(object))
    ids = OrdinalEncoder().fit_transform(words)
    made = {"features": torch.from_numpy(features).float(), "categories": torch.from_numpy(ids).long()}
    torch.save(made | {"target": torch.from_numpy(frame["y"].to_numpy().copy())}, out)


def pandas_windows(source: str, out: str) -> None:
    import numpy as np
    import pandas as pd
    import torch

    frame = pd.read_csv(source, parse_dates=["at"]).sort_values(["meter", "at"], kind="stable")
    frame["kwh"] = (frame["kwh"] - frame["kwh"].mean()) / frame["kwh"].std()
    starts, base = [], 0
    for _, group in frame.groupby("meter", sort=False):
        gaps = group["at"].diff().iloc[1:] != pd.Timedelta("1h")
        if gaps.any():
            raise ValueError("a gap")
        starts.append(np.arange(base, base + len(group) - 192 + 1))
        base += len(group)
    values = torch.from_numpy(frame["kwh"].to_numpy(dtype=np.float32).copy())
    torch.save({"series": values, "start": torch.from_numpy(np.concatenate(starts))}, out)


def tutorial_words(source: str, out: str) -> None:
    import torch

    with open(source, encoding="utf-8-sig") as file:
        text = file.read()
    words = []
    for part in text.lower().replace("\n", " ").split():
        word = part.strip('.,;:"!?“”_-')
        if word:
            words.append(word)
    vocabulary = {word: index for index, word in enumerate(sorted(set(words)), 1)}
    torch.save(torch.tensor([vocabulary[word] for word in words], dtype=torch.int32), out)


def count_vectorizer(source: str, out: str) -> None:
    import torch
    from sklearn.feature_extraction.text import CountVectorizer

    with open(source, encoding="utf-8-sig") as file:
        lines = file.read().splitlines()
    vectorizer = CountVectorizer()
    vectorizer.fit(lines)
    analyze, vocabulary = vectorizer.build_analyzer(), vectorizer.vocabulary_
    torch.save(torch.tensor([vocabulary[word] for line in lines for word in analyze(line)], dtype=torch.int32), out)


def tokenizers_words(source: str, out: str) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train([source], trainers.WordLevelTrainer(vocab_size=1_000_000, special_tokens=["<unk>"], show_progress=False))
    ids: list[int] = []
    with open(source, encoding="utf-8-sig") as file:
        while lines := file.readlines(16 << 20):
            for encoded in tokenizer.encode_batch_fast(lines):
                ids.extend(encoded.ids)
    torch.save(torch.tensor(ids, dtype=torch.int32), out)


def tutorial_chars(source: str, out: str) -> None:
    import numpy as np
    import torch

    with open(source, encoding="utf-8-sig") as file:
        text = file.read().lower()
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    torch.save(torch.from_numpy(np.where(codes < 128, codes, 0).astype(np.uint8)), out)


def _files(source: str) -> list[Path]:
    return sorted(Path(source).rglob("*.jpg"))


def _cropped(image: object, size: int) -> object:
    from PIL import Image

    assert isinstance(image, Image.Image)
    width, height = image.size
    scale = size / min(width, height)
    image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def imageio_loop(source: str, out: str) -> None:
    import imageio.v3 as iio
    import numpy as np
    import torch
    from PIL import Image

    files = _files(source)
    batch = torch.zeros(len(files), 3, 224, 224, dtype=torch.uint8)
    for index, path in enumerate(files):
        image = np.asarray(_cropped(Image.fromarray(iio.imread(path)), 224))
        batch[index] = torch.from_numpy(image.copy()).permute(2, 0, 1)
    torch.save(batch, out)


class Pictures:
    """A Dataset as torchvision's ImageFolder would be."""

    def __init__(self, source: str) -> None:
        self.files = _files(source)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> object:
        import numpy as np
        import torch
        from PIL import Image

        with Image.open(self.files[index]) as image:
            return torch.from_numpy(np.asarray(_cropped(image.convert("RGB"), 224)).copy()).permute(2, 0, 1)


def data_loader(source: str, out: str) -> None:
    import torch
    from torch.utils.data import DataLoader

    pictures = Pictures(source)
    batch = torch.zeros(len(pictures), 3, 224, 224, dtype=torch.uint8)
    at = 0
    for images in DataLoader(pictures, batch_size=64, num_workers=2):
        batch[at : at + len(images)] = images
        at += len(images)
    torch.save(batch, out)


def decode_and_resize(source: str, out: str) -> None:
    """The limit: simplejpeg and Pillow's resize on two threads, nothing kept."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import simplejpeg
    from PIL import Image

    def one(path: Path) -> int:
        image = Image.fromarray(simplejpeg.decode_jpeg(path.read_bytes()))
        return np.asarray(_cropped(image, 224)).shape[0]

    with ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(one, _files(source)))
    Path(out).write_text(str(total))


def decode_alone(source: str, out: str) -> None:
    """The limit: simplejpeg on two threads, nothing kept."""
    from concurrent.futures import ThreadPoolExecutor

    import simplejpeg

    with ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(lambda path: simplejpeg.decode_jpeg(path.read_bytes()).shape[0], _files(source)))
    Path(out).write_text(str(total))


def pillow_small(source: str, out: str) -> None:
    import numpy as np
    import torch
    from PIL import Image

    torch.save(torch.from_numpy(np.stack([np.asarray(Image.open(path).convert("RGB")) for path in _files(source)])), out)


def arrow_parse(source: str, out: str) -> None:
    """The limit: pyarrow parsing alone. Prints the seconds of the work without imports."""
    import time

    from pyarrow import csv

    with open(source) as file:
        delimiter = ";" if ";" in file.readline() else ","
    started = time.perf_counter()
    rows = csv.read_csv(source, parse_options=csv.ParseOptions(delimiter=delimiter)).num_rows
    print(time.perf_counter() - started)
    Path(out).write_text(str(rows))


def read_bytes(source: str, out: str) -> None:
    """The limit: reading the bytes."""
    with open(source, "rb", buffering=0) as file:
        total = 0
        while data := file.read(4 << 20):
            total += len(data)
    Path(out).write_text(str(total))


def import_pandas(source: str, out: str) -> None:
    import pandas as pd

    Path(out).write_text(pd.__version__)


def import_torch(source: str, out: str) -> None:
    import pyarrow.csv
    import torch

    Path(out).write_text(torch.__version__ + str(pyarrow.csv))


def ours_work(source: str, out: str) -> None:
    """Ours without imports: prints the seconds of the work."""
    import pkgutil
    import time
    from importlib import import_module

    import h5py
    import pandas
    import pyarrow.csv

    from tensorize import engine, exporters, pipeline, statistics, transforms
    from tensorize.engine.allocator import keep_freed
    from tensorize.loaders import table, wine

    del h5py, pandas, pyarrow, wine
    for package in (engine, exporters, statistics, table, transforms):
        for module in pkgutil.iter_modules(package.__path__):
            if module.name != "module":  # it imports torch, which a table does not need
                import_module(f"{package.__name__}.{module.name}")
    keep_freed()
    started = time.perf_counter()
    output = pipeline.Output(Path(out), force=True, max_size=1 << 40)
    pipeline.prepare("wine", source, {"onehot": "quality"}, pipeline.make_run(), output)
    print(time.perf_counter() - started)


def batches_ours(source: str, out: str) -> None:
    """Shuffled, normalised batches from a file. Prints images a second."""
    import time

    import tensorize

    with tensorize.read(source) as ts:
        batches = ts.batches(128, shuffle=True)
        iterator = iter(batches)
        next(iterator)
        started, images = time.perf_counter(), 0
        for inputs, _ in iterator:
            images += len(inputs)
            if time.perf_counter() - started > 8:
                break
        print(images / (time.perf_counter() - started))
    Path(out).write_text("")


def batches_h5py(source: str, out: str) -> None:
    """The same, one h5py read for each sample. Prints images a second."""
    import json
    import time

    import h5py
    import numpy as np
    import torch

    with h5py.File(source) as file:
        state = next(s["state"] for s in json.loads(file.attrs["recipe"])["steps"] if s["step"] == "normalize")
        mean, std = (torch.tensor(state[name]).view(3, 1, 1) for name in ("mean", "std"))
        images, labels = file["images"], file["labels"]
        order = np.random.default_rng(0).permutation(len(images))
        started, done = time.perf_counter(), 0
        for at in range(0, len(order), 128):
            rows = order[at : at + 128]
            inputs = torch.stack([(torch.from_numpy(images[row]).float() / 255 - mean) / std for row in rows])
            targets = torch.tensor([labels[row] for row in rows])
            done += len(inputs) + 0 * len(targets)
            if time.perf_counter() - started > 8:
                break
        print(done / (time.perf_counter() - started))
    Path(out).write_text("")


PEERS: dict[str, Callable[[str, str], None]] = {
    name: found for name, found in list(globals().items()) if callable(found) and getattr(found, "__module__", "") == __name__
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](sys.argv[2], sys.argv[3])
