"""The `images` loader: a folder of images, or class folders, becomes `images` (row, channel, height, width)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.core.contracts import Array, Learned, Piece, Plan, Run, Traits
from tensorize.core.options import Options
from tensorize.loaders.images.options import ImagesOptions

if TYPE_CHECKING:
    import torch

    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet
    from tensorize.loaders.images.normalize import Normalizer
    from tensorize.loaders.images.opened import OpenedImages


class Images:
    """Folders of images. The implementation is imported on use; this class is light.

    `images` (row, channel, height, width) float32 or uint8, input; `labels` (row) int64, target, where there are class
    folders; `row` (row) int64, meta: the position in the sorted list of all files. The paths are in `ts.meta["paths"]`.
    """

    Options: ClassVar[type[Options]] = ImagesOptions
    traits: ClassVar[Traits] = Traits("put the images into one folder for each class, and prepare them again", graph="pixels")

    def __init__(self) -> None:
        self._last: tuple[Recipe, Normalizer] | None = None

    def open(self, source: Any, options: ImagesOptions, run: Run, schema: Schema | None = None) -> OpenedImages:
        """List the images of a folder, a file, a glob, a list of files, or arrays, and read their headers.

        With `schema` (from a recipe) `train/ val/ test/` folders are read as one set. Where images may be left out
        (`--on-bad skip`), all are decoded here.

        Raises UsageError if there is nothing of that name, DataError if there are no images, an empty class folder, broken
        images, or images that differ in size or depth.
        """
        from tensorize.loaders.images.opened import open_images

        return open_images(source, options, run, applied=schema is not None)

    def learn(self, rows: OpenedImages, options: ImagesOptions, run: Run) -> Plan:
        """See `tensorize.loaders.images.plan.learn`."""
        from tensorize.loaders.images.plan import learn

        return learn(rows, options, run)

    def plan(self, rows: OpenedImages, options: ImagesOptions, run: Run, learned: Sequence[Learned]) -> Plan:
        """See `tensorize.loaders.images.plan.plan`."""
        from tensorize.loaders.images.plan import plan

        return plan(rows, options, run, learned)

    def apply(self, plan: Plan, rows: OpenedImages, run: Run) -> Iterator[Piece]:
        """See `tensorize.loaders.images.plan.pieces`."""
        from tensorize.loaders.images.plan import pieces

        return pieces(plan, rows, run)

    def finish(self, plan: Plan, found: Any) -> Plan:
        """See `tensorize.loaders.images.plan.finished`."""
        from tensorize.loaders.images.plan import finished

        return finished(plan, found)

    def batch(
        self, recipe: Recipe, stored: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the normalised `images` (row, channel, height, width) float32, and the `labels`, on the device they are on.

        uint8 images are looked up in the table that makes the float32 ones, so both have the same bits.
        """
        images = stored["images"]
        expanded = images if images.is_floating_point() else self._normalizer(recipe).expand(images)
        return {"images": expanded}, {name: stored[name] for name in ("labels",) if name in stored}

    def _normalizer(self, recipe: Recipe) -> Normalizer:
        """The tables of the last recipe are kept: they take longer to make than a batch."""
        from tensorize.loaders.images.normalize import normalizer_of

        last = self._last
        if last is None or last[0] is not recipe:
            self._last = last = (recipe, normalizer_of(recipe))
        return last[1]

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Array | dict[str, Array]:
        """Return the pixels (row, channel, height, width) uint8 (uint16 for 16-bit images), or a dict of them by split."""
        from tensorize.loaders.images.normalize import inverse

        return inverse(recipe, tensors)
