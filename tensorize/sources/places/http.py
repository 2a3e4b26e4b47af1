"""Files on web servers, read by ranges; what a server gives only as a whole comes as a stream."""

from __future__ import annotations

import base64
import email.utils
import http.client
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, cast
from urllib.parse import quote, urljoin

from tensorize.core.errors import DataError, RunError, UsageError
from tensorize.core.version import __version__
from tensorize.sources.addresses import Address, is_address, parse_address
from tensorize.sources.changes import source_changed
from tensorize.sources.places.retries import MayPassError, Patience, persistent
from tensorize.sources.streams import spooled

FIRST_BYTES = 256 << 10
"""What the first request asks for: most of what is looked at before a file is read."""
PIECE = 256 << 10
MOST_REDIRECTS = 5
MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_UNRESERVED = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True)
class WebFile:
    """A file on a web server that reads it by ranges, as it was when it was first asked for. See `ranges.Remote`."""

    name: str
    address: Address = field(repr=False)
    size: int
    version: tuple[str, str]
    """ETag and Last-Modified."""
    timeout: float
    first: bytes = field(repr=False)

    def session(self) -> WebSession:
        """What reads it, for one thread at a time."""
        return WebSession(self.address, self.name, self)

    def check(self) -> None:
        """Raise DataError if it is not what it was."""
        if self.size:
            with _closing(self.session()) as session:
                persistent(self.name, self.timeout, lambda patience: session.read(0, memoryview(bytearray(1)), patience))

    @property
    def condition(self) -> dict[str, str]:
        """The header that asks for a range only if the file is the same. A weak tag must not stand there (RFC 9110, 13.1.5)."""
        tag, modified = self.version
        value = modified if not tag or tag.startswith("W/") else tag
        return {"If-Range": value} if value else {}


def open_web(address: Address, timeout: float) -> WebFile | IO[bytes]:
    """Ask for a file: one to be read by ranges, or, where the server knows none, all of it in a temporary file.

    Raises UsageError for what is not there, RunError for what the server refuses, or does not send in time.
    """
    if not address.path.strip("/") or address.path.endswith("/"):
        raise UsageError(f"{address.shown} is a folder of a web server, which cannot be listed", hint="name one file of it")
    with _closing(WebSession(address, address.shown)) as session:
        found: WebFile | IO[bytes] = persistent(address.shown, timeout, lambda patience: _asked(session, patience, timeout))
    return found


def _asked(session: WebSession, patience: Patience, timeout: float) -> WebFile | IO[bytes]:
    answer = session.request({"Range": f"bytes=0-{FIRST_BYTES - 1}"}, patience)
    name, version = session.name, _version(answer)
    if answer.status == 416 and (answer.getheader("Content-Range") or "").endswith("/0"):
        return WebFile(name, session.address, 0, version, timeout, b"")
    found = _RANGE.fullmatch(answer.getheader("Content-Range") or "")
    if answer.status == 206 and found is not None and found[1] == "0" and any(version):
        size, buffer = int(found[3]), memoryview(bytearray(int(found[2]) + 1))
        if len(buffer) > min(size, FIRST_BYTES):
            raise _lies(name, f"bytes 0 to {FIRST_BYTES - 1} were asked for, and {found[0]} came")
        if session.fill(answer, buffer, patience) < len(buffer):
            raise MayPassError("the connection was closed early")
        return WebFile(name, session.address, size, version, timeout, bytes(buffer))
    if answer.status != 200:  # a range that says nothing of the rest
        session.close()
        answer = session.request({}, patience)
    if answer.status != 200:
        raise _refused(name, answer.status)
    return spooled(name, cast(IO[bytes], _Body(session, answer, patience)))


class _Body:
    """The body of an answer, as a stream that notices its early end."""

    def __init__(self, session: WebSession, answer: http.client.HTTPResponse, patience: Patience) -> None:
        self._session, self._answer, self._patience = session, answer, patience
        said = answer.getheader("Content-Length")
        self._left = int(said) if said and said.isdigit() else None

    def read(self, size: int) -> bytes:
        view = memoryview(bytearray(size if self._left is None else min(size, self._left)))
        got = self._session.fill(self._answer, view, self._patience)
        if self._left is not None:
            self._left -= got
            if self._left and got < len(view):
                raise MayPassError("the connection was closed early")
        return bytes(view[:got])


