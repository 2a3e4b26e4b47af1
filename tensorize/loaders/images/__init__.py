"""The `images` loader: a folder of images, or class folders, becomes `images` (row, channel, height, width)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.core.contracts import Array, Run, Traits
from tensorize.core.options import Options
from tensorize.loaders.images.options import ImagesOptions
from tensorize.loaders.jobs import JobLoader

if TYPE_CHECKING:
    import torch

    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet
    from tensorize.loaders.images.job import ImageJob
    from tensorize.loaders.images.scan import ImageScan


class Images(JobLoader):
    """Folders of images. The implementation is imported on use; this class is light.

    `images` (row, channel, height, width) float32 or uint8, input; `labels` (row) int64, target, where there are class
    folders; `row` (row) int64, meta: the position in the sorted list of all files. The paths are in `ts.meta["paths"]`.
    """

    Options: ClassVar[type[Options]] = ImagesOptions
    traits: ClassVar[Traits] = Traits("put the images into one folder for each class, and prepare them again", graph="pixels")

    def scan(self, source: Any, options: ImagesOptions, run: Run, schema: Schema | None = None) -> ImageScan:
        """List the images of a folder, a file, a glob, a list of files, or arrays, and read their headers.

        With `schema` (from a recipe) `train/ val/ test/` folders are read as one set.

        Raises UsageError where there is nothing of that name, DataError where there are no images, an empty class folder,
        broken images, or images of unlike sizes or depths.
        """
        from tensorize.loaders.images.scan import scan

        return scan(source, options, run, applied=schema is not None)

    def job(self, scan: ImageScan, options: ImagesOptions, run: Run) -> ImageJob:
        """Bind a scan to its way to tensors. Raises UsageError where `--split` or `--stratify` do not fit the folders."""
        from tensorize.loaders.images.job import ImageJob

        return ImageJob(scan, options, run)

    def batch(
        self, recipe: Recipe, stored: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the normalised `images` (row, channel, height, width) float32, and the `labels`, on the device they are on.

        uint8 images are looked up in the table that makes the float32 ones, so both have the same bits.
        """
        from tensorize.loaders.images.expand import expand

        images = {"images": expand(recipe, stored["images"])}
        return images, {name: stored[name] for name in ("labels",) if name in stored}

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Array | dict[str, Array]:
        """Return the pixels (row, channel, height, width) uint8 (uint16 for 16-bit images), or a dict of them by split."""
        from tensorize.loaders.images.expand import inverse

        return inverse(recipe, tensors)
