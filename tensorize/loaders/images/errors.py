"""Images that cannot be used: what is wrong with one, and how they are refused together or left out one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from tensorize.core.errors import DataError, plural, some
from tensorize.core.rejects import Reject, Rejects

T = TypeVar("T")


class ImageError(ValueError):
    """What is wrong with one image; `kind` is the word under which rejects are counted.

    A user sees a DataError over all such images, or a reject for each.
    """

    def __init__(self, what: str, kind: str = "damaged") -> None:
        super().__init__(what)
        self.kind = kind


class TransparentError(ImageError):
    """The image has transparent pixels, and `--alpha` does not say what lies behind them."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "transparent")


class Fault(NamedTuple):
    """What is wrong with the image at a position of the source."""

    row: int
    error: ImageError


def caught(function: Callable[[int], T], row: int) -> T | ImageError:
    """The result for a row, or what is wrong with that image."""
    try:
        return function(row)
    except ImageError as error:
        return error


def refuse_images(paths: Sequence[str], faults: Sequence[Fault]) -> None:
    """Raise DataError for the images that cannot be used, if any: the broken ones first, then the transparent.

    `paths` (row) are their names.
    """
    broken = [fault for fault in faults if not isinstance(fault.error, TransparentError)]
    lines = [f"{paths[row]}  {error}" for row, error in broken or faults]
    if broken:
        raise DataError(
            f"{plural(len(broken), 'image')} cannot be read",
            lines,
            "repair or remove them, or --on-bad skip",
            {"on_bad": "skip"} | ({"alpha": "white"} if len(broken) < len(faults) else {}),
        )
    if faults:
        what = plural(len(faults), "image is", "images are") + " transparent"
        hint = "say what lies behind: --alpha white | black, or --alpha drop to ignore it"
        raise DataError(what, some(lines), hint, {"alpha": "white"})


def leave_out(names: Sequence[str], faults: Sequence[Fault], rejects: Rejects) -> None:
    """Hand in the rejects in the order of the source. Raises DataError if they are too many, or all images."""
    rejects.saw(len(names), "image")
    for row, error in sorted(faults, key=lambda fault: fault.row):
        rejects.add(Reject(names[row], error.kind, str(error), row))
    rejects.check()
    if len(faults) == len(names):
        raise DataError(f"none of {plural(len(names), 'image')} is left")
