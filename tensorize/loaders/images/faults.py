"""Images that cannot be used: refused together, or left out one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tensorize.core.errors import DataError, plural, some
from tensorize.core.rejects import Reject, Rejects
from tensorize.loaders.images.decode import TransparentError
from tensorize.loaders.images.error import ImageError
from tensorize.loaders.images.source import Source


class Fault(NamedTuple):
    """What is wrong with the image at a position of the source."""

    row: int
    error: ImageError


def refuse(source: Source, faults: Sequence[Fault]) -> None:
    """Raise DataError for the images that cannot be used, if any: the broken ones first, then the transparent."""
    broken = [fault for fault in faults if not isinstance(fault.error, TransparentError)]
    lines = [f"{source.listing.paths[row]}  {error}" for row, error in broken or faults]
    if broken:
        raise DataError(f"{plural(len(broken), 'image')} cannot be read", lines, "repair or remove them, or --on-bad skip")
    if faults:
        what = plural(len(faults), "image is", "images are") + " transparent"
        raise DataError(what, some(lines), "say what lies behind: --alpha white | black, or --alpha drop to ignore it")


def leave_out(source: Source, faults: Sequence[Fault], rejects: Rejects) -> None:
    """Hand in what is left out, in the order of the source. Raises DataError where that is too much, or everything."""
    names = source.listing.files or source.listing.paths
    rejects.saw(len(names), "image")
    for row, error in sorted(faults, key=lambda fault: fault.row):
        rejects.add(Reject(names[row], error.kind, str(error), row))
    rejects.check()
    if len(faults) == len(names):
        raise DataError(f"none of {plural(len(names), 'image')} is left")
