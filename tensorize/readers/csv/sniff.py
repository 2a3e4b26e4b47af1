"""Find how a file is written: what separates, quotes and escapes its cells. Only what is certain is taken.

A way of writing fits a file where all its first lines become records of one width. What fits two ways is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tensorize.core.errors import DataError
from tensorize.readers.csv.tokenizer import Record, Tokenizer

DELIMITERS = (",", ";", "\t", "|", "^", "~", "\x1f", "\x01")
OTHERS = (" ", ":", "\\t")
"""What may separate cells and also occurs in text: only used if it is given."""

SAMPLE_LINES = 200
_COMMA_NUMBER = re.compile(rb"\s*[+-]?\d+,\d+\s*")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|NA|NaN|nan|\?")
_LINE = re.compile(rb"\r*\n|\r")


@dataclass(frozen=True)
class Way:
    """One way of writing cells. `padded`: spaces follow each delimiter, and belong to it."""

    delimiter: str
    quote: str | None
    escape: str | None = None
    padded: bool = False
    strict: bool = True
    """Whether an escape before an ordinary character is an error: the escape was detected, not given."""

    def tokenizer(self, width: int = 0, longest: int = 0) -> Tokenizer:
        """Return a tokenizer of this dialect for records of `width` cells, 0 if unknown, and at most `longest` bytes."""
        return Tokenizer(
            self.delimiter,
            self.quote,
            self.escape,
            padded=self.padded,
            width=width,
            longest=longest,
            strict=self.strict,
        )


@dataclass(frozen=True)
class Fit:
    """What the first lines become under a way of writing: records without blank ones, and the most common width."""

    way: Way
    records: tuple[Record, ...]

    @cached_property
    def width(self) -> int:
        """The most frequent number of cells in a record; 0 if there is no valid record."""
        counts = Counter(len(record.cells) for record in self.records if not record.fault)
        return counts.most_common(1)[0][0] if counts else 0

    @cached_property
    def score(self) -> int:
        """How many records have that width."""
        return sum(not record.fault and len(record.cells) == self.width for record in self.records)

    @property
    def is_perfect(self) -> bool:
        """Whether there are records and all have `width` cells."""
        return self.score == len(self.records) > 0

    @property
    def cells(self) -> list[list[bytes]]:
        """The cells of each record, as bytes."""
        return [record.cells for record in self.records]


@dataclass(frozen=True)
class Sample:
    """The first lines of a file."""

    text: bytes
    final: bool
    """They are all there is."""
    offset: int = 0
    """Bytes before them."""
    line: int = 0
    """Lines before them."""

    @classmethod
    def of(cls, head: bytes, complete: bool, offset: int = 0, line: int = 0) -> Sample:
        """Take the first lines after `offset` bytes, which are `line` lines."""
        at, head = 0, head[offset:]
        for _ in range(SAMPLE_LINES):
            found = _LINE.search(head, at)
            if found is None:
                return cls(head, complete, offset, line)
            at = found.end()
        return cls(head[:at], complete and at == len(head), offset, line)

    def fit(self, way: Way) -> Fit:
        """Parse the sample with a dialect."""
        return Fit(
            way, tuple(record for record in way.tokenizer().records(self.text, self.final) if record.cells or record.fault)
        )

    def quotes_cells(self, way: Way) -> bool:
        """Whether a cell begins with the quote."""
        mark = re.escape(way.delimiter.encode())
        quote = re.escape((way.quote or "").encode())
        return bool(re.search(rb"(?:\A|[%b\r\n] ?)%b" % (mark, quote), self.text))


@dataclass(frozen=True)
class Finder:
    """Looks for the one way of writing that fits. What is given is not looked for."""

    sample: Sample
    name: str
    """The file, for messages."""
    delimiter: str | None
    quotes: Sequence[str | None]
    """What may be meant, the usual one first."""
    escapes: Sequence[str | None]

    def find(self) -> Fit:
        """Return the fit that is certain. Raises DataError if two fit."""
        quote, escape = self.quotes[0], self.escapes[0]
        base = found = self._pick(quote, escape)
        for other in [*((sign, escape) for sign in self.quotes[1:]), *((quote, sign) for sign in self.escapes[1:])]:
            sign = (other[1] or other[0] or "").encode()
            if sign in self.sample.text:
                fit = self._fits(*other)[0]
                if fit.width > 1 or self.delimiter or base.width <= 1:
                    found = self._better(found, fit)
        return found if self.delimiter else self._padded(found)

    def _fits(self, quote: str | None, escape: str | None) -> list[Fit]:
        """The delimiters that cut most lines alike, the likeliest first; a comma where none does."""
        told = len(self.escapes) == 1
        marks = [self.delimiter] if self.delimiter else [mark for mark in DELIMITERS if mark.encode() in self.sample.text]
        tried = [self.sample.fit(Way(mark, quote, escape, strict=not told)) for mark in marks]
        fits = [fit for fit in tried if fit.width > 1 or self.delimiter]
        if not fits:
            return [self.sample.fit(Way(",", quote, escape, strict=not told))]
        most = max(fit.score for fit in fits)
        best = [fit for fit in fits if fit.score == most]
        if len(best) > 1 and best[0].way.delimiter == ",":
            best = [fit for fit in best[1:] if _is_decimal_comma(fit)] or best
        if best[0].is_perfect:
            return best
        return best + [fit for fit in fits if fit not in best and fit.score > most / 2]

    def _pick(self, quote: str | None, escape: str | None) -> Fit:
        """The one delimiter that fits. Raises DataError if several do, or where it is not known whether there is one."""
        fits = self._fits(quote, escape)
        if len(fits) > 1:
            said = " and ".join(f'"{_said(fit.way.delimiter)}" ({fit.width} columns)' for fit in fits)
            raise DataError(
                f"{self.name}: the delimiter fits two ways: {said}",
                hint=f'say which: --delimiter "{_said(fits[0].way.delimiter)}"',
                fix={"delimiter": _said(fits[0].way.delimiter)},
            )
        if fits[0].width <= 1 and not self.delimiter:
            self._check_single(fits[0])
        return fits[0]

    def _check_single(self, single: Fit) -> None:
        """One column, or cells that something else separates? Raises DataError if that is undecidable."""
        for mark in OTHERS:
            sign = mark.encode()
            counts = {record.cells[0].strip().count(sign) for record in single.records if len(record.cells) == 1}
            if len(counts) == 1 and 0 not in counts and len(single.records) > 1:
                raise DataError(
                    f'{self.name}: is it one column, or are there {counts.pop() + 1} that "{mark}" separates?',
                    hint=f'say which: --delimiter "{mark}" for several, --delimiter , for one',
                    fix={"delimiter": mark},
                )

    def _better(self, found: Fit, other: Fit) -> Fit:
        """The better of two fits: the only one that takes all records, or nearly all. Raises DataError if both do."""
        sample = self.sample
        if other.cells == found.cells or (other.way.escape and not _escapes(sample, other.way)):
            return found
        if other.way.quote != found.way.quote and not sample.quotes_cells(other.way):
            return found
        if found.is_perfect and other.is_perfect:
            return self._settled(found, other)
        enough = other.score >= 0.9 * len(other.records)
        return other if other.score > found.score and enough and len(other.records) >= 0.5 * len(found.records) else found

    def _padded(self, fit: Fit) -> Fit:
        """Where every delimiter is followed by spaces, they belong to it. Raises DataError for one before it, too."""
        if (fit.way.delimiter + " ").encode() not in self.sample.text:
            return fit
        padded = self.sample.fit(replace(fit.way, padded=True))
        if not padded.is_perfect or padded.width < 2 or len(padded.records) < 2 or padded.cells == fit.cells:
            return fit
        if all(cell.endswith(b" ") for row in padded.cells for cell in row[:-1]):
            raise DataError(
                f'{self.name}: spaces stand on both sides of each "{_said(fit.way.delimiter)}": are they part of the cells?',
                hint=f'where they are, say --delimiter "{_said(fit.way.delimiter)}"; else take them out',
                fix={"delimiter": _said(fit.way.delimiter)},
            )
        return padded

    def _settled(self, found: Fit, other: Fit) -> Fit:
        """Both take all records: is one of them certain all the same?"""
        if other.way.quote == found.way.quote:
            raise DataError(
                f"{self.name}: a backslash before a quote or a delimiter fits two ways",
                hint="say which: --escape '\\' where it takes away their meaning, --escape none where it does not",
                fix={"escape": "\\"},
            )
        if self.sample.quotes_cells(found.way):
            return found
        sign, head = (other.way.quote or "").encode(), found.records[0].cells
        if len(found.records) > 1 and all(len(cell) > 1 and cell.startswith(sign) and cell.endswith(sign) for cell in head):
            return other
        raise DataError(
            f"{self.name}: cells stand between apostrophes, which may be quotes or part of them",
            hint="say which: --quote \"'\" where they are quotes, --quote '\"' where they are not",
            fix={"quote": "'"},
        )


def _escapes(sample: Sample, way: Way) -> bool:
    """Whether the escape stands before a quote or a delimiter, and not once only, which may be an accident."""
    escape = (way.escape or "").encode()
    return sum(sample.text.count(escape + sign.encode()) for sign in (way.quote, way.delimiter) if sign) > 1


def _is_decimal_comma(fit: Fit) -> bool:
    """Whether every comma stands inside a number once the lines are cut at the other delimiter."""
    cells = [cell for row in fit.cells for cell in row if b"," in cell]
    return bool(cells) and all(_COMMA_NUMBER.fullmatch(cell) for cell in cells)


def _said(mark: str) -> str:
    return {"\t": "\\t", "\x1f": "\\x1f", "\x01": "\\x01"}.get(mark, mark)


WHITESPACE = "whitespace"
"""The delimiter of columns that stand apart by any number of blanks."""
_BLANKS = re.compile(rb"[ \t]+")
_EDGES = re.compile(rb"\t(?=[\r\n]|\Z)|(?:(?<=[\r\n])|\A)\t")
_GROUPED = re.compile(rb"[+-]?\d{1,3}( \d{3})+")


def tabbed(data: bytes, quote: str = '"') -> bytes:
    """Whole lines with one tab in the place of all blanks between two cells, and none around them; quoted cells as they are."""
    sign = quote.encode()
    if not sign or sign not in data:
        return _EDGES.sub(b"", _BLANKS.sub(b"\t", data))
    cell = re.compile(rb"(?<![^ \t\r\n])%b[^%b\r\n]*%b(?![^ \t\r\n])|[ \t]+" % ((re.escape(sign),) * 3))
    return _EDGES.sub(b"", cell.sub(lambda found: b"\t" if found[0][:1] in b" \t" else found[0], data))


def tabbed_pieces(pieces: Iterable[bytes], quote: str = '"') -> Iterator[bytes]:
    """`tabbed` over a stream, whose pieces may end anywhere."""
    held = b""
    for piece in pieces:
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        if end:
            yield tabbed(held + piece[:end], quote)
            held = piece[end:]
        else:
            held += piece
    if held:
        yield tabbed(held, quote)


def is_aligned(sample: Sample, quote: str = '"') -> bool:
    """Whether the cells stand apart by blanks for certain.

    All lines have as many cells, more than tabs tell; some columns hold numbers; and every line has two blanks side by side
    between cells, or there are nothing but numbers below the first line.
    """
    text = sample.text
    if re.search(rb"[,;|]", text) or b"\t\t" in text:
        return False
    fit = replace(sample, text=tabbed(text, quote)).fit(Way("\t", quote or None))
    rows = [record.cells for record in fit.records[1:]]
    if not fit.is_perfect or fit.width < 2 or not rows:
        return False
    lines = [line for line in _LINE.split(text) if line.strip()]
    numeric = [all(map(_NUMBER.fullmatch, column)) for column in zip(*rows, strict=True)]
    if all(line.strip().count(b"\t") + 1 < fit.width and b"  " in line.strip() for line in lines):
        return any(numeric)
    grouped = all(_GROUPED.fullmatch(line.strip()) for line in lines[1:])
    return b"\t" not in text and all(numeric) and len(rows) > 1 and not grouped
