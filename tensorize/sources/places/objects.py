"""Files in object stores: S3, Google Cloud Storage and Azure, through Arrow's file systems."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tensorize.core.errors import RunError, TensorizeError, UsageError, near
from tensorize.core.limits import timeout
from tensorize.sources.addresses import Address, without_secrets
from tensorize.sources.changes import source_changed
from tensorize.sources.places.retries import MayPassError, Patience, persistent

MAGIC = re.compile(r"[*?[]")
_MAY_PASS = re.compile(
    r"NETWORK_CONNECTION|SLOW_DOWN|INTERNAL_FAILURE|SERVICE_UNAVAILABLE|REQUEST_TIMEOUT|THROTTLING|HTTP status (408|429|5\d\d)"
    r"|curlCode|[Tt]imed? ?out|UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED",
)
_REFUSES = re.compile(r"Could not connect|Connection refused|Couldn't resolve|resolve host", re.IGNORECASE)
_DENIED = re.compile(r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE|PERMISSION_DENIED|UNAUTHENTICATED|HTTP status 40[13]")
_SECRET_NAMES = re.compile(r"SECRET|TOKEN|PASSWORD|ACCOUNT_KEY|STORAGE_KEY")
_PARTS = re.compile(r"(\*+|\?|\[!?\]?[^\]]*\])")
_LOOKERS = 8
_SLOW = 7.0
"""Seconds after which the library under it notices that nothing comes, beyond those that it is told (measured: 6)."""
_UPLOAD_BYTES = 8 << 20


@dataclass(frozen=True)
class StoredFile:
    """An object as it was when it was found. See `ranges.Remote`."""

    name: str
    store: Any = field(repr=False, compare=False)
    """pyarrow.fs.FileSystem."""
    key: str
    """Bucket and key."""
    size: int
    version: str
    """Its ETag; when it was written, and its size, where it has none."""
    timeout: float
    first: bytes = field(default=b"", repr=False)

    def session(self) -> StoreSession:
        """What reads it, for one thread at a time."""
        return StoreSession(self)

    def check(self) -> None:
        """Raise DataError if it is not what it was."""
        persistent(self.name, self.timeout, lambda _: StoreSession(self).check())


class StoreSession:
    """Reads one object; after every read it is looked whether that is still the same."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._opened: Any = None

    def close(self) -> None:
        """Release the object."""
        self._opened = None

    def check(self) -> None:
        """Look at the object anew. Raises DataError where it is not what it was."""
        self._opened = None
        with _mapped(self._file.name, gone=source_changed(self._file.name)):
            opened = self._file.store.open_input_file(self._file.key)
            found = opened.size(), _version(self._file.store, self._file.key, opened)
        if found != (self._file.size, self._file.version):
            raise source_changed(self._file.name)
        self._opened = opened

    def read(self, start: int, buffer: memoryview, patience: Patience) -> int:
        """Read a range once. Raises MayPassError for what may pass, DataError where the object is not what it was."""
        if self._opened is None:
            self.check()
        with _mapped(self._file.name, gone=source_changed(self._file.name)):
            data = self._opened.read_at(len(buffer), start)
        self.check()
        buffer[: len(data)] = data
        patience.got(len(data))
        return len(data)


def store_of(address: Address, seconds: float) -> Any:
    """The file system of an address, with credentials and endpoint from the environment.

    Raises UsageError where this build of Arrow has none of that kind.
    """
    from pyarrow import fs

    makers = {"s3": _s3, "gs": _gcs, "gcs": _gcs, "az": _azure, "abfs": _azure, "abfss": _azure}
    try:
        with _mapped(address.shown):
            return makers[address.scheme](fs, address, seconds)
    except (AttributeError, ImportError):
        raise UsageError(
            f"this build of pyarrow cannot read {address.scheme}:// addresses", hint="pip install --upgrade pyarrow"
        ) from None


def _s3(fs: Any, address: Address, seconds: float) -> Any:
    environment = os.environ
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    scheme, _, at = endpoint.rpartition("://")
    keys = {"access_key": address.user, "secret_key": address.password} if address.password else {}
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    each = max(1.0, seconds / 2 - _SLOW)
    return fs.S3FileSystem(
        **keys,
        region=region or (None if endpoint else _region(fs, address.host)),
        endpoint_override=at.rstrip("/") or None,
        scheme=scheme or None,
        request_timeout=each,
        connect_timeout=each,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
        anonymous=environment.get("AWS_NO_SIGN_REQUEST", "").lower() in ("1", "true", "yes"),
    )


def _region(fs: Any, bucket: str) -> str | None:
    """Where a bucket of Amazon's lies; None where nobody says."""
    if "AWS_PROFILE" in os.environ:  # it may name the region
        return None
    try:
        return str(fs.resolve_s3_region(bucket))
    except (OSError, ValueError):
        return None


