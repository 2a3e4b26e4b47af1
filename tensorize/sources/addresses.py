"""Addresses of what lies elsewhere, and how they are said without what is secret in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tensorize.core.errors import UsageError
from tensorize.sources.databases import Database, is_database, parse_database

WEB = ("http", "https")
STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss")
_ADDRESS = re.compile(rf"({'|'.join((*WEB, *STORES))}):/{{1,2}}(?!/)", re.IGNORECASE)
COPY_PREFIX = "tensorize-copy-"
"""How folders begin that hold copies: what follows is an address, its scheme first."""
_COPY = re.compile(rf"[^\s'\"]*/{COPY_PREFIX}[^/\s]+/({'|'.join((*WEB, *STORES))})/")
_QUERY = re.compile(r"\?(?=[\w.-]+=)")
"""Where a query begins in the address of a stored object, whose pattern may hold a question mark."""
_SECRETS = (
    (re.compile(r"(\b[a-zA-Z][\w+.-]*://)[^\s/@'\"]*:[^\s/'\"]*@"), r"\1"),
    (re.compile(r"(\bhttps?://)[^\s/@'\"]*@"), r"\1"),
    (re.compile(r"(\bhttps?://[^\s?#'\"]+)[?#][^\s'\"]*"), r"\1"),
    (re.compile(r"(\b(?:s3|gs|gcs|az|abfss?)://[^\s'\"]+?)\?[\w.-]+=[^\s'\"]*"), r"\1"),
)


@dataclass(frozen=True)
class Address:
    """An address taken apart. `host` is the server, with its port, or the bucket; `path` begins with `/` where there is one."""

    scheme: str
    host: str
    path: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    query: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """What messages call it: no user, no password, no query."""
        return f"{self.scheme}://{self.host}{self.path}"

    @property
    def is_web(self) -> bool:
        """Whether a web server is asked for it."""
        return self.scheme in WEB


def is_address(name: Any) -> bool:
    """Whether something names a place elsewhere. What `pathlib` makes of an address, with one slash, counts as well.

    >>> is_address("s3://bucket/sales.csv"), is_address("s3:/bucket/sales.csv"), is_address("s3.csv")
    (True, True, False)
    """
    return isinstance(name, str | os.PathLike) and bool(_ADDRESS.match(str(os.fspath(name))))


def parse_address(name: str | os.PathLike[str]) -> Address:
    """Take an address apart. Raises UsageError where it has no host, or holds what no address can.

    >>> parse_address("https://ada:pw@example.org/a/b.csv?token=1")
    Address(scheme='https', host='example.org', path='/a/b.csv')
    """
    text = os.fspath(name)
    found = _ADDRESS.match(text)
    if found is None:
        raise UsageError(f"{without_secrets(text)} is not an address", hint="such as https://example.org/data.csv")
    scheme, rest = found[1].lower(), text[found.end() :]
    at = re.search(r"[?#]", rest) if scheme in WEB else _QUERY.search(rest)
    rest, query = (rest[: at.start()], rest[at.start() :]) if at else (rest, "")
    authority, slash, path = rest.partition("/")
    before, _, host = authority.rpartition("@")
    user, _, password = before.partition(":")
    if scheme in ("abfs", "abfss"):  # the container stands where others have a user
        user, host = "", authority if not password else f"{user}@{host}"
    address = Address(scheme, host, slash + path, unquote(user), unquote(password), query.removeprefix("?").partition("#")[0])
    if not host or not text.isprintable():
        raise UsageError(f"{address.shown!r} is not an address", hint="such as https://example.org/data.csv")
    return address


def shown_source(source: Any) -> Any:
    """A source, or a list of them, as it can be shown: addresses without user, password and query.

    >>> shown_source(["a.csv", "https://ada:pw@example.org/b.csv?token=1"])
    ['a.csv', 'https://example.org/b.csv']
    """
    if isinstance(source, list | tuple):
        return [shown_source(part) for part in source]
    if is_database(source):
        found = parse_database(source)
        return found.name if isinstance(found, Database) else source
    return parse_address(source).shown if is_address(source) else source


def without_secrets(text: str) -> str:
    """A line without the users, passwords and queries of addresses in it: a second lock, for messages of libraries.

    >>> without_secrets("cannot open https://ada:pw@example.org/b.csv?token=1: 403")
    'cannot open https://example.org/b.csv 403'
    """
    for pattern, plain in _SECRETS if "://" in text else ():
        text = pattern.sub(plain, text)
    return text


def secrets_of(words: Iterable[str]) -> tuple[str, ...]:
    """What must not be said of the addresses among some words: users with their passwords, passwords, queries; longest first.

    >>> secrets_of(["table", "https://ada:s3cret@example.org/b.csv?token=1"])
    ('ada:s3cret@', 'token=1', 's3cret')
    """
    found = set[str]()
    for word in words:
        before, marked, rest = word.partition("://")
        authority, _, _ = rest.partition("/")
        if marked and "@" in authority and ":" in authority.rpartition("@")[0]:
            user = authority.rpartition("@")[0]
            found |= {user + "@", user.partition(":")[2], unquote(user.partition(":")[2])}
        if marked and before.lower().rpartition("=")[2] in WEB and "?" in rest:
            found.add(rest.partition("?")[2])
    return tuple(sorted((secret for secret in found if len(secret) > 3), key=lambda secret: (-len(secret), secret)))


def with_addresses(text: str) -> str:
    """A text in which copies are called by the addresses that they stand for.

    >>> with_addresses("/tmp/tensorize-copy-x1/s3/bucket/wine.h5   307 KB")
    's3://bucket/wine.h5   307 KB'
    """
    return _COPY.sub(r"\1://", text) if COPY_PREFIX in text else text
