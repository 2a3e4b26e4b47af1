"""A Parquet file before its first number: where every row group and column lies, and the footer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import pyarrow as pa

from tensorize.core.contracts import Layout
from tensorize.exporters.parquet.pages import (
    ColumnChunk,
    column_schema,
    form_of,
    number_chunk,
    split_chunk,
    text_chunk,
    text_schema,
)
from tensorize.exporters.parquet.thrift import Value, binary, i32, i64, items, open_struct, struct
from tensorize.exporters.rowwise.index import TextPart
from tensorize.exporters.rowwise.placement import RowPlacement, Split
from tensorize.exporters.rowwise.table import SPLIT, SampleTable, text_key
from tensorize.storage.plan import FilePlan, Patch

MAGIC = b"PAR1"
_VERSION = 2


def plan_parquet(layout: Layout, *, by_channel: bool) -> FilePlan:
    """Plan the file of a layout without a refusal."""
    return _Planned(SampleTable.of(layout, by_channel=by_channel)).plan()


@dataclass(frozen=True)
class _Planned:
    table: SampleTable

    @cached_property
    def _same(self) -> dict[tuple[Split, int], list[ColumnChunk]]:
        """The chunks that are the same in all groups of a split with as many rows."""
        return {}

    def _chunks(self, split: Split, rows: int) -> list[ColumnChunk]:
        """The columns of a group, without those of text."""
        if (split, rows) not in self._same:
            first = [split_chunk(SPLIT, split, rows)] if split else []
            self._same[split, rows] = first + [number_chunk(column, rows) for column in self.table.columns]
        return self._same[split, rows]

    def _texts(self, split: Split, start: int, stop: int) -> list[tuple[str, ColumnChunk, int]]:
        """The columns of text of a group: (name of the text, chunk, where in it the strings begin)."""
        found = ((name, text_chunk(column, self.table.text(split, name, start, stop))) for column, name in self._named_texts)
        return [(name, chunk, data) for name, (chunk, data) in found]

    @property
    def _named_texts(self) -> list[tuple[str, str]]:
        return list(self.table.texts.items())

    def _groups(self) -> Iterator[tuple[Split, int, int, list[ColumnChunk], list[tuple[str, ColumnChunk, int]]]]:
        """Each group: (split, rows, its offset, the columns, those of text)."""
        at = len(MAGIC)
        for split, start, stop in self.table.groups():
            chunks, texts = self._chunks(split, stop - start), self._texts(split, start, stop)
            yield split, stop - start, at, chunks, texts
            at += sum(chunk.size for chunk in chunks) + sum(chunk.size for _, chunk, _ in texts)

    def plan(self) -> FilePlan:
        placed, groups, end = RowPlacement(self.table, form_of, "lengths"), [], len(MAGIC)
        for split, rows, start, chunks, texts in self._groups():
            whole = [*chunks, *(chunk for _, chunk, _ in texts)]
            *places, end = accumulate((chunk.size for chunk in whole), initial=start)
            numbers = list(zip(chunks, places, strict=False))[1 if split else 0 :]
            placed.add(split, start, [at - start + len(chunk.head) for chunk, at in numbers])
            for (name, chunk, data), at in zip(texts, places[len(chunks) :], strict=True):
                part = TextPart(rows=rows, at=at, size=chunk.size, data=data)
                placed.texts[text_key(split, name)].append(part)
            columns = items(chunk.meta(at) for chunk, at in zip(whole, places, strict=True))
            groups.append(struct({1: columns, 2: i64(end - start), 3: i64(rows)}))
        footer, recipe_at = self._footer(groups)
        return placed.plan(self._early(), end, footer, recipe_at)

    def _early(self) -> Iterator[Patch]:
        """The bytes around the numbers."""
        yield 0, MAGIC
        for _, _, start, chunks, texts in self._groups():
            whole = [*chunks, *(chunk for _, chunk, _ in texts)]
            for chunk, at in zip(whole, accumulate((chunk.size for chunk in whole), initial=start), strict=False):
                yield at, chunk.head

    def _footer(self, groups: list[Value]) -> tuple[bytes, int]:
        """The footer, its length and the magic word; and where in it the recipe lies."""
        rows = sum(self.table.splits.values())
        before = open_struct({1: i32(_VERSION), 2: items(self._schema()), 3: i64(rows), 4: items(groups)})
        told = self.table.metadata()
        schema = pa.schema(self.table.fields(pa.int32()))
        told["ARROW:schema"] = base64.b64encode(schema.serialize().to_pybytes()).decode()
        entries = [struct({1: binary(key), 2: binary(value)}) for key, value in told.items()]
        orders = items([struct({1: struct({})})] * self._leaves)
        footer = before + open_struct({5: items(entries), 6: binary("tensorize"), 7: orders}, last=4) + b"\0"
        recipe = told["recipe"].encode()
        first = len(before) + len(open_struct({5: items(entries)}, last=4)) - sum(len(data) for _, data in entries)
        recipe_at = first + len(entries[0][1]) - 1 - len(recipe)
        return footer + len(footer).to_bytes(4, "little") + MAGIC, recipe_at

    @property
    def _leaves(self) -> int:
        return self.table.has_splits + len(self.table.columns) + len(self.table.texts)

    def _schema(self) -> Iterator[Value]:
        yield struct({4: binary("schema"), 5: i32(self._leaves)})
        if self.table.has_splits:
            yield text_schema(SPLIT)
        for column in self.table.columns:
            yield from column_schema(column)
        for name in self.table.texts:
            yield text_schema(name)
