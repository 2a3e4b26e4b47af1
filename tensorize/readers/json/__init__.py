"""JSON: an array of objects, or objects that follow each other. Every record is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.readers.jsonl.options import JsonOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run
    from tensorize.sources.files import InputFile


class Json:
    """Reads arrays of objects record by record. A row is told as `data.json:212`, the 212th record, from 1."""

    Options: ClassVar[type[JsonOptions]] = JsonOptions
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    magic: ClassVar[tuple[bytes, ...]] = ()

    @staticmethod
    def recognises(file: InputFile) -> bool | None:
        """Whether it begins as an array of objects does, or as an object that takes several lines."""
        from tensorize.readers.jsonl.recognise import format_of

        return format_of(file) == "json" or None

    def open(self, source: Any, options: JsonOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Parse the files once. Raises DataError for what is not certain, and for tables that are written in another way."""
        from tensorize.readers.csv.encoding import utf8_pieces
        from tensorize.readers.json.records import record_blocks
        from tensorize.readers.json.shapes import check_shape
        from tensorize.readers.jsonl.reader import JsonParser, RecordLayout

        def cut(file: InputFile, options: JsonOptions, size: int) -> Iterator[bytes]:
            check_shape(file, options.max_expansion)
            pieces = utf8_pieces(file, options.encoding, size, options.max_expansion)
            return record_blocks(pieces, size, file.name, options.max_record)

        return JsonParser(source, options, needs, run, RecordLayout("JSON", "record", cut)).rows()
