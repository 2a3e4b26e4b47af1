"""Handwritten digits, 1,797 real pictures of 8×8 that come with scikit-learn, told apart by four models.

They are written as a folder of pictures first, one folder for each digit, and then prepared like any other such folder.

Run it as:

    python samples/digits.py               # in a folder that is removed afterwards
    python samples/digits.py digits/       # keep the pictures there
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from lenet import LeNet
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

import tensorize
from tensorize.train import evaluate, fit


def write(folder: Path) -> None:
    """One PNG for each digit: `3/0042.png`. Their 17 shades, 0 … 16, become 0 … 255."""
    digits = load_digits()
    for index, (picture, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(picture * 255 / 16).astype(np.uint8)).save(folder / str(digit) / f"{index:04}.png")


class ThreeConvolutions(nn.Sequential):
    """Each halves the picture; the last gives a channel for each digit, of which the mean is taken."""

    def __init__(self) -> None:
        halving = {"kernel_size": 3, "stride": 2, "padding": 1}
        super().__init__(
            nn.Conv2d(1, 16, **halving),
            nn.ReLU(),
            nn.Conv2d(16, 16, **halving),
            nn.ReLU(),
            nn.Conv2d(16, 10, **halving),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


def score(name: str, model: str | nn.Module, data: tensorize.TensorSet, **settings: object) -> None:
    history = fit(model, data, workers=1, **settings)
    found = evaluate(history.checkpoint, data, model=model if isinstance(model, nn.Module) else None)
    print(f"{name}: {found.metrics['accuracy']:.2%} of {found.rows} test digits", flush=True)


def main(folder: Path) -> None:
    write(folder)
    torch.manual_seed(0)
    digits = tensorize.prepare("images", folder, channels="gray", split="0.8,0.2", stratify=True)
    descent = {"optimizer": "SGD:momentum=0.9", "epochs": 60}
    score("logistic regression", "linear", digits, lr=0.03, **descent)
    score("three convolutions", ThreeConvolutions(), digits, lr=0.1, **descent)

    double = tensorize.prepare("images", folder, channels="gray", size=16, split="0.8,0.2", stratify=True)
    score("cnn, at 16×16", "cnn", double, loss="CrossEntropyLoss:label_smoothing=0.1")

    large = tensorize.prepare("images", folder, channels="gray", size=32, split="0.8,0.2", stratify=True)
    score("LeNet, at 32×32", LeNet(), large, lr=0.01, **descent)


if len(sys.argv) > 1:
    main(Path(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
