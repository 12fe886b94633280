"""A real Postgres for benchmarks and tests, which persists everything it acknowledges."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psycopg
from serve_process import await_answer, free_port


def find_programs() -> Path | None:
    """Return the folder of the newest Postgres that is installed; Debian keeps it out of the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb", path=str(folders[-1]) if folders else None)
    return Path(found).resolve().parent if found else None


class PostgresProcess:
    """A dedicated Postgres server on a free local port, with a password; its data is deleted at the end.

    Postgres refuses to run as root, which therefore starts it as the user ``postgres``.
    """

    def __init__(self) -> None:
        programs = find_programs()
        assert programs is not None
        self._programs = programs
        self._user: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.password = secrets.token_hex(16)
        (self.folder / "password").write_text(self.password, encoding="utf-8")
        if self._user:
            for path in (self.folder, self.folder / "password"):
                shutil.chown(path, **self._user)
        self.port = free_port()
        self.url = f"postgresql://firstday:{self.password}@127.0.0.1:{self.port}/postgres"
        self._numbers = count(1)
        command = [str(self._programs / "initdb"), f"--pgdata={self.folder / 'data'}", "--encoding=UTF8", "--locale=C"]
        command += ["--username=firstday", f"--pwfile={self.folder / 'password'}", "--auth=scram-sha-256"]
        subprocess.run(command, **self._user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        self.start()

    @staticmethod
    def is_installed() -> bool:
        """Whether Postgres is installed."""
        return find_programs() is not None

    def start(self) -> None:
        """Start the server and wait until it answers; after a crash, it recovers first."""
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "on"}
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, **self._user, cwd=self.folder, stdout=log, stderr=log)
        await_answer(self.process, self._answers, self.folder / "log")

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, query: str) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def make_schema(self) -> str:
        """Create a schema; return a URL by which it is the current one."""
        name = f"s{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url}?options={quote(f'-csearch_path={name}')}"

    def _send(self, number: signal.Signals) -> None:
        """Send a signal to the server and to its processes, one per connection."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, check=True)
        for pid in (self.process.pid, *map(int, found.stdout.split())):
            with suppress(ProcessLookupError):  # a connection was closed meanwhile
                os.kill(pid, number)

    def freeze(self) -> None:
        """Suspend the server: connections stay open, answers do not come."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the server."""
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """Abort the server and all its processes at once, as in a crash."""
        if self.process.poll() is None:
            self.thaw()  # a suspended server would not notice
            self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)