class WebSession:
    """A connection to the server of one file, kept open between requests; for one thread at a time."""

    def __init__(self, address: Address, name: str, file: WebFile | None = None) -> None:
        self.address, self.name = address, name
        self._file, self._target = file, address
        self._connection: http.client.HTTPConnection | None = None
        self._answer: http.client.HTTPResponse | None = None
        self._at: tuple[str, str] = ("", "")

    def close(self) -> None:
        """Close the connection."""
        if self._answer is not None:  # it holds a connection that the server has said to close
            self._answer.close()
        self._answer = None
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def read(self, start: int, buffer: memoryview, patience: Patience) -> int:
        """Read a range of the file once; return how many bytes came.

        Raises MayPassError for what may pass, DataError where the file is not what it was.
        """
        assert self._file is not None
        asked = {"Range": f"bytes={start}-{start + len(buffer) - 1}", **self._file.condition}
        answer = self.request(asked, patience)
        found = _RANGE.fullmatch(answer.getheader("Content-Range") or "")
        is_range = answer.status == 206 and found is not None and found[1] == str(start)
        if found and is_range and int(found[3]) == self._file.size and _same(_version(answer), self._file.version):
            return self.fill(answer, buffer, patience)
        self.close()
        if answer.status == 206 and not is_range:
            raise _lies(self.name, f"bytes from {start:,} were asked for, and others came")
        if answer.status in (200, 206, 404, 410, 412, 416):
            raise source_changed(self.name)
        raise _refused(self.name, answer.status)

    def fill(self, answer: http.client.HTTPResponse, buffer: memoryview, patience: Patience) -> int:
        """Read the body of an answer into a buffer; return how many bytes came before its end.

        Raises MayPassError where nothing came.
        """
        got = 0
        try:
            while got < len(buffer):
                data = answer.read1(min(PIECE, len(buffer) - got))
                if not data:
                    break
                buffer[got : got + len(data)] = data
                got += len(data)
                patience.got(len(data))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not got or not self._file:
                raise _passing(error, self.name) from None
        if answer.length == 0:
            answer.close()  # the connection stays open
        elif got < len(buffer):
            self.close()
        return got

    def request(self, headers: Mapping[str, str], patience: Patience) -> http.client.HTTPResponse:
        """Send a request, and return the answer: redirects are followed.

        Raises MayPassError for what may pass, UsageError for what is not there, RunError for what is refused.
        """
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._sent(headers, patience)
            if answer.status in _REDIRECTS and (where := answer.getheader("Location")):
                self._follow(where)
                continue
            if answer.status in (200, 206, 412, 416):
                return answer
            self.close()
            if answer.status in MAY_PASS:
                raise MayPassError(f"the server answers {answer.status} {answer.reason}", _retry_after(answer))
            if self._target != self.address:  # the place that was led to may hold no longer
                self._target = self.address
                raise MayPassError(f"the server answers {answer.status} {answer.reason}")
            if answer.status in (404, 410) and self._file is not None:
                return answer
            raise _refused(self.name, answer.status)
        raise RunError(f"{self.name} leads from one address to another without an end", hint="is the address right?")

    def _follow(self, where: str) -> None:
        """Go where a server points to."""
        self.close()
        base = f"{self._target.shown}"
        target = urljoin(base, where)
        if not is_address(target) or not (found := parse_address(target)).is_web:
            raise RunError(f"{self.name} leads to an address that is not on the web", hint="name the file itself")
        if self._target.scheme == "https" and found.scheme == "http":
            raise RunError(
                f"{self.name} leads to {found.shown}, where everyone on the way can read and change it",
                hint="if that is right, name that address",
            )
        self._target = found

    def _sent(self, headers: Mapping[str, str], patience: Patience) -> http.client.HTTPResponse:
        """One request and its answer. A kept connection that the server has closed is opened again."""
        target = self._target
        if self._at != (target.scheme, target.host):
            self.close()
        for tried_before in (False, True):
            fresh = tried_before or self._connection is None
            try:
                connection = self._connected(patience)
                connection.request("GET", self._path(), headers={**_always(), **self._authorization(), **headers})
                self._answer = connection.getresponse()
                return self._answer
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh or isinstance(error, TimeoutError):
                    raise _passing(error, self.name) from None
        raise AssertionError

    def _connected(self, patience: Patience) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = _connection(self._target, patience.each)
            self._at = (self._target.scheme, self._target.host)
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(patience.each)
        return self._connection

    def _path(self) -> str:
        """What the request names: all of the address where a proxy is asked."""
        path = quote(self._target.path or "/", safe=_UNRESERVED)
        path += f"?{quote(self._target.query, safe=_UNRESERVED + '?')}" if self._target.query else ""
        return f"http://{self._target.host}{path}" if self._target.scheme == "http" and _proxy(self._target) else path

    def _authorization(self) -> dict[str, str]:
        """User and password for the server they were given for, and for no other."""
        given = self.address if self._target.host == self.address.host else self._target
        found = {"Authorization": _basic(given)} if given.user or given.password else {}
        proxy = _proxy(self._target) if self._target.scheme == "http" else None
        return {**found, **({"Proxy-Authorization": _basic(proxy)} if proxy and proxy.user else {})}


