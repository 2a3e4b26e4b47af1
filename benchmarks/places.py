"""Measure a CSV file from a web server beside the same from the disk: python benchmarks/places.py [--mb 200] [--runs 3].

The server is our own, in a process of its own: it knows ranges, and waits before each answer as a distant one does. Both
commands run in turn; what counts is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

TENSORIZE = str(Path(sys.executable).with_name("tensorize"))
COLUMNS, BLOCK = 12, 20_000


def make(path: Path, size: int) -> None:
    rng = np.random.default_rng(1)
    with path.open("w") as file:
        file.write(",".join(f"c{column}" for column in range(COLUMNS)) + "\n")
        while file.tell() < size:
            lines = "\n".join(",".join(f"{value:.4f}" for value in row) for row in rng.normal(50, 20, (BLOCK, COLUMNS)))
            for _ in range(10):
                file.write(lines + "\n")


class Ranges(BaseHTTPRequestHandler):
    """Answers requests for ranges of one file, after a while."""

    protocol_version = "HTTP/1.1"
    file: int
    size: int
    latency: float

    def do_GET(self) -> None:
        time.sleep(self.latency)
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, self.size)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{self.size}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.flush()
        while start < stop:
            start += os.sendfile(self.connection.fileno(), self.file, start, stop - start)

    def log_message(self, *args: object) -> None:
        pass


def serve(path: Path, latency: float, pipe: Connection) -> None:
    Ranges.file, Ranges.size, Ranges.latency = os.open(path, os.O_RDONLY), path.stat().st_size, latency
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    pipe.send(server.server_port)
    server.serve_forever()


def seconds(source: str, out: Path) -> float:
    began = time.monotonic()
    subprocess.run([TENSORIZE, "table", source, "-o", str(out), "--force", "-q", "--max-size", "10GB"], check=True)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before each answer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, outs = Path(folder) / "d.csv", [Path(folder) / name for name in ("disk.h5", "web.h5")]
        make(path, given.mb * 10**6)
        pipe, other = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(path, given.latency, other), daemon=True)
        server.start()
        sources = [str(path), f"http://127.0.0.1:{pipe.recv()}/d.csv"]
        times: list[list[float]] = [[], []]
        for _ in range(given.runs):
            for at, source in enumerate(sources):
                times[at].append(seconds(source, outs[at]))
        server.terminate()
        assert outs[0].read_bytes() == outs[1].read_bytes()
    disk, web = map(statistics.median, times)
    print(f"{given.mb} MB from the disk {disk:.2f} s, from the web {web:.2f} s: {web / disk:.2f} (at most 1.5)")


if __name__ == "__main__":
    main()
