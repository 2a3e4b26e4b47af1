"""Files of ours that another program has written again: our index is gone, so HDF5 is asked where things lie.

HDF5 follows links into other files and loads plug-ins, and a file can be made to hang or crash it. So a separate process asks
it, under limits: see `tensorize.exporters.hdf5.scanner`. What it says is checked here as an index is, and the tensors are read
from their places as ever.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import threading
import warnings
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tensorize.core.errors import DataError, RunError, TensorizeError, TensorizeWarning, quoted
from tensorize.core.limits import check_header, header_limit
from tensorize.core.units import size
from tensorize.engine.child import child_command, child_environment
from tensorize.exporters.hdf5.index import Index, NoIndexError, Offset, Place, Strings, check_places, read_index, read_strings
from tensorize.storage.layout import checked, parse_json

SECONDS, WALL_SECONDS = 20, 120
"""How long the structure of a file may take: processor time, and time on the clock."""
MEMORY_BYTES = 256 << 20
"""Memory for the structure of a file, beside what its strings take."""
CUT_BYTES = 252
"""Names from here on may have been cut: they are kept up to 255 bytes, and whole characters."""
_MAIN = "from tensorize.exporters.hdf5.scanner import main; main()"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_END_OF_FILE = {0: (24, 40), 1: (28, 44), 2: (12, 28), 3: (12, 28)}
"""Version of the superblock → where the base address and the address of the end of the file are."""
_SPLITS, _ROLES = ("train", "val", "test"), ("input", "target", "meta")


class Scanned(BaseModel):
    """What the other process says: as an index, but for the names, which lie in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    kind: str
    layouts: list[dict[str, Any]]
    names: list[Strings]
    tensors: dict[str, Offset]
    texts: dict[str, Strings]
    ignored: list[str]
    more: Offset


def rebuild_index(path: Path, missing: NoIndexError) -> tuple[Index, str]:
    """The index and the recipe of a file that lost its index to another program, with a `TensorizeWarning`.

    Raises `missing` if the file is cut off or never was ours, DataError if it is damaged or stored in another way, RunError
    if there is no process to be had.
    """
    if not is_complete(path):
        raise missing
    answer, recipe = _ask(path)
    if answer.pop("is_foreign", False):
        raise missing
    if "what" in answer:
        raise DataError(
            f"{path} was rewritten by another program, and cannot be read: {answer['what']}",
            hint=answer.get("hint") or "make it again from the source",
        )
    scanned = checked(Scanned, answer, path)
    check_header(path, sum(names.width * names.count for names in scanned.names))
    names = [read_strings(path, places) for places in scanned.names]
    index = checked(Index, _index_of(scanned, names), path)
    check_places(path, index, path.stat().st_size)
    _tell(path, scanned, any(len(name.encode()) >= CUT_BYTES for part in names for name in part))
    return index, recipe.decode().rstrip(" ")


def check_rewritten(path: Path) -> None:
    """Raise DataError if the digest of a file is gone with its index. Silent about any other damage."""
    try:
        read_index(path)
    except NoIndexError:
        if is_complete(path):
            raise DataError(
                f"{path} was written by another program: it has no checksum of tensorize",
                hint=f"to write a file with a checksum: {_convert(path)}",
            ) from None
    except (TensorizeError, OSError):
        return


def is_complete(path: Path) -> bool:
    """Whether a file is HDF5 from its first byte, and as long as it says that it is."""
    with path.open("rb") as file:
        head, found = file.read(64), file.seek(0, os.SEEK_END)
    if len(head) < 64 or not head.startswith(_SIGNATURE) or head[8] not in _END_OF_FILE:
        return False
    base, end = (struct.unpack_from("<Q", head, at)[0] for at in _END_OF_FILE[head[8]])
    width = head[13] if head[8] < 2 else head[9]
    return bool(width == 8 and base == 0 and end == found)


def _index_of(scanned: Scanned, names: list[tuple[str, ...]]) -> dict[str, Any]:
    """As plain data. A copy keeps no order: by split, then inputs, targets, meta, then as they lie in the file."""

    def order(tensor: dict[str, Any]) -> tuple[int, int, int]:
        split, name, role = (str(tensor.get(key)) for key in ("split", "name", "role"))
        at = scanned.tensors.get(name if tensor.get("split") is None else f"{split}/{name}", 0)
        return _rank(_SPLITS, split), _rank(_ROLES, role), at

    texts = sorted(scanned.texts, key=lambda key: _rank(_SPLITS, key.partition("/")[0]))
    layout = {"kind": scanned.kind, "names": names, "tensors": sorted(scanned.layouts, key=order), "texts": texts}
    places = {"recipe": Place(at=0, size=0), "tensors": scanned.tensors, "texts": scanned.texts}
    return {"format": scanned.format, "layout": layout, **places}


def _rank(known: tuple[str, ...], name: str) -> int:
    return known.index(name) if name in known else len(known)


def _tell(path: Path, scanned: Scanned, is_cut: bool) -> None:
    left = ", ".join(scanned.ignored) + (f" and {scanned.more:,} more" if scanned.more else "")
    warnings.warn(
        f"{path} was rewritten by another program, so its checksum is gone and changed values cannot be detected; "
        f"to write a file with a checksum: {_convert(path)}"
        + (f"; not tensors of tensorize, ignored: {left}" if left else "")
        + ("; names over 255 bytes are cut" if is_cut else ""),
        TensorizeWarning,
        stacklevel=6,
    )


def _convert(path: Path) -> str:
    return f"tensorize convert {quoted(str(path))} {quoted(str(path.with_stem(f'{path.stem}-new')))}"


def _ask(path: Path) -> tuple[dict[str, Any], bytes]:
    """What the other process says, and the recipe."""
    limit = header_limit()
    child = _start(path, MEMORY_BYTES + 4 * min(limit, path.stat().st_size))
    timer = threading.Timer(WALL_SECONDS, child.kill)
    timer.daemon = True
    try:
        timer.start()
        assert child.stdout is not None
        line = child.stdout.readline(limit + 1)
        check_header(path, len(line))
        answer = parse_json(line, path) if line.endswith(b"\n") else None
        if isinstance(answer, dict) and type(count := answer.pop("recipe", None)) is int and count >= 0:
            check_header(path, count)
            recipe = child.stdout.read(count)
            if len(recipe) == count:
                return answer, recipe
        raise _ended(path, child)
    finally:
        timer.cancel()
        child.kill()
        with child:
            pass


def _start(path: Path, memory: int) -> subprocess.Popen[bytes]:
    """The process. The variables of HDF5 are left out: they name plug-ins, drivers and connectors to load."""
    try:
        return subprocess.Popen(
            child_command(_MAIN, str(path), str(memory), str(SECONDS)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**child_environment(without=("HDF5_",)), "HDF5_PLUGIN_PRELOAD": "::"},
        )
    except OSError as error:
        raise RunError(f"{path} cannot be read: the process that does it does not start: {error.strerror}") from error


def _ended(path: Path, child: subprocess.Popen[bytes]) -> Exception:
    """What became of a process that gave no answer."""
    code = child.wait()
    if code >= 0:
        return RunError(f"{path} cannot be read: the process that does it does not start (exit code {code})")
    if -code in (signal.SIGXCPU, signal.SIGKILL):
        how = f"HDF5 took more than {SECONDS} s, or more than {size(MEMORY_BYTES)} of memory"
    else:
        how = f"HDF5 crashed on it ({signal.Signals(-code).name})"
    return DataError(
        f"{path} was rewritten by another program, and cannot be read: {how}", hint="make it again from the source"
    )
