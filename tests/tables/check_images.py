"""Every pixel of prepared images beside Pillow and numpy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from tensorize import read

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test"}
FIXED = {"imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), "half": ([0.5], [0.5]), "none": ([0.0], [1.0])}


def check_images(source: Path, made: Path) -> list[str]:
    """The faults of the file `made` of a folder, none where every pixel and label is as computed here."""
    tensors = read(made)
    options = json.loads(tensors.recipe.to_json()).get("options", {})
    if {"split", "scaled_decode", "on_bad"} & options.keys():
        return [f"unchecked: {options}"]
    paths = [path for path in sorted(source.rglob("*"), key=str) if path.is_file()]
    sets: dict[str, list[Path]] = {}
    for path in paths:
        first = path.relative_to(source).parts[0]
        sets.setdefault(f"{SPLITS[first]}/" if first in SPLITS else "", []).append(path)
    pixels = {name: decoded(chosen, options) for name, chosen in sets.items()}
    mean, std = moments(pixels.get("train/", pixels.get("")), options)
    faults = []
    for name, found in pixels.items():
        wanted = found if options.get("dtype") == "uint8" else ((found / 255 - mean) / std).astype(np.float32)
        faults += _compare(f"{name}images", tensors[f"{name}images"].numpy(), wanted)
        faults += _labels(tensors, name, sets, source)
    return faults


def decoded(paths: Sequence[Path], options: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    """(row, channel, height, width) uint8."""
    return np.stack([np.moveaxis(_pixels(path, options), 2, 0) for path in paths])


def _pixels(path: Path, options: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
    if image.has_transparency_data:
        image = _opaque(image.convert("RGBA"), options.get("alpha", "error"))
    image = image.convert("L" if options.get("channels") == "gray" else "RGB")
    if options.get("size"):
        image = _sized(image, [int(side) for side in str(options["size"]).split("x")], options.get("fit", "crop"))
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _opaque(image: Image.Image, policy: str) -> Image.Image:
    """Without its transparent pixels: laid on a ground, which is exact in integers, rounded to the nearest."""
    pixels = np.asarray(image).astype(int)
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    ground = 255 if policy == "white" else 0
    mixed = colours if policy == "drop" else (2 * (colours * alpha + ground * (255 - alpha)) + 255) // 510
    return Image.fromarray(mixed.astype(np.uint8))


def _sized(image: Image.Image, sides: Sequence[int], fit: str) -> Image.Image:
    height, width = sides if len(sides) == 2 else (sides[0], sides[0])
    if image.size == (width, height):
        return image
    how = {"crop": ImageOps.fit, "pad": ImageOps.pad, "stretch": Image.Image.resize}[fit]
    return how(image, (width, height), Image.Resampling.BILINEAR)


def moments(pixels: npt.NDArray[np.uint8], options: Mapping[str, Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Mean and std of each channel, (channel, 1, 1), of pixels in 0…1; a constant channel has std 1."""
    if options.get("normalize", "dataset") != "dataset":
        mean, std = FIXED[options["normalize"]]
        return np.array(mean)[:, None, None], np.array(std)[:, None, None]
    values = np.moveaxis(pixels, 1, 0).reshape(pixels.shape[1], -1) / 255
    std = np.where(np.ptp(values, axis=1) == 0, 1, values.std(axis=1, ddof=1))
    return values.mean(axis=1)[:, None, None], std[:, None, None]


def _compare(what: str, found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> list[str]:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return [f"{what}: {found.dtype} {found.shape}, not {wanted.dtype} {wanted.shape}"]
    off = ~np.isclose(found.astype(float), wanted.astype(float), rtol=1e-6, atol=1e-6)
    return [f"{what}: {int(off.sum())} values differ"] if off.any() else []


def _labels(tensors: Any, name: str, sets: Mapping[str, Sequence[Path]], source: Path) -> list[str]:
    """The classes are the folders of all splits, sorted."""
    at = 1 if name else 0
    folders = {key: [path.relative_to(source).parts[at] for path in paths] for key, paths in sets.items()}
    classes = sorted({folder for found in folders.values() for folder in found})
    if all(len(path.relative_to(source).parts) == at + 1 for paths in sets.values() for path in paths):
        return [f"{name}labels without folders"] if f"{name}labels" in tensors else []
    wanted = np.array([classes.index(folder) for folder in folders[name]])
    return [] if np.array_equal(tensors[f"{name}labels"].numpy(), wanted) else [f"{name}labels differ"]
