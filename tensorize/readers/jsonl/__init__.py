"""JSON Lines: one object on each line. Every line is checked; invalid ones are reported with their line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorize.readers.jsonl.options import JsonOptions

if TYPE_CHECKING:
    from tensorize.columns.reader import Needs, Rows
    from tensorize.core.contracts import Run
    from tensorize.sources.files import InputFile


class Jsonl:
    """Reads files whose lines are objects. A row is told as `data.jsonl:212`, the line."""

    Options: ClassVar[type[JsonOptions]] = JsonOptions
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    magic: ClassVar[tuple[bytes, ...]] = ()

    @staticmethod
    def recognises(file: InputFile) -> bool | None:
        """Whether its first line is an object, and another line begins as one does."""
        from tensorize.readers.jsonl.recognise import format_of

        return format_of(file) == "jsonl" or None

    def open(self, source: Any, options: JsonOptions, needs: Callable[[Sequence[str]], Needs], run: Run) -> Rows:
        """Parse the files once. Raises DataError for what is not certain."""
        from tensorize.readers.csv.encoding import utf8_pieces
        from tensorize.readers.jsonl.lines import line_blocks
        from tensorize.readers.jsonl.reader import JsonParser, RecordLayout

        def cut(file: InputFile, options: JsonOptions, size: int) -> Iterator[bytes]:
            pieces = utf8_pieces(file, options.encoding, size, options.max_expansion)
            return line_blocks(pieces, size, file.name, options.max_record)

        return JsonParser(source, options, needs, run, RecordLayout("JSON Lines", "line", cut)).rows()
