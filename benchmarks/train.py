"""What the trainer does on public data, beside scikit-learn, a DataLoader and the barest loop: make bench-train

    python benchmarks/train.py DATA [speed wine digits bikes]

DATA is the folder of `tensorize fetch`. Every score is of test rows that neither model has seen; the settings were chosen
by val rows: of wine in the same splits, of bikes by forecasts from three places before the test part.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tensorize
from tensorize.train import evaluate, fit
from tensorize.train.models.mlp import Mlp

SEEDS = range(4)
WINE = {"options": {"hidden": [256, 256], "dropout": 0.1}, "epochs": 100, "lr": 0.01, "patience": 0, "best_by": "metric"}
BIKES = {"options": {"dropout": 0.3}, "epochs": 10, "loss": "L1Loss"}
EPOCHS = 5


def wine_set(data: Path, seed: int = 0) -> Any:
    path = data / "wine/winequality-white.csv"
    return tensorize.prepare("wine", str(path), split="0.8,0.1,0.1", stratify="quality", seed=seed)


def wine(data: Path) -> None:
    """80/10/10, stratified; scikit-learn's models get the same train rows, scaled alike, with their defaults."""
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.neural_network import MLPClassifier

    peers = (MLPClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier)
    ways: dict[str, dict[str, Any]] = {"tensorize mlp": WINE, "tensorize mlp, defaults": {}}
    scores: dict[str, list[float]] = {name: [] for name in (*ways, *(peer.__name__ for peer in peers))}
    for seed in SEEDS:
        tensors = wine_set(data, seed)
        for name, settings in ways.items():
            found = evaluate(fit("mlp", tensors, seed=seed, device="cpu", **settings).checkpoint, tensors)
            scores[name].append(found.metrics["accuracy"])
        scores.setdefault(found.trivial_is, []).append(found.trivial["accuracy"])
        parts = {part: (tensors[f"{part}/features"].numpy(), tensors[f"{part}/target"].numpy()) for part in ("train", "test")}
        for peer in peers:
            scores[peer.__name__].append(peer(random_state=seed).fit(*parts["train"]).score(*parts["test"]))
    print(f"wine: accuracy on test, {len(SEEDS)} splits")
    for name, values in scores.items():
        print(f"  {name:<32} mean {statistics.mean(values):.3f}   {'  '.join(f'{value:.3f}' for value in values)}")


def digits(data: Path) -> None:
    """scikit-learn's 8×8 digits as a folder of images, cnn with its defaults."""
    del data
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    with tempfile.TemporaryDirectory() as folder:
        for index, (image, label) in enumerate(zip(found.images, found.target, strict=True)):
            path = Path(folder) / str(label) / f"{index:04}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray((image * 255 / 16).round().astype("uint8")).save(path)
        scores = []
        for seed in SEEDS:
            tensors = tensorize.prepare("images", folder, dtype="uint8", split="0.8,0.1,0.1", stratify=True, seed=seed)
            scores.append(evaluate(fit("cnn", tensors, seed=seed, device="cpu").checkpoint, tensors).metrics["accuracy"])
    print(f"digits: accuracy on test, mean {statistics.mean(scores):.4f}   {'  '.join(f'{score:.4f}' for score in scores)}")


def bikes(data: Path) -> None:
    """A week of hours in, the next day's count out; split in time."""
    options = {"window": 168, "horizon": 24, "target": "cnt", "split": "0.7,0.15,0.15", "encode": "index"}
    tensors = tensorize.prepare("bikes", str(data / "bikes/hour.csv"), **options)
    checkpoint = fit("conv1d", tensors, device="cpu", **BIKES).checkpoint
    for part in ("val", "test"):
        found = evaluate(checkpoint, tensors, split=part)
        ours, theirs = found.metrics["mae"], found.trivial["mae"]
        print(f"bikes: mean absolute error on {part}, conv1d {ours:.1f} bicycles   {found.trivial_is} {theirs:.1f}")


