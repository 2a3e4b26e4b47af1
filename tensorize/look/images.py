"""What a folder of images holds: classes, sizes, modes; and what to do about transparency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensorize.core.errors import DataError, plural
from tensorize.loaders.images.errors import ImageError
from tensorize.loaders.images.header import open_image, read_header
from tensorize.loaders.images.listing import list_images
from tensorize.loaders.images.options import ImagesOptions
from tensorize.look.choices import Choice

LOOKED_AT = 2000
"""Images whose headers are read for the picture."""
NAMED = 8


@dataclass(frozen=True)
class SeenImage:
    """What was seen of one image, before it is decoded."""

    size: str
    mode: str
    alpha: bool


def look_at(source: Any, given: Mapping[str, Any]) -> tuple[list[str], list[Choice]]:
    """(notes, choices) on a folder, a glob or a list of images; arrays in memory have none."""
    try:
        listing = list_images(source)
    except (DataError, TypeError):
        return [], []
    seen = list(_seen(listing.files[:LOOKED_AT]))
    more = f" of the first {LOOKED_AT:,}" if len(listing.files) > LOOKED_AT else ""
    notes = [
        f"sizes{more}: {_counted(Counter(item.size for item in seen))}",
        f"modes{more}: {_counted(Counter(item.mode for item in seen))}",
    ]
    if listing.classes:
        notes.insert(0, f"classes: {_counted(Counter(listing.classes))}")
    clear = sum(item.alpha for item in seen)
    if not clear or "alpha" in given:
        return notes, []
    return notes, [Choice("alpha", "white", f"{plural(clear, 'image has', 'images have')} an alpha channel: white lies behind")]


def _seen(files: Any) -> Iterator[SeenImage]:
    """The images whose headers can be read."""
    limits = ImagesOptions.parse({}).limits
    for path in files:
        try:
            header, _, data = read_header(path, limits)
            with open_image(data, header.format) as image:
                alpha = "A" in image.mode or "transparency" in image.info
                yield SeenImage(f"{header.height}×{header.width}", image.mode, alpha)
        except (ImageError, OSError, ValueError):
            continue


def _counted(counts: Counter[str]) -> str:
    said = [f"{name} {count:,}" for name, count in counts.most_common(NAMED)]
    return ", ".join(said) + (f" … and {len(counts) - NAMED:,} more" if len(counts) > NAMED else "")
