"""Plain text: characters or words become ids or one-hot rows.

options   what to make                          source    files → UTF-8 pieces cut after lines
tokens    a piece → tokens                      scan      all pieces, once, into scratch
state     what a recipe holds                   job       vocabulary, then the tensors
expand    stored tensors → model input → text
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorize.core.contracts import Run
from tensorize.loaders.jobs import JobLoader
from tensorize.loaders.text.options import TextOptions

if TYPE_CHECKING:
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet
    from tensorize.loaders.text.job import TextJob
    from tensorize.loaders.text.scan import TextScan


class Text(JobLoader):
    """Text in any encoding: see `TextOptions`. A source in memory is `{"text": "…"}`, or `{"text": ["a line", …]}`.

    >>> from tensorize import prepare
    >>> ts = prepare("text", {"text": "The cat, the dog."}, level="word")
    >>> ts["onehot"].shape, ts.recipe.inverse(ts)
    (torch.Size([4, 4]), ['the', 'cat', 'the', 'dog'])
    """

    Options = TextOptions

    def scan(self, source: Any, options: TextOptions, run: Run, schema: Schema | None = None) -> TextScan:
        """Raises DataError for what is no text in the encoding, or holds no token."""
        from tensorize.loaders.text.scan import TextScan
        from tensorize.loaders.text.source import text_files

        del schema
        return TextScan(text_files(source), options, run)

    def job(self, scan: TextScan, options: TextOptions, run: Run) -> TextJob:
        from tensorize.loaders.text.job import TextJob

        return TextJob(scan, options, run)

    def batch(self, recipe: Recipe, stored: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return `onehot` ([row,] token, symbol) float32, and no target."""
        from tensorize.loaders.text.expand import expand

        return {"onehot": expand(recipe, stored)}, {}

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Any:
        """See `tensorize.loaders.text.expand.inverse`."""
        from tensorize.loaders.text.expand import inverse

        return inverse(recipe, tensors)
