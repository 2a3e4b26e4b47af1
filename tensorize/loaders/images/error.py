"""What is wrong with one image."""

from __future__ import annotations


class ImageError(ValueError):
    """One image that cannot be used, and why; `kind` is the word that the counts of rejects go by.

    What a user sees is a DataError over all of them, or a reject.
    """

    def __init__(self, what: str, kind: str = "damaged") -> None:
        super().__init__(what)
        self.kind = kind
