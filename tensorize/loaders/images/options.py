"""What to make of a folder of images."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from tensorize.core.options import BadOptions, SplitOptions
from tensorize.core.units import parse_size

PIXELS = 89_478_485


class Limits(NamedTuple):
    """The most that one image may have or take."""

    pixels: int
    frames: int
    seconds: int
    """Of processor time, for images that are decoded in a separate process."""
    memory: int
    """Bytes."""


def _size(value: Any) -> Any:
    """Accept 224 and (224, 160) for "224" and "224x160"."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return value


Size = Annotated[str, BeforeValidator(_size)]


def _memory(value: Any) -> Any:
    """Accept a number of bytes."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str):
        parse_size(text)
    return text


class ImagesOptions(BadOptions, SplitOptions):
    """Options of the kind `images`."""

    limiting: ClassVar[tuple[str, ...]] = ("max_pixels", "max_frames", "max_seconds", "max_memory")

    channels: Literal["rgb", "gray"] = Field(
        "rgb", description="Colour channels: red, green, blue, or one of luma (ITU-R 601). Gray images are repeated for rgb."
    )
    size: Size | None = Field(
        None,
        description="Height and width in pixels: 224, or 224x160 (height first). Without it all images must agree.",
        json_schema_extra={"metavar": "HxW"},
    )
    fit: Literal["crop", "pad", "stretch"] = Field(
        "crop",
        description="With --size: cover it and crop the centre, fit inside and pad with black, or change the aspect ratio. "
        "Bilinear, antialiased.",
    )
    alpha: Literal["error", "white", "black", "drop"] = Field(
        "error",
        description="Transparent pixels: refuse, lay on white or black, or drop the alpha channel. Opaque ones are no error.",
    )
    normalize: Literal["dataset", "imagenet", "half", "none"] = Field(
        "dataset",
        description="Each channel by mean and std of the train pixels, by ImageNet's, by 0.5 and 0.5, or only to 0…1.",
    )
    dtype: Literal["float32", "uint8"] = Field(
        "float32",
        description="What is stored: normalised numbers, or pixels, normalised as they are read (a quarter of the bytes).",
    )
    scaled_decode: bool = Field(
        False,
        description="With --size of at most half: the JPEG decoder shrinks by 2, 4 or 8 first. Faster; pixels differ a little.",
    )
    stratify: bool = Field(False, description="With --split: every class in the same ratios.")
    max_pixels: int = Field(PIXELS, ge=1, description="Refuse an image of more pixels than this, before it is decoded.")
    max_frames: int = Field(
        1000, ge=1, description="Refuse an image of more frames or pages than this; of one that has fewer the first is taken."
    )
    max_seconds: int = Field(60, ge=1, description="Processor time that decoding one image may take.")
    max_memory: Annotated[str, BeforeValidator(_memory)] = Field(
        "1GiB", description="Memory that one image may take, its file too.", json_schema_extra={"metavar": "SIZE"}
    )

    @field_validator("size")
    @classmethod
    def _height_and_width(cls, size: str | None) -> str | None:
        if size is not None and not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?", size, re.ASCII):
            raise ValueError("give pixels, such as 224, or height and width, such as 224x160")
        return size

    @field_validator("normalize")
    @classmethod
    def _imagenet_is_rgb(cls, normalize: str, info: ValidationInfo) -> str:
        if normalize == "imagenet" and info.data.get("channels") == "gray":
            raise ValueError("ImageNet's means and stds are for rgb; with --channels gray say dataset, half or none")
        return normalize

    @field_validator("stratify")
    @classmethod
    def _stratify_splits(cls, stratify: bool, info: ValidationInfo) -> bool:
        if stratify and not info.data.get("split"):
            raise ValueError("there is nothing to stratify without --split")
        return stratify

    @cached_property
    def height_and_width(self) -> tuple[int, int] | None:
        """`size` in pixels, or None if the images keep theirs.

        >>> ImagesOptions(size="224x160").height_and_width, ImagesOptions(size=32).height_and_width
        ((224, 160), (32, 32))
        """
        if self.size is None:
            return None
        height, _, width = self.size.partition("x")
        return int(height), int(width or height)

    @cached_property
    def limits(self) -> Limits:
        """What one image may cost."""
        return Limits(self.max_pixels, self.max_frames, self.max_seconds, parse_size(self.max_memory))

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The labels of the channel axis: red, green, blue, or gray."""
        return ("red", "green", "blue") if self.channels == "rgb" else ("gray",)
