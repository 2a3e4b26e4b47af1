"""How files begin that are no text: what they are, and the way out."""

from __future__ import annotations

import sys
from pathlib import Path

from tensorize.core.errors import DataError, quoted
from tensorize.sources.archives import ZIP

_READ = "table and series read it, unless --reader names another reader"
_UNPACK = "unpack it first"
_TO_PARQUET = (
    'write it as Parquet: {python} -c "import sys, pyarrow.feather as f, pyarrow.parquet as p; '
    "p.write_table(f.read_table(sys.argv[1]), 'out.parquet')\" {name}"
)
_PICTURE = "tensorize images reads folders of pictures"
_NO_TEXT = {
    b"PAR1\x15": ("a Parquet file", _READ),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file", "raw data are asked for; tensorize inspect shows a prepared file"),
    b"SQLite format 3\0": ("an SQLite database", _READ),
    b"%PDF-": ("a PDF", "save its text first"),
    b"ARROW1\0\0": ("an Arrow file (.arrow, .feather)", "table and series read it, unless --reader names another reader"),
    b"FEA1\0": ("a Feather file of version 1", _TO_PARQUET),
    b"\x93NUMPY": (
        "an array of numpy (.npy)",
        "write it as CSV: {python} -c \"import sys, numpy; numpy.savetxt('out.csv', numpy.load(sys.argv[1]), delimiter=',')\""
        " {name}",
    ),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Excel workbook (.xls), or another Office file", "name a workbook .xls"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
    b"\x04\x22\x4d\x18": ("compressed by lz4", _UNPACK),
    b"\x1f\x9d": ("compressed by compress (.Z)", _UNPACK),
    b"Obj\x01": ("an Avro file", "write it as Parquet or CSV first"),
    b"<stata_dta>": (
        "a Stata file",
        "write it as CSV: {python} -c \"import sys, pandas; pandas.read_stata(sys.argv[1]).to_csv('out.csv', index=False)\""
        " {name}",
    ),
    b"$FL2@(#)": ("an SPSS file", "save it as CSV first"),
    b"RDX2\n": ("R data", "in R: write.csv(x, 'out.csv', row.names = FALSE)"),
    b"RDX3\n": ("R data", "in R: write.csv(x, 'out.csv', row.names = FALSE)"),
    b"\x80\x04\x95": ("a pickle, which is never read", "write the table as CSV or Parquet"),
    b"\x80\x05\x95": ("a pickle, which is never read", "write the table as CSV or Parquet"),
    b"\x89PNG\r\n": ("a PNG picture", _PICTURE),
    b"\xff\xd8\xff": ("a JPEG picture", _PICTURE),
}
"""How files begin that are read as text in vain: what they are, and the way out."""
_SAFETENSORS = (
    "a safetensors file",
    'write a tensor as CSV: {python} -c "import sys, numpy, safetensors.numpy as s;'
    " numpy.savetxt('out.csv', next(iter(s.load_file(sys.argv[1]).values())), delimiter=',')\" {name}",
)
_LONGEST = 100 << 20
"""Bytes that the header of a safetensors file may have."""


def check_text(name: str, path: Path, beginning: bytes) -> None:
    """Raise DataError where the first 16 bytes are those of a file that is no text."""
    if beginning.startswith(ZIP) and path.suffix.lower() in (".xlsx", ".xlsm", ".xlsb", ".ods"):
        raise DataError(f"{name} is a workbook, not text", hint=_READ)
    found = [known for magic, known in _NO_TEXT.items() if beginning.startswith(magic)]
    if beginning[8:10] == b'{"' and int.from_bytes(beginning[:8], "little") <= _LONGEST:
        found.append(_SAFETENSORS)
    for what, hint in found:
        way = hint.replace("{python}", quoted(sys.executable)).replace("{name}", quoted(name))
        raise DataError(f"{name} is {what}, not text", hint=way)
