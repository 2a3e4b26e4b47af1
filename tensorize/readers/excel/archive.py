"""The ZIP archive that a workbook is: whether it is one, how large it really is, and what its sheets say of their cells.

A few kilobytes may unfold to terabytes, so every part is inflated and counted before a parser sees it. On the way the
cells are counted that the parser would give as empty without a word: errors, and formulas that were never calculated.
"""

from __future__ import annotations

import html
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from tensorize.sources.files import InputFile

ZIP = b"PK\x03\x04"
FREE_BYTES = 64 << 20
"""Up to here an archive may unfold as it likes."""
_KNOWN = ("N/A", "DIV/0!", "REF!", "VALUE!", "NAME?", "NULL!", "NUM!", "GETTING_DATA")
_NEWER = ("SPILL!", "CALC!", "FIELD!", "BLOCKED!", "CONNECT!", "BUSY!", "UNKNOWN!", "EXTERNAL!", "PYTHON!")
ERRORS = frozenset(f"#{name}" for name in (*_KNOWN, *_NEWER))
"""What a cell holds in place of a value that cannot be had."""
AGAIN = "fetch it again, or open it in a spreadsheet program and save it anew"
_MOST_PARTS = 10_000
_PIECE = 1 << 20
_HELD = 4 << 20
"""The most bytes of XML that are kept until the next row begins."""
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_ERROR = re.compile(
    rb'<(?:\w+:)?c\b[^>]*\st="e"[^>]*>(?:<(?:\w+:)?f\b[^>]*/>|<(?:\w+:)?f\b[^>]*>[^<]*</(?:\w+:)?f>)?<(?:\w+:)?v>([^<]{1,20})<'
)
_UNCALCULATED = re.compile(
    rb"(?:</(?:\w+:)?f>|<(?:\w+:)?f\b[^>]*/>)\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_HIDDEN = re.compile(rb'<(?:\w+:)?row\b[^>]*\shidden="(?:1|true)"')
_CELL = re.compile(rb"<(?:\w+:)?(?:v|is)>")


class RefusedError(Exception):
    """The workbook cannot be read: what it is, as the end of a sentence that begins with its name, and the way out.

    `wrong` says that the call is wrong, not the file.
    """

    def __init__(self, what: str, hint: str, wrong: bool = False) -> None:
        super().__init__(what, hint)
        self.what, self.hint, self.wrong = what, hint, wrong


@dataclass
class SheetFacts:
    """What a sheet says of its cells."""

    cells: bool = False
    """Whether it holds any."""
    errors: Counter[str] = field(default_factory=Counter)
    """Error → how many cells hold it."""
    uncalculated: int = 0
    """Formulas without a value: no program has calculated them."""
    hidden: int = 0
    """Rows that are hidden."""


def is_workbook(file: InputFile) -> bool | None:
    """Whether a file is a workbook: an archive by what it holds, None for an old Office file, which its suffix tells."""
    with file.random() as raw:
        if raw.read(4) != ZIP:
            return None
        try:
            with zipfile.ZipFile(raw) as archive:
                names = archive.NameToInfo
                if "xl/workbook.xml" in names or "xl/workbook.bin" in names:
                    return True
                return "mimetype" in names and archive.open("mimetype").read(len(_ODS)) == _ODS
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError):
            return None


def checked(file: IO[bytes], growth: int) -> dict[str, SheetFacts]:
    """Inflate every part of an archive, and return what each sheet says: its name → its facts.

    Raises RefusedError for an archive that is damaged, or that unfolds to more than `growth` times its size.
    """
    size = file.seek(0, 2)
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_PARTS or len({part.filename for part in parts}) < len(parts):
                raise RefusedError("is no workbook of a usual kind: parts without number, or twice of one name", AGAIN)
            if any(part.flag_bits & 1 for part in parts):
                raise RefusedError("is protected by a password", "save it without one")
            left, found = [max(FREE_BYTES, growth * size)], {}
            for part in parts:
                pieces = _inflated(archive, part, left, growth)
                if _SHEET.fullmatch(part.filename):
                    found[part.filename] = _facts(pieces)
                else:
                    for _ in pieces:
                        pass
            return _named(archive, found)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise RefusedError(f"is damaged: {error}", AGAIN) from None


def _inflated(archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: list[int], growth: int) -> Iterator[bytes]:
    with archive.open(part) as stream:
        while data := stream.read(_PIECE):
            left[0] -= len(data)
            if left[0] < 0:
                raise RefusedError(
                    f"grows to more than {growth} times its size as it is unpacked",
                    f"is it what it should be? Allow more: --max-expansion {growth * 10}",
                )
            yield data


def _facts(pieces: Iterator[bytes]) -> SheetFacts:
    """Go through the XML of a sheet, some rows at a time."""
    facts, held = SheetFacts(), b""
    for piece in pieces:
        held += piece
        last = held.rfind(b"<row") if b"<row" in piece else held.rfind(b":row ")
        last = max(held.rfind(b"<", 0, last + 1), 0) if last >= 0 else 0
        if last or len(held) > _HELD:
            _count(facts, held[: last or len(held)])
            held = held[last or len(held) :]
    _count(facts, held)
    return facts


def _count(facts: SheetFacts, xml: bytes) -> None:
    facts.cells = facts.cells or _CELL.search(xml) is not None
    if b'"e"' in xml:
        facts.errors.update(value.decode("ascii", "replace") for value in _ERROR.findall(xml))
    if b"<f" in xml or b":f" in xml:
        facts.uncalculated += len(_UNCALCULATED.findall(xml))
    if b"hidden=" in xml:
        facts.hidden += len(_HIDDEN.findall(xml))


_TAG = re.compile(r"<(?:\w+:)?(?:sheet|Relationship)\b[^>]*>")
_ATTRIBUTE = re.compile(r'([\w:]+)\s*=\s*"([^"]*)"')


def _named(archive: zipfile.ZipFile, found: dict[str, SheetFacts]) -> dict[str, SheetFacts]:
    """The facts by the names that users know; those whose name is not found are left out."""
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= archive.NameToInfo.keys():
        return {}
    sheets, parts = (
        [dict(_ATTRIBUTE.findall(tag)) for tag in _TAG.findall(archive.read(name).decode("utf-8", "replace"))]
        for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels")
    )
    paths = {part.get("Id"): part.get("Target", "") for part in parts}
    named = {}
    for sheet in sheets:
        path = paths.get(next((value for key, value in sheet.items() if key.endswith(":id")), ""), "")
        path = path.removeprefix("/") if path.startswith("/") else f"xl/{path}"
        if path in found:
            named[html.unescape(sheet.get("name", ""))] = found[path]
    return named


def with_known_errors(file: IO[bytes], to: IO[bytes]) -> None:
    """Copy a workbook, errors that its parser does not know (`#SPILL!`) as `#N/A`."""
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(to, "w") as copy:
        for part in archive.infolist():
            data = archive.read(part)
            if _SHEET.fullmatch(part.filename):
                data = re.sub(rb"(<(?:\w+:)?v>)#[A-Z0-9_/!?]+(</)", rb"\g<1>#N/A\g<2>", data)
            copy.writestr(part.filename, data)
