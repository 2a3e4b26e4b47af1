"""Any dict of tensors and plain data as a torch file with a digest: what `torch.load(weights_only=True)` opens."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorize.exporters.pt.exporter import torch_members
from tensorize.exporters.pt.unpickled import unpickled
from tensorize.storage.archive import read_member
from tensorize.storage.digest import DIGEST_SIZE, NO_DIGEST, digest
from tensorize.storage.partfile import PartFile


def save_objects(path: Path, value: Mapping[str, Any], *, force: bool = False) -> None:
    """Write a file with `torch.save`, whole or not at all; its digest is the comment of the archive, the last 64 bytes.

    Raises UsageError if it exists (unless `force`), RunError if it cannot be written.
    """
    import torch

    part = PartFile(path, force=force)
    try:
        with os.fdopen(os.dup(part.fd), "wb") as file:
            torch.save(value, file)
        size = os.fstat(part.fd).st_size
        part.write(size - 2, struct.pack("<H", DIGEST_SIZE) + NO_DIGEST)
        part.write(size, digest(part.fd, size + DIGEST_SIZE, size).encode())
        part.commit()
    except Exception as error:
        raise part.told(error) from error
    finally:
        part.abort()


def load_objects(path: Path) -> Any:
    """Read what `save_objects` wrote, onto the CPU. The pickle is looked through before torch sees it.

    Raises ValueError or zipfile.BadZipFile if there is more in it than tensors and plain data, DataError if the pickle is over
    the limit of `--max-header`, and what `torch.load` raises for a damaged file.
    """
    import torch

    unpickled(read_member(path, torch_members(path)["data.pkl"]), views=True)
    return torch.load(path, map_location="cpu", weights_only=True)
