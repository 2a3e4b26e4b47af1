"""Workbooks made by hand, part by part, so that tests can also make such as no spreadsheet program writes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa

SCHEMAS = "http://schemas.openxmlformats.org"
MAIN = f"{SCHEMAS}/spreadsheetml/2006/main"
REL = f"{SCHEMAS}/officeDocument/2006/relationships"
RELS = f'<?xml version="1.0"?><Relationships xmlns="{SCHEMAS}/package/2006/relationships">'
TYPES = (
    f'<?xml version="1.0"?><Types xmlns="{SCHEMAS}/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
ROOT_RELS = f'{RELS}<Relationship Id="rId1" Type="{REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
STYLES = (
    f'<?xml version="1.0"?><styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="[h]:mm:ss"/>'
    "</numFmts><cellXfs>" + "".join(f'<xf numFmtId="{number}"/>' for number in (0, 22, 14, 21, 164)) + "</cellXfs></styleSheet>"
)
EPOCH = datetime(1899, 12, 30)


class Raw(str):
    """The XML of a cell, its reference as `{ref}`."""


def letters(at: int) -> str:
    """The name of a column, from 0."""
    return (letters(at // 26 - 1) if at >= 26 else "") + chr(65 + at % 26)


def cell_xml(value: Any, ref: str) -> str:
    if isinstance(value, Raw):
        return value.replace("{ref}", ref)
    if isinstance(value, str):
        text = f'<is><t xml:space="preserve">{escape(value)}</t></is>'
        return f'<c r="{ref}" t="e"><v>{value}</v></c>' if value[:1] == "#" else f'<c r="{ref}" t="inlineStr">{text}</c>'
    if value is None:
        return ""
    day = timedelta(days=1)
    style, number = {
        bool: ('t="b"', lambda: int(value)),
        datetime: ('s="1"', lambda: (value - EPOCH) / day),
        date: ('s="2"', lambda: (value - EPOCH.date()).days),
        time: ('s="3"', lambda: timedelta(hours=value.hour, minutes=value.minute, seconds=value.second) / day),
        timedelta: ('s="4"', lambda: value / day),
    }.get(type(value), ("", lambda: value))
    return f'<c r="{ref}" {style}><v>{number()!r}</v></c>'


def sheet_xml(rows: Iterable[Sequence[Any]], before: str = "") -> str:
    lines = (
        f'<row r="{at}">' + "".join(cell_xml(value, f"{letters(place)}{at}") for place, value in enumerate(row)) + "</row>"
        for at, row in enumerate(rows, 1)
    )
    return f'<?xml version="1.0"?><worksheet xmlns="{MAIN}">{before}<sheetData>{"".join(lines)}</sheetData></worksheet>'


def parts(sheets: dict[str, str], hidden: Sequence[str] = ()) -> dict[str, str]:
    """The parts of a workbook of sheets, each as XML."""
    named = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{at}" r:id="rId{at}"' + ' state="hidden"' * (name in hidden) + "/>"
        for at, name in enumerate(sheets, 1)
    )
    rels = "".join(
        f'<Relationship Id="rId{at}" Type="{REL}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    return {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": ROOT_RELS,
        "xl/workbook.xml": f'<?xml version="1.0"?><workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{RELS}{rels}<Relationship Id="rId900" Type="{REL}/styles" Target="styles.xml"/>'
        "</Relationships>",
        "xl/styles.xml": STYLES,
        **{f"xl/worksheets/sheet{at}.xml": xml for at, xml in enumerate(sheets.values(), 1)},
    }


def write_parts(path: Path, given: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in given.items():
            archive.writestr(name, data)
    return path


def write_xlsx(path: Path, rows: Iterable[Sequence[Any]], hidden: Sequence[str] = (), **more: Iterable[Sequence[Any]]) -> Path:
    """A workbook whose first sheet, `Sheet1`, holds `rows`; others by name."""
    return write_parts(path, {**parts({"Sheet1": sheet_xml(rows), **{name: sheet_xml(r) for name, r in more.items()}}, hidden)})


def rows_of(table: pa.Table) -> list[list[Any]]:
    """The header and the rows of an Arrow table."""
    return [table.column_names, *(list(row.values()) for row in table.to_pylist())]


def write_ods(path: Path, rows: Iterable[Sequence[Any]]) -> Path:
    """An OpenDocument spreadsheet of one sheet."""
    office = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
    table, text = office.replace("office:1.0", "table:1.0"), office.replace("office:1.0", "text:1.0")
    lines = "".join("<table:table-row>" + "".join(map(_ods_cell, row)) + "</table:table-row>" for row in rows)
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{office}" xmlns:table="{table}" xmlns:text="{text}">'
        f'<office:body><office:spreadsheet><table:table table:name="Sheet1">{lines}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = (
        '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        '<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", manifest)
    return path


def _ods_cell(value: Any) -> str:
    if value is None:
        return "<table:table-cell/>"
    kind, given = {
        bool: ("boolean", "boolean-value"),
        datetime: ("date", "date-value"),
        date: ("date", "date-value"),
        int: ("float", "value"),
        float: ("float", "value"),
    }.get(type(value), ("string", ""))
    if not given:
        return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'
    said = value.isoformat() if isinstance(value, date) else str(value).lower()
    return f'<table:table-cell office:value-type="{kind}" office:{given}="{said}"/>'
