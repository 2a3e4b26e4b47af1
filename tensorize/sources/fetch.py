"""Download the public files that the examples are written for, each checked by its SHA-256."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tensorize.core.errors import DataError, RunError, TensorizeError, UsageError, near
from tensorize.sources.addresses import shown_source
from tensorize.sources.files import InputFile

_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"
_BOOK = "https://raw.githubusercontent.com/deep-learning-with-pytorch/dlwpt-code"
_UDACITY = "https://raw.githubusercontent.com/udacity/deep-learning-v2-pytorch"


@dataclass(frozen=True)
class PublicFile:
    """One file: where it goes below the folder, the SHA-256 that it must have, and where it comes from."""

    path: str
    sha256: str
    url: str


@dataclass(frozen=True)
class PublicDataSet:
    """One public data set: what it is, in a line, and its files."""

    summary: str
    files: tuple[PublicFile, ...]

    @classmethod
    def of(cls, summary: str, *files: tuple[str, str, str]) -> Self:
        """A data set of files, each as (path, SHA-256, URL)."""
        return cls(summary, tuple(PublicFile(*file) for file in files))


ORIGINALS = {
    "wine": PublicDataSet.of(
        "4,898 white wines: eleven measurements and a score (Cortez et al., 2009; UCI).",
        (
            "wine/winequality-white.csv",
            "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
            f"{_UCI}/wine-quality/winequality-white.csv",
        ),
    ),
    "bikes": PublicDataSet.of(
        "17,379 hours of bike hire in Washington, some hours missing (Fanaee-T and Gama, 2013; UCI).",
        (
            "bikes/hour.csv",
            "e03de4ee4ef4dc376ac6e04bf829673c6269e8eba5c60fa121640fa2f829504f",
            f"{_UDACITY}/cb8954f3e0bb25d9e5906f51a798c3b054aacca0/project-bikesharing/Bike-Sharing-Dataset/hour.csv",
        ),
    ),
    "bikes-fixed": PublicDataSet.of(
        "The same with the missing hours filled: 730 whole days.",
        (
            "bikes/hour-fixed.csv",
            "ae5b1b828676fb7696ebfd838f105c71cda9c867aa752f75eed6fa6d0eacf991",
            f"{_BOOK}/aaf7573743d50b3fba2900a4fb8154bee62c258f/data/p1ch4/bike-sharing-dataset/hour-fixed.csv",
        ),
    ),
    "pride": PublicDataSet.of(
        "Pride and Prejudice as plain text (Project Gutenberg, no. 1342).",
        (
            "text/1342-0.txt",
            "c96e628c6f84bf45d3cee2c2da66166ccbeda328ecb76bb9b2ab1bc91961d0d1",
            f"{_BOOK}/5d8b0818e5d9528c3402b909d3f560ddbac7d1a4/data/p1ch4/jane-austen/1342-0.txt",
        ),
    ),
    "cats": PublicDataSet.of(
        "Three pictures of cats, 256×256.",
        (
            "images/cats/cat1.png",
            "e87d082c3d9465126a0e66f95b0111be8d300223c24a7590604e622cba662699",
            f"{_BOOK}/492f7544654797a73cf8aeed5a24d7c2dd92da89/data/p1ch4/image-cats/cat1.png",
        ),
        (
            "images/cats/cat2.png",
            "5fe15f80c49c9ecb7c72dcdc276d43a04c0559dc9bf62d5de17c72c5b777283f",
            f"{_BOOK}/492f7544654797a73cf8aeed5a24d7c2dd92da89/data/p1ch4/image-cats/cat2.png",
        ),
        (
            "images/cats/cat3.png",
            "903322dcc2bb2930013d58cd39c6ae6f55c5b1b640ef3129b30c0000c6858c93",
            f"{_BOOK}/492f7544654797a73cf8aeed5a24d7c2dd92da89/data/p1ch4/image-cats/cat3.png",
        ),
    ),
    "dog": PublicDataSet.of(
        "One photograph of a dog.",
        (
            "images/dog/bobby.jpg",
            "71d4d4ae4f00f5febb1f178153673bc456d15f305f6d58517679340dcfbf5914",
            f"{_BOOK}/aaf7573743d50b3fba2900a4fb8154bee62c258f/data/p1ch2/bobby.jpg",
        ),
    ),
}
"""Name → data set."""


def fetch(name: str, folder: str | Path, *, mirror: str | None = None, force: bool = False) -> Path:
    """Download a public data set below `folder`, and return its file, or its folder where it has several.

    A file that is there already with the right sum is not downloaded again. `mirror` is the address of a folder that
    holds the same files under the same relative paths (`wine/winequality-white.csv`).

    Raises UsageError for a name that is not known and for another file in its place (unless `force`), DataError where
    the sum is wrong, RunError if the file cannot be downloaded or written. Nothing is left of a download that failed.
    """
    if name not in ORIGINALS:
        raise UsageError(
            f'there is no public data set "{name}"{near(name, ORIGINALS)}', hint="data sets: " + ", ".join(ORIGINALS)
        )
    targets = [_fetch_file(file, Path(folder), mirror, force) for file in ORIGINALS[name].files]
    return targets[0] if len(targets) == 1 else targets[0].parent


def _fetch_file(file: PublicFile, folder: Path, mirror: str | None, force: bool) -> Path:
    target = folder / file.path
    if target.exists():
        if _digest(target) == file.sha256:
            return target
        if not force:
            raise UsageError(f"{target} exists and is another file", hint="move it away, or replace it with --force")
    url = f"{mirror.rstrip('/')}/{file.path}" if mirror else file.url
    with _beside(target) as part:
        _download(url, part)
        found = _digest(part)
        if found != file.sha256:
            raise DataError(
                f"{shown_source(url)} is not the file that was expected",
                [f"SHA-256 expected  {file.sha256}", f"SHA-256 found     {found}"],
                "it was changed at its source or on the way; try again, or name another source with --mirror URL",
            )
        os.replace(part, target)
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """The name of a temporary file beside `target`; afterwards it is gone, and so are folders that stayed empty."""
    made = [parent for parent in target.parents if not parent.exists()]
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
    except RunError:
        raise
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror}", hint="name another folder") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def _download(url: str, part: Path) -> None:
    try:
        (file,) = InputFile.elsewhere(url)
        with file.stored() as stream, part.open("wb") as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
    except TensorizeError as error:
        raise RunError(
            f"{shown_source(url)} cannot be downloaded: {error.what}",
            hint="check the network and try again, or name another source with --mirror URL",
        ) from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
