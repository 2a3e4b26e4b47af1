"""A PostgreSQL server of our own, where the machine has one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "hunter2/@:secret"


@dataclass(frozen=True)
class Server:
    """A server on a port of this machine: `postgres` needs no password, `ada` does."""

    port: int
    database: str = "postgres"

    @property
    def address(self) -> str:
        """As a user without a password gives it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self.database}"

    @property
    def guarded(self) -> str:
        """The address of a user who has a password, the password in it."""
        return f"postgresql://ada:hunter2%2F%40%3Asecret@127.0.0.1:{self.port}/{self.database}"

    def run(self, *statements: str) -> None:
        """Run statements as the owner."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.address, autocommit=True) as base, base.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def write(self, name: str, table: Any) -> None:
        """Write an Arrow table."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.address) as base, base.cursor() as cursor:
            cursor.adbc_ingest(name, table, mode="replace")
            base.commit()


def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _as_owner() -> list[str] | None:
    """How a program is started that refuses root; None if there is no way."""
    if os.getuid():
        return []
    if shutil.which("setpriv") is None:
        return None
    known = subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if known else None


def is_available() -> bool:
    """Whether the machine has PostgreSQL, for a user that it runs for."""
    return _programs() is not None and _as_owner() is not None


@contextmanager
def started() -> Iterator[Server]:
    """A server on a free port of this machine."""
    programs, owner = _programs(), _as_owner()
    assert programs is not None
    assert owner is not None
    folder = Path(tempfile.mkdtemp(prefix="tensorize-pg-"))
    try:
        folder.chmod(0o777)
        data = folder / "data"
        quiet: dict[str, Any] = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "timeout": 120,
            "cwd": folder,
        }
        subprocess.run(
            [*owner, str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            **quiet,
        )
        (data / "pg_hba.conf").write_text(
            "host all ada 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust\n"
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={port}",
            f"unix_socket_directories={folder}",
            "fsync=off",
            "lc_messages=C",
        ]
        given = [part for setting in settings for part in ("-c", setting)]
        process = subprocess.Popen(
            [*owner, str(programs / "postgres"), "-D", str(data), *given],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        try:
            server = Server(port)
            _until_up(lambda: server.run(f"create role ada login password '{PASSWORD}'"))
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _until_up(call: Callable[[], None]) -> None:
    import time

    for left in range(100, -1, -1):
        try:
            return call()
        except Exception:
            if not left:
                raise
            time.sleep(0.1)
    return None
