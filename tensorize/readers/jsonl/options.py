"""How JSON is read into columns."""

from __future__ import annotations

from typing import ClassVar

from tensorize.core.options import Bytes, Options, flag


class JsonOptions(Options):
    """Options of the `jsonl` and `json` readers."""

    limiting: ClassVar[tuple[str, ...]] = ("max_columns", "max_record", "max_expansion")

    flatten: int = flag(
        8, "Turn objects in objects into columns such as customer.city, down to this many levels.", "N", ge=0, le=64
    )
    encoding: str = flag("utf-8-sig", "The encoding of the text.", "NAME")
    max_columns: int = flag(65_536, "Refuse a table of more columns.", "N", ge=1)
    max_record: Bytes = flag(64 << 20, "Refuse a line or a record of more bytes, such as 256MB.", "SIZE", le=1 << 30)
    max_expansion: int = flag(200, "Refuse a compressed file that grows to more than this many times its size.", "N", ge=1)