def _gcs(fs: Any, address: Address, seconds: float) -> Any:
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    scheme, _, at = emulator.rpartition("://")
    known = Path("~/.config/gcloud/application_default_credentials.json").expanduser()
    signed = "GOOGLE_APPLICATION_CREDENTIALS" in os.environ or known.exists()
    endpoint = {"endpoint_override": at.rstrip("/"), "scheme": scheme or "http"} if emulator else {}
    return fs.GcsFileSystem(
        anonymous=bool(emulator) or address.user == "anonymous" or not signed,
        retry_time_limit=timedelta(seconds=max(1.0, seconds / 3)),
        **endpoint,
    )


def _azure(fs: Any, address: Address, seconds: float) -> Any:
    environment = os.environ
    account = environment.get("AZURE_STORAGE_ACCOUNT") or environment.get("AZURE_STORAGE_ACCOUNT_NAME")
    if "@" in address.host:
        account = address.host.partition("@")[2].partition(".")[0]
    if not account:
        raise UsageError("no Azure storage account is named", hint="set it: export AZURE_STORAGE_ACCOUNT=NAME")
    key = environment.get("AZURE_STORAGE_KEY") or environment.get("AZURE_STORAGE_ACCOUNT_KEY")
    token = address.query or environment.get("AZURE_STORAGE_SAS_TOKEN")
    more = {"account_key": key} if key else {"sas_token": token} if token else {}
    if authority := environment.get("AZURE_STORAGE_BLOB_ENDPOINT"):
        scheme, _, at = authority.rpartition("://")
        more |= {"blob_storage_authority": at, "blob_storage_scheme": scheme or "https"}
    return fs.AzureFileSystem(account, **more)


@contextmanager
def _mapped(name: str, gone: TensorizeError | None = None, verb: str = "read") -> Iterator[None]:
    """Errors of Arrow as ours: MayPassError for what may pass, `gone` for what is not there."""
    try:
        yield
    except FileNotFoundError:
        raise gone or UsageError(f"there is no file {name}", hint="is the address right?") from None
    except (OSError, ValueError) as error:
        if isinstance(error, TensorizeError):
            raise
        said = _plain(str(error))
        if "NO_SUCH_KEY" in said and gone is not None:
            raise gone from None
        if "NO_SUCH_BUCKET" in said:
            raise UsageError(f"there is no bucket for {name}", hint="is its name right?") from None
        if isinstance(error, PermissionError) or _DENIED.search(said):
            hint = (
                "credentials come from the environment, such as AWS_PROFILE or AWS_ACCESS_KEY_ID: are they those of its owner?"
            )
            raise RunError(f"{name} cannot be {verb}: access is denied", [said], hint) from None
        if _MAY_PASS.search(said) and not _REFUSES.search(said):
            raise MayPassError(said) from None
        raise RunError(f"{name} cannot be {verb}: {said}", hint="are the address and AWS_ENDPOINT_URL right?") from None


