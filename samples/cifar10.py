"""LeNet on CIFAR-10, by the settings of the tutorial: inputs to −1 … 1, SGD 0.001 with momentum 0.9, batches of 4, 2 epochs.

Run it as:

    python samples/cifar10.py cifar10/                # train/ and test/ with a folder for each class; or a tar of them
    python samples/cifar10.py cifar10/ --share 0.02   # the first 2 % of each class
"""

import argparse
import tarfile
import tempfile
from pathlib import Path

import torch
from lenet import LeNet

import tensorize
from tensorize.train import evaluate, fit


def prepared(source: Path, share: float) -> tensorize.TensorSet:
    """The pictures as pixels, normalised as they are read; from links to the first of each class where `share` is not 1."""
    with tempfile.TemporaryDirectory() as name:
        if source.is_file():
            with tarfile.open(source) as archive:
                archive.extractall(Path(name) / "all", filter="data")
            source = Path(name) / "all"
        if share < 1:
            source = first(source, share, Path(name) / "some")
        return tensorize.prepare("images", source, normalize="half", dtype="uint8")


def first(source: Path, share: float, target: Path) -> Path:
    """A folder of links to the first pictures of each class."""
    for kind in sorted(source.glob("*/*")):
        pictures = sorted(kind.iterdir())
        made = target / kind.relative_to(source)
        made.mkdir(parents=True)
        for picture in pictures[: max(1, round(share * len(pictures)))]:
            (made / picture.name).symlink_to(picture.resolve())
    return target


options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("source", type=Path)
options.add_argument("--share", type=float, default=1.0)
options.add_argument("--seed", type=int, default=2)
given = options.parse_args()

pictures = prepared(given.source, given.share)
print("pictures:", *(f"{part} {pictures.split(part).num_rows:,}" for part in pictures.splits))

torch.manual_seed(given.seed)
model = LeNet(inputs=(3, 32, 32))
tutorial = {"optimizer": "SGD:momentum=0.9", "lr": 0.001, "schedule": "constant", "batch_size": 4, "epochs": 2}
history = fit(model, pictures, device="cpu", workers=1, seed=given.seed, **tutorial)
for epoch in history:
    print(f"epoch {epoch.number}: loss {epoch.loss:.3f}")

found = evaluate(history.checkpoint, pictures, model=model)
print(f"accuracy on {found.rows:,} test pictures: {found.metrics['accuracy']:.2%}")
print("each class:", ", ".join(f"{name} {share:.0%}" for name, share in found.per_class.items()))
