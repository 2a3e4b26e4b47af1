"""Plain text: characters or words become ids or one-hot rows.

options   what to make                          source    files → UTF-8 pieces that end after lines
lines     which lines are kept                  tokens    a piece → tokens
opened    the whole text, in the engine's store chunks    tokens of a split, whole lines
state     what a recipe holds                   plan      vocabulary, splits, shapes
apply     the finished rows                     expand    stored tensors → model input → text
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.core.contracts import Learned, Piece, Plan, Run, Traits
from tensorize.loaders.text.options import TextOptions

if TYPE_CHECKING:
    from tensorize.core.recipe import Recipe
    from tensorize.core.schema import Schema
    from tensorize.core.tensorset import TensorSet
    from tensorize.loaders.text.opened import OpenedText


class Text:
    """Text in any encoding: see `TextOptions`. A source in memory is `{"text": "…"}`, or `{"text": ["a line", …]}`.

    >>> from tensorize import prepare
    >>> ts = prepare("text", {"text": "The cat, the dog."}, level="word")
    >>> ts["onehot"].shape, ts.recipe.inverse(ts)
    (torch.Size([4, 4]), ['the', 'cat', 'the', 'dog'])
    """

    Options = TextOptions
    traits: ClassVar[Traits] = Traits("text alone has none; what is to be told from it stands in a table")

    def open(self, source: Any, options: TextOptions, run: Run, schema: Schema | None = None) -> OpenedText:
        """Read the text once; its tokens go to the engine's store.

        Raises DataError if it is not text in the encoding, or holds no token, UsageError if there is no such file.
        """
        from tensorize.loaders.text.opened import open_text
        from tensorize.loaders.text.source import text_files

        del schema
        return open_text(text_files(source), options, run)

    def learn(self, rows: OpenedText, options: TextOptions, run: Run) -> Plan:
        """See `tensorize.loaders.text.plan.learn`."""
        from tensorize.loaders.text.plan import learn

        return learn(rows, options, run)

    def plan(self, rows: OpenedText, options: TextOptions, run: Run, learned: Sequence[Learned]) -> Plan:
        """See `tensorize.loaders.text.plan.plan`."""
        from tensorize.loaders.text.plan import plan

        return plan(rows, options, run, learned)

    def apply(self, plan: Plan, rows: OpenedText, run: Run) -> Iterator[Piece]:
        """See `tensorize.loaders.text.apply.pieces`."""
        from tensorize.loaders.text.apply import pieces

        return pieces(plan, rows, run)

    def finish(self, plan: Plan, found: Any) -> Plan:
        """See `tensorize.loaders.text.apply.finished`."""
        from tensorize.loaders.text.apply import finished

        return finished(plan, found)

    def batch(self, recipe: Recipe, stored: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return `onehot` ([row,] token, symbol) float32, and no target."""
        from tensorize.loaders.text.expand import expand

        return {"onehot": expand(recipe, stored)}, {}

    def inverse(self, recipe: Recipe, tensors: TensorSet) -> Any:
        """See `tensorize.loaders.text.expand.inverse`."""
        from tensorize.loaders.text.expand import inverse

        return inverse(recipe, tensors)
