"""What a format wrote, whether it is a file or a folder of files."""

import hashlib
import random
import shutil
from pathlib import Path


def files_of(path: Path) -> list[Path]:
    """The file, or the files of the folder, in the order of their names."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def content_of(path: Path) -> dict[str, bytes]:
    """Name → bytes: the same for equal outputs, whatever they are called."""
    return {str(file.relative_to(path)): file.read_bytes() for file in files_of(path)}


def bytes_of(path: Path) -> tuple[tuple[str, bytes], ...]:
    """`content_of` for sets and dicts."""
    return tuple(content_of(path).items())


def digest_of(path: Path) -> str:
    """The SHA-256 of `content_of`."""
    found = hashlib.sha256()
    for name, data in content_of(path).items():
        found.update(f"{name} {len(data)}\n".encode() + data)
    return found.hexdigest()


def copy(path: Path, target: Path) -> Path:
    """Copy a file or a folder to a place where there is none."""
    return Path(shutil.copytree(path, target) if path.is_dir() else shutil.copyfile(path, target))


def remove(path: Path) -> None:
    """Remove a file, or a folder and what is in it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def write_mixed(writer, arrays, recipe, seed, most):
    """Write all rows and commit: in order for each tensor, the tensors and splits mixed, at most so many rows at a time."""
    rng, done = random.Random(seed), dict.fromkeys(arrays, 0)
    try:
        while left := [key for key, values in arrays.items() if done[key] < len(values)]:
            key = left[0] if seed == 0 else left[-1] if seed == 1 else rng.choice(left)
            stop = done[key] + rng.randrange(1, most)
            writer.write(key, done[key], arrays[key][done[key] : stop])
            done[key] = min(stop, len(arrays[key]))
        writer.commit(recipe)
    finally:
        writer.abort()