def speed(data: Path) -> None:
    """An epoch of wine, batch 64, 11-128-128-10, on the CPU: each way in turn, five times; the median counts."""
    tensors = wine_set(data)
    inputs, target = tensors["train/features"], tensors["train/target"]
    ways: dict[str, Callable[[], float]] = {
        "DataLoader loop": lambda: loader_epoch(inputs, target, torch.get_num_threads()),
        "DataLoader loop, one thread": lambda: loader_epoch(inputs, target, 1),
        "DataLoader loop, num_workers=2": lambda: loader_epoch(inputs, target, torch.get_num_threads(), workers=2),
        "barest loop over resident tensors": lambda: barest_epoch(inputs, target),
        "tensorize.train": lambda: our_epoch(tensors),
        "limit: matrix products and AdamW": lambda: limit_epoch(inputs),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, way in ways.items():
            times[name].append(way())
    ours = statistics.median(times["tensorize.train"])
    print(f"wine epoch, {len(inputs):,} rows, batch 64, 11-128-128-10")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:<34} {median * 1000:7.1f} ms   {median / ours:.2f} × tensorize.train")


def loader_epoch(inputs: torch.Tensor, target: torch.Tensor, threads: int, workers: int = 0) -> float:
    """As the tutorials write it: a shuffled DataLoader, AdamW; its workers are started anew for each epoch."""
    torch.manual_seed(0)
    model = Mlp((11,), 10)
    optimizer, loss = torch.optim.AdamW(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    loader = DataLoader(TensorDataset(inputs, target), batch_size=64, shuffle=True, num_workers=workers)

    def epoch() -> None:
        for batch, wanted in loader:
            optimizer.zero_grad()
            loss(model(batch), wanted).backward()
            optimizer.step()

    return timed(epoch, threads)


def barest_epoch(inputs: torch.Tensor, target: torch.Tensor) -> float:
    """Nothing but the steps, by the optimiser and the one thread that the trainer uses."""
    torch.manual_seed(0)
    model = Mlp((11,), 10)
    optimizer, loss = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True), nn.CrossEntropyLoss()

    def epoch() -> None:
        for rows in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            loss(model(inputs[rows]), target[rows]).backward()
            optimizer.step()

    return timed(epoch, 1)


def limit_epoch(inputs: torch.Tensor) -> float:
    """The limit: what no loop can leave out, the eight matrix products of every step and its update of the weights."""
    model = Mlp((11,), 10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    weights = [layer.weight.detach() for layer in model.modules() if isinstance(layer, nn.Linear)]
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)

    def epoch() -> None:
        for rows in inputs.split(64):
            layers = [rows, *(rows.new_empty(len(rows), len(weight)) for weight in weights)]
            for before, weight, after in zip(layers, weights, layers[1:], strict=False):
                torch.mm(before, weight.t(), out=after)
                torch.mm(after.t(), before)
                if before is not rows:
                    torch.mm(after, weight)
            optimizer.step()

    with torch.no_grad():
        return timed(epoch, 1)


def timed(epoch: Callable[[], None], threads: int) -> float:
    """The median of some epochs after the first, by so many threads."""
    before, times = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    for _ in range(EPOCHS):
        began = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - began)
    torch.set_num_threads(before)
    return statistics.median(times[1:])


def our_epoch(tensors: Any) -> float:
    """The trainer without a validation part, as the other loops have none."""
    train_alone = tensorize.prepare("table", columns(tensors), target="quality", scale="none", task="classes")
    history = fit("mlp", train_alone, epochs=EPOCHS, lr=1e-3, schedule="constant", split="1", device="cpu")
    return statistics.median(epoch.seconds for epoch in history.epochs[1:])


def columns(tensors: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The train rows as columns, already scaled."""
    names = tensors.labels("train/features", "feature")
    features = tensors["train/features"].numpy()
    return {name: features[:, index] for index, name in enumerate(names)} | {"quality": tensors["train/target"].numpy()}


PARTS = {"speed": speed, "wine": wine, "digits": digits, "bikes": bikes}

if __name__ == "__main__":
    for part in sys.argv[2:] or PARTS:
        PARTS[part](Path(sys.argv[1]))
