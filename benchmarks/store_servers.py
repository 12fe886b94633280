"""Real Redis and Postgres servers for benchmarks and tests, which persist everything that they acknowledge."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psycopg
from serve_process import await_answer, free_port


class StoreProcess:
    """A dedicated server on a free local port; its data is deleted at the end."""

    command: list[str]
    url: str
    user: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="store-"))
        self.port = free_port()
        self.prepare()
        self.start()

    @staticmethod
    def is_installed() -> bool:
        """Whether the server is installed."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Set `command` and `url`."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether the server answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and wait until it answers; after a crash, it recovers first."""
        log_path = self.folder / "log"
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(self.command, **self.user, cwd=self.folder, stdout=log, stderr=log)
        await_answer(self.process, self.answers, log_path)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server and to its processes, such as those of Postgres, one per connection."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, check=False)
        for pid in (self.process.pid, *map(int, found.stdout.split())):
            with suppress(ProcessLookupError):  # a connection was closed meanwhile
                os.kill(pid, number)

    def freeze(self) -> None:
        """Suspend the server: connections stay open, answers do not come."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the server."""
        if self.process.poll() is None:
            self.send(signal.SIGCONT)

    def stop(self) -> None:
        """Abort the server and all its processes at once, as in a crash."""
        self.thaw()  # a suspended server would not notice
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)


class RedisProcess(StoreProcess):
    """A Redis that syncs every command."""

    @staticmethod
    def is_installed() -> bool:
        """Whether Redis is installed."""
        return shutil.which("redis-server") is not None

    def prepare(self) -> None:
        """Set `command` and `url`."""
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "", "daemonize": "no"}
        options |= {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
        self.command = ["redis-server", *(str(part) for name, of in options.items() for part in (f"--{name}", of))]

    def answers(self) -> bool:
        """Whether the server answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()


class PostgresProcess(StoreProcess):
    """A Postgres with a password.

    Postgres refuses to run as root, which therefore starts it as the user ``postgres``.
    """

    @staticmethod
    def is_installed() -> bool:
        """Whether Postgres is installed."""
        return find_programs() is not None

    def prepare(self) -> None:
        """Make the database; set `command` and `url`."""
        programs = find_programs()
        assert programs is not None
        self.user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self.password = secrets.token_hex(16)
        (self.folder / "password").write_text(self.password, encoding="utf-8")
        if self.user:
            for path in (self.folder, self.folder / "password"):
                shutil.chown(path, **self.user)
        self.url = f"postgresql://firstday:{self.password}@127.0.0.1:{self.port}/postgres"
        self._numbers = count(1)
        data = self.folder / "data"
        command = [str(programs / "initdb"), f"--pgdata={data}", "--encoding=UTF8", "--locale=C"]
        command += ["--username=firstday", f"--pwfile={self.folder / 'password'}", "--auth=scram-sha-256"]
        subprocess.run(command, **self.user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "on"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.command = [str(programs / "postgres"), "-D", str(data), *options]

    def answers(self) -> bool:
        """Whether the server answers."""
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


def find_programs() -> Path | None:
    """Return the folder of the newest Postgres that is installed; Debian keeps it out of the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb", path=str(folders[-1]) if folders else None)
    return Path(found).resolve().parent if found else None


STORE_SERVERS: Mapping[str, type[RedisProcess] | type[PostgresProcess]] = {
    "redis": RedisProcess,
    "postgres": PostgresProcess,
}


def installed_stores() -> list[str]:
    """Return the kinds of store that can run here."""
    return ["sqlite", *(kind for kind, server in STORE_SERVERS.items() if server.is_installed())]


@contextmanager
def store_settings(kind: str) -> Iterator[dict[str, Any]]:
    """Yield the settings of a service with a new store: its own file for ``sqlite``, else a server."""
    if kind == "sqlite":
        yield {}
    else:
        with STORE_SERVERS[kind]() as store:
            yield {"store": store.url}