def _plain(text: str) -> str:
    """What a library says, on one line, without any secret."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) > 3:
            text = text.replace(value, "…")
    return without_secrets(" ".join(text.split()))[:300]


def _version(store: Any, key: str, opened: Any) -> str:
    for name, value in (opened.metadata() or {}).items():
        if str(name).lower() == "etag":
            return value.decode() if isinstance(value, bytes) else str(value)
    info = store.get_file_info(key)
    return f"{info.mtime_ns} {info.size}"


def key_of(address: Address) -> str:
    """Bucket, or container, and key."""
    return (address.host.partition("@")[0] + address.path).rstrip("/")


def stored_files(address: Address, inside: Sequence[str] | None = None) -> list[StoredFile]:
    """The objects that an address or a pattern names, in sorted order; or those that lie `inside` of a folder.

    Raises UsageError for what is not there, and for a folder.
    """
    seconds = timeout()
    store = store_of(address, seconds)
    key = key_of(address)
    base = address.shown[: len(address.shown.rstrip("/")) - len(key)]
    if inside is not None:
        keys = [f"{key}/{name}" for name in inside]
    elif MAGIC.search(key) and not _exists(store, key, address.shown, seconds):
        keys = _matching(store, key, address.shown, seconds)
        if not keys:
            raise UsageError(f"there is no file {address.shown}", hint="no object matches the pattern")
    else:
        keys = [key]

    def look(found: str) -> StoredFile:
        return persistent(base + found, seconds, lambda _: _looked(store, found, base + found, seconds))

    with ThreadPoolExecutor(_LOOKERS if len(keys) > 1 else 1, "tensorize-look") as pool:
        return list(pool.map(look, keys))


def _looked(store: Any, key: str, name: str, seconds: float) -> StoredFile:
    try:
        with _mapped(name):
            opened = store.open_input_file(key)
            return StoredFile(name, store, key, opened.size(), _version(store, key, opened), seconds)
    except UsageError:
        raise _absent(store, key, name) from None


def _absent(store: Any, key: str, name: str) -> UsageError:
    """The error for an object that is not there: it is a folder, or the near names beside it."""
    from pyarrow import fs

    with _mapped(name):
        inside = [info.base_name for info in store.get_file_info(fs.FileSelector(key, allow_not_found=True))]
    if inside:
        return UsageError(
            f"{name} is a folder, not a file",
            hint=f'name files, or a pattern such as "{name}/*.csv"; inside: {", ".join(sorted(inside)[:5])}',
        )
    folder, _, last = key.rpartition("/")
    with _mapped(name):
        beside = sorted(info.base_name for info in store.get_file_info(fs.FileSelector(folder or key, allow_not_found=True)))
    there = f"beside it: {', '.join(beside[:8])}" if beside else "is the address right?"
    return UsageError(f"there is no file {name}{near(last, beside)}", hint=there)


def _exists(store: Any, key: str, name: str, seconds: float) -> bool:
    """Whether there is an object that is called so, signs of a pattern and all."""
    from pyarrow import fs

    def looked(_: Patience) -> bool:
        with _mapped(name):
            return bool(store.get_file_info(key).type == fs.FileType.File)

    return persistent(name, seconds, looked)


def check_absent(address: Address) -> None:
    """Raise UsageError where there is an object of that address, or objects lie below it, or it names none."""
    key, seconds = key_of(address), timeout()
    if "/" not in key or address.path.endswith("/"):
        raise UsageError(f"{address.shown} names no object", hint="say what the file is to be called")
    if _exists(store_of(address, seconds), key, address.shown, seconds) or is_stored_folder(address):
        raise UsageError(f"{address.shown} exists", hint="say --force to replace it, or name another file with -o")


def upload(path: Path, address: Address) -> None:
    """Write a file to a store: it appears whole, once all of it is there. Raises RunError where it is refused."""
    from pyarrow import fs

    key, seconds = key_of(address), timeout()
    store = store_of(address, seconds)

    def copied(_: Patience) -> None:
        with _mapped(address.shown, verb="written"):
            fs.copy_files(str(path), key, fs.LocalFileSystem(), store, chunk_size=_UPLOAD_BYTES)
            if store.get_file_info(key).size != path.stat().st_size:
                raise MayPassError("it did not arrive whole")

    persistent(address.shown, seconds, copied)


def remove_stored(address: Address) -> None:
    """Remove the objects below a folder, those that lie in it directly first: so it is no set any more, then it is nothing."""
    key, seconds = key_of(address), timeout()
    store = store_of(address, seconds)
    below = sorted(stored_below(address), key=lambda name: (name.count("/"), name))

    def removed(_: Patience) -> None:
        with _mapped(address.shown, verb="written"):
            for name in below:
                store.delete_file(f"{key}/{name}")

    persistent(address.shown, seconds, removed)


def is_stored_folder(address: Address) -> bool:
    """Whether an address names no object, but objects lie below it."""
    seconds, key = timeout(), key_of(address)
    store = store_of(address, seconds)
    if MAGIC.search(key) or ("/" in key and _exists(store, key, address.shown, seconds)):
        return False
    return bool(_below(store, key, address.shown, seconds, deep=False, folders=True))


def stored_below(address: Address) -> list[str]:
    """The keys of all objects below a folder, relative to it, sorted; empty where there is none."""
    seconds, key = timeout(), key_of(address)
    found = _below(store_of(address, seconds), key, address.shown, seconds)
    return sorted(path[len(key) + 1 :] for path in found)


def _below(store: Any, folder: str, name: str, seconds: float, *, deep: bool = True, folders: bool = False) -> list[str]:
    from pyarrow import fs

    def listing(_: Patience) -> list[str]:
        with _mapped(name):
            infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=deep))
        wanted = (fs.FileType.File, fs.FileType.Directory) if folders else (fs.FileType.File,)
        return [info.path for info in infos if info.type in wanted and not info.base_name.startswith(".")]

    return persistent(name, seconds, listing)


def _matching(store: Any, pattern: str, name: str, seconds: float) -> list[str]:
    """The objects that a pattern names, sorted. Raises UsageError for a pattern of buckets."""
    parts = pattern.split("/")
    plain = next(at for at, part in enumerate(parts) if MAGIC.search(part))
    if not plain:
        raise UsageError(f"{name} is a pattern of buckets", hint="name one bucket")
    matcher, base = re.compile(pattern_of(pattern)), "/".join(parts[:plain])
    found = _below(store, base, name, seconds, deep=plain < len(parts) - 1 or "**" in parts)
    return sorted(key for key in found if matcher.fullmatch(key))


def pattern_of(glob: str) -> str:
    """A glob as a regular expression: `*` within a name, `**` over folders; hidden names only where they are named.

    >>> [bool(re.fullmatch(pattern_of("b/**/*.csv"), key)) for key in ("b/x.csv", "b/a/c/x.csv", "b/a/.x.csv", "b/x.txt")]
    [True, True, False, False]
    """
    made = []
    for part in glob.split("/"):
        if part == "**":
            made.append(r"(?:[^/.][^/]*/)*")
        else:
            made.append(
                ("(?!\\.)" if part[:1] in ("*", "?", "[") else "") + "".join(map(_plain_or_magic, _PARTS.split(part))) + "/"
            )
    return "".join(made).removesuffix("/") + ("[^/.][^/]*" if glob.endswith("**") else "")


def _plain_or_magic(part: str) -> str:
    if part.startswith("*"):
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if len(part) > 2 and part.startswith("[") and part.endswith("]"):
        inner = part[1:-1].replace("\\", "\\\\")
        return f"[^/{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(part)
