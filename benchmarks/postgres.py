"""Measure reading from PostgreSQL: python benchmarks/postgres.py [--rows 2000000,5000000] [--runs 3]

A server of its own is started, and stopped at the end. The peer is `pandas.read_sql` over ADBC, which is its fastest way,
with scikit-learn behind it; `--psycopg` adds the one of most tutorials, over SQLAlchemy and psycopg.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench
import make_data
import pyarrow.csv as pacsv

sys.path.insert(0, str(bench.ROOT / "tests"))


def load(server: Any, folder: Path, name: str, rows: int) -> None:
    """Make a table of wine rows."""
    path = folder / "wine.csv"
    make_data.wine(path, rows)
    server.write(name, pacsv.read_csv(path, parse_options=pacsv.ParseOptions(delimiter=";")))
    server.run(f"analyze {name}")
    path.unlink()


def measure(server: Any, name: str, folder: Path, runs: int, peers: list[str]) -> dict[str, list[bench.Run]]:
    """Ours and the peers, in turn."""
    commands = {"tensorize": bench.ours("wine", "--table", name, "--onehot", "quality")}
    commands |= {peer: [*bench.peer(peer), name] for peer in peers}
    found: dict[str, list[bench.Run]] = {way: [] for way in commands}
    for _ in range(runs):
        for way, command in commands.items():
            words = [server.address if word == "SOURCE" else word for word in command]
            found[way].append(bench.measured(words, Path("unused"), folder / "out.h5", says=False))
            print(f"  {way}: {found[way][-1].value:.2f} s  {found[way][-1].memory:.0f} MB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="2000000,5000000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--psycopg", action="store_true")
    asked = parser.parse_args()
    peers = ["pandas_sql", *(["pandas_psycopg"] if asked.psycopg else [])]
    with server_of_ours() as server, tempfile.TemporaryDirectory() as made:
        for at, rows in enumerate(map(int, asked.rows.split(","))):
            name = f"wine{rows}"
            bench.apart(load, server, Path(made), name, rows)
            found = measure(server, name, Path(made), asked.runs, peers if not at else [])
            for way, each in found.items():
                times = [run.value for run in each]
                ratio = statistics.median(run.value for run in found["tensorize"]) / statistics.median(times)
                peak = max(run.memory for run in each)
                spread = f"{statistics.median(times):.2f} ({min(times):.2f}–{max(times):.2f}) s"
                print(f"{rows:,} rows  {way}: {spread}  {peak:.0f} MB  {ratio:.2f}×")


@contextlib.contextmanager
def server_of_ours() -> Iterator[Any]:
    from postgres_server import started

    with started() as server:
        yield server


if __name__ == "__main__":
    main()
