"""What the tags of a TIFF say that Pillow passes over."""

from __future__ import annotations

from typing import Any

from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ROWSPERSTRIP,
    SAMPLESPERPIXEL,
    STRIPOFFSETS,
    TILEOFFSETS,
    TiffImageFile,
)

from tensorize.loaders.images.error import ImageError

_TILE_WIDTH, _TILE_HEIGHT = 322, 323


def bits(image: TiffImageFile) -> int:
    """8 or 16. Raises ImageError for what Pillow would cut, reinterpret or leave black without a word."""
    _check_parts(image)
    depths = tuple(image.tag_v2.get(BITSPERSAMPLE, (1,)))
    if image.mode == "LAB":
        raise ImageError("its colours are in LAB; convert it to RGB", "unsupported")
    if max(depths) <= 8:
        return 8
    if image.mode.startswith("I;16") and depths == (16,) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 1:
        return 16
    said = "+".join(map(str, depths))
    raise ImageError(f"a TIFF of {said} bits ({image.mode}) cannot be read exactly; convert it to PNG", "unsupported")


def _check_parts(image: TiffImageFile) -> None:
    """Raise ImageError where there are fewer strips or tiles than the image has: Pillow leaves the rest black."""
    tags = image.tag_v2
    width, height = tags[IMAGEWIDTH], tags[IMAGELENGTH]
    if TILEOFFSETS in tags:
        across, down, found = tags.get(_TILE_WIDTH, width), tags.get(_TILE_HEIGHT, height), len(_several(tags[TILEOFFSETS]))
    else:
        across, down, found = width, tags.get(ROWSPERSTRIP, height), len(_several(tags.get(STRIPOFFSETS, ())))
    planes = tags.get(SAMPLESPERPIXEL, 1) if tags.get(PLANAR_CONFIGURATION) == 2 else 1
    wanted = -(-width // max(across, 1)) * -(-height // max(down, 1)) * planes
    if found < wanted:
        raise ImageError(f"it has {found:,} of its {wanted:,} strips or tiles")


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