def _always() -> dict[str, str]:
    return {"User-Agent": f"tensorize/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


def _basic(address: Address) -> str:
    return "Basic " + base64.b64encode(f"{address.user}:{address.password}".encode()).decode()


def _proxy(target: Address) -> Address | None:
    """The proxy that the environment names for an address."""
    found = urllib.request.getproxies().get(target.scheme)
    if not found or urllib.request.proxy_bypass(target.host):
        return None
    return parse_address(found if "://" in found else f"http://{found}")


def _connection(target: Address, seconds: float) -> http.client.HTTPConnection:
    proxy = _proxy(target)
    at = proxy or target
    secure = ssl.create_default_context() if target.scheme == "https" else None
    if secure is None:
        return http.client.HTTPConnection(at.host, timeout=seconds)
    made = http.client.HTTPSConnection(at.host, timeout=seconds, context=secure)
    if proxy is not None:
        made.set_tunnel(target.host, headers={"Proxy-Authorization": _basic(proxy)} if proxy.user else {})
    return made


def _version(answer: http.client.HTTPResponse) -> tuple[str, str]:
    return answer.getheader("ETag") or "", answer.getheader("Last-Modified") or ""


def _same(now: tuple[str, str], before: tuple[str, str]) -> bool:
    """Whether two answers are of one version: the tag says so, and without tags the date."""
    return now[0] == before[0] if now[0] or before[0] else now[1] == before[1]


def _retry_after(answer: http.client.HTTPResponse) -> float:
    """Seconds that a server asks to wait: a number, or until a date."""
    said = (answer.getheader("Retry-After") or "").strip()
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _passing(error: Exception, name: str) -> MayPassError | RunError:
    """What a failure on the way is: one that may pass, or one that will not."""
    right = "is the address right?"
    match error:
        case ssl.SSLCertVerificationError():
            return RunError(f"{name} is on a server that cannot prove who it is: {error.verify_message}", hint=right)
        case socket.gaierror() if error.errno != socket.EAI_AGAIN:
            return RunError(f"{name} is on a server that is not known: {error.strerror}", hint=right)
        case ConnectionRefusedError():
            return RunError(f"{name} cannot be read: the server refuses the connection", hint=f"is it running? And {right}")
        case http.client.InvalidURL():
            return RunError(f"{name} is not a valid address", hint=right)
    return MayPassError(_said(error))


def _said(error: Exception) -> str:
    """In a few words, without what a library may have put in."""
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "the connection was closed early"
    return type(error).__name__ + (f": {error.strerror}" if isinstance(error, OSError) else "")


def _refused(name: str, status: int) -> RunError | UsageError:
    if status in (404, 410):
        return UsageError(f"there is no file {name}: the server answers {status}", hint="is the address right?")
    if status in (401, 403, 407):
        hint = "put user and password, or a token, into the address as its server asks: https://USER:PASSWORD@HOST/…"
        return RunError(f"{name} cannot be read: the server answers {status}", hint=hint)
    return RunError(f"{name} cannot be read: the server answers {status}", hint="is the address right?")


def _lies(name: str, what: str) -> DataError:
    return DataError(
        f"{name} comes from a server that contradicts itself: {what}", hint="save it to a file first, and name that"
    )


@contextmanager
def _closing(session: WebSession) -> Iterator[WebSession]:
    try:
        yield session
    finally:
        session.close()
