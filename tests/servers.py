"""Servers of our own for the tests: a web server with ranges, latency and faults, and a real S3 (moto) on loopback."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

STALL_SECONDS = 30.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        web = self.server.web
        time.sleep(web.latency)
        web.log.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        fault = web.faults.pop(0) if web.faults and (self.command == "GET" or web.faults[0].startswith("status")) else ""
        if fault.startswith("status"):
            self._answer(int(fault.split()[1]), {"Retry-After": fault.split()[2]} if len(fault.split()) > 2 else {})
        elif path in web.redirects:
            self._answer(302, {"Location": web.redirects[path]})
        elif path not in web.files:
            self._answer(404)
        elif web.password and self.headers.get("Authorization") != web.password:
            self._answer(401)
        else:
            self._file(web, web.files[path], fault)

    def _answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _file(self, web: Web, data: bytes, fault: str) -> None:
        start, stop, status = 0, len(data), 200
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        if asked and web.ranges and (condition in (None, tag) or not web.etag):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop, status = int(first), min(int(last) + 1, len(data)), 206
            if start >= len(data):
                self._answer(416, {"Content-Range": f"bytes */{len(data)}"})
                return
        self.send_response(status)
        total = len(data) + (1000 if fault == "lie" or web.lies else 0)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        if web.etag:
            self.send_header("ETag", tag)
        if web.modified:
            self.send_header("Last-Modified", web.modified)
        for name, value in web.headers.items():
            self.send_header(name, value)
        if web.lengths:
            self.send_header("Content-Length", str(stop - start))
        else:
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        self._body(data[start:stop], fault, web)

    def _body(self, data: bytes, fault: str, web: Web) -> None:
        half = len(data) // 2
        if fault in ("drop", "reset", "stall"):
            self.wfile.write(data[:half])
            self.wfile.flush()
            self.close_connection = True
            if fault == "stall":
                web.stopping.wait(STALL_SECONDS)
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault == "trickle":
            for at in range(len(data)):
                self.wfile.write(data[at : at + 1])
                if web.stopping.wait(0.05):
                    return
        else:
            self.wfile.write(data)
        if fault.startswith("then "):
            web.files[self.path.partition("?")[0]] = fault.removeprefix("then ").encode() or data

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    web: Web

    def handle_error(self, *args: object) -> None:
        """Clients may go away in the middle: that is what is tested."""


class Web:
    """A web server: `files` by path. `faults` are for the next requests, one each: `""` for none."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.faults: list[str] = []
        self.log: list[tuple[str, dict[str, str]]] = []
        self.latency = 0.0
        self.password = ""
        self.ranges = self.etag = self.lengths = True
        self.lies = False
        self.modified = ""
        self.stopping = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.web = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def put(self, path: str, data: bytes) -> str:
        """Publish a file; return its address."""
        self.files[path] = data
        return f"http://{self.host}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def moto() -> Iterator[str]:
    """A real S3 server; yields its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def bucket(endpoint: str, name: str) -> Any:
    """The file system of a moto server, with a new bucket."""
    from pyarrow import fs

    scheme, _, at = endpoint.partition("://")
    store = fs.S3FileSystem(
        access_key="key",
        secret_key="secret",
        endpoint_override=at,
        scheme=scheme,
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir(name)
    return store
