"""Attacks on a service, as anyone can send them who has a token of a page, or only a socket, and what they achieve.

    python benchmarks/serve_attacks.py MODEL [--before SRC] [--only H1] [--out docs/results/serve-attacks.json]

Each attack starts a server of its own on the loopback address, is bounded in count and time, and yields one row: the
longest time that `/healthz` took, which another process asks all the time, memory added at the peak, the share of
lists answered to a client with a key, and what was read or went wrong. With `--before`, every attack also meets the
code in that folder, such as the `src` of a checkout of an earlier commit. MODEL is made by benchmarks/paper_size.py; an
earlier commit that reads another format needs a model of its own (`--before-model`). Names are those of issue 47.

Needs Linux, and root to fill a disk; Redis and Postgres take part if they are installed.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection as Channel
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
import typer
from postgres_process import PostgresProcess
from redis import Redis
from redis_process import RedisProcess
from result_files import write_results
from serve_faults import small_disk
from serve_load import expect_ok
from serve_process import Connection, ServerProcess, write_request
from store_servers import STORE_SERVERS, store_settings

import firstday as fd

PATIENCE_S = 30.0
"""Longest time to wait for any answer; times of this length are as long or longer."""
LATE_S = 5.0
"""A list that takes longer counts as not answered."""
HOLD_S = 10.0
"""Time for which sockets are held."""
HALF_OPEN_S = 20.0
N_SOCKETS = 520
N_UNREAD = 3
"""Answers that are not read per socket: the first ones still fit into buffers."""
N_MERGES = 40
N_EVENTS = 1_000
ORIGIN = "https://shop.example"
FOREIGN = {"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}
KEY = "key-of-16-characters-or-more"
SIGNING_KEY = "key-of-tokens-of-at-least-32-characters"
NO_KEYS = dict.fromkeys(("read_keys", "write_keys", "items_keys", "admin_keys"), "") | {"token_keys": ""}
SETTINGS = {**dict.fromkeys(NO_KEYS, KEY), "token_keys": SIGNING_KEY, "origins": ORIGIN, "log_requests": "false"}
KEYED = {"Authorization": f"Bearer {KEY}"}
STREAM = {**KEYED, "Content-Type": "application/x-ndjson"}
LISTS = "/v1/users/u/recommendations"
USERS = [f"u{number}" for number in range(20)]
COMPARISONS_PER_FILTER = 80
"""A filter of 1,900 characters."""
HTTP = httpx.Client(timeout=PATIENCE_S, trust_env=False)


@dataclass
class Row:
    """What an attack achieved."""

    healthz_ms: float | None = None
    added_mib: float | None = None
    lists_answered: float | None = None
    found: str = ""


@dataclass
class Lab:
    """Servers of one version of the code, and what the attacks on them achieved."""

    model: Path
    folder: Path
    rows: dict[str, Row] = field(default_factory=dict)

    @contextmanager
    def serve(self, **settings: Any) -> Iterator[ServerProcess]:
        """Run a server, which is killed at the end, as it may not stop by itself."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        server = ServerProcess(self.model, folder, {**SETTINGS, **settings})
        try:
            yield server
        finally:
            server.kill()

    @contextmanager
    def watch(self, name: str, server: ServerProcess) -> Iterator[Row]:
        """Measure a server during an attack."""
        row = self.rows[name] = Row()
        ours, theirs = Pipe()
        process = get_context("fork").Process(target=run_probe, args=(server.url, theirs))
        process.start()
        ours.recv()
        Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="utf-8")  # peak = current
        before_mib = server.memory_mib()["resident_mib"]
        try:
            yield row
        finally:
            row.added_mib = server.memory_mib()["peak_mib"] - before_mib
            ours.send(None)
            row.healthz_ms, row.lists_answered = ours.recv()
            process.join()
            print(f"{name}: {row}", file=sys.stderr, flush=True)

    @contextmanager
    def attack(self, name: str, **settings: Any) -> Iterator[tuple[ServerProcess, Row]]:
        """Run a server and measure it during an attack."""
        with self.serve(**settings) as server, self.watch(name, server) as row:
            yield server, row


def run_probe(url: str, channel: Channel) -> None:
    """Ask until told to stop; send the longest time of `/healthz` in ms, and the share of lists answered."""
    channel.send(asyncio.run(probe(url, channel)))


async def probe(url: str, channel: Channel) -> tuple[float, float]:
    """Do the same as `run_probe`, by requests with connections of their own."""
    answered: list[bool] = []
    longest_s = 0.0

    async def find_status(path: str, timeout_s: float) -> int:
        with suppress(OSError):  # also the timeout
            async with asyncio.timeout(timeout_s):
                connection = await Connection.open(url)
                try:
                    return (await connection.send(write_request("GET", path, headers=KEYED)))[0]
                finally:
                    connection.close()
        return 0

    async def ask_for_lists() -> None:
        while not channel.poll():
            answered.append(await find_status("/v1/users/other/recommendations?k=10", LATE_S) == 200)
            await asyncio.sleep(0.1)

    await find_status("/healthz", PATIENCE_S)
    channel.send(None)
    lists = asyncio.create_task(ask_for_lists())
    while not channel.poll():
        began = time.perf_counter()
        while await find_status("/healthz", PATIENCE_S) != 200 and time.perf_counter() < began + PATIENCE_S:
            await asyncio.sleep(0.005)
        longest_s = max(longest_s, time.perf_counter() - began)
        await asyncio.sleep(0.005)
    await lists
    return 1000 * longest_s, sum(answered) / max(1, len(answered))


def ask(
    server: ServerProcess, method: str, path: str, headers: Mapping[str, str] = KEYED, **content: Any
) -> httpx.Response:
    """Return the answer to a request; if there is none, one with the status 0 and the name of the error as code."""
    try:
        return HTTP.request(method, server.url + path, headers=headers, **content)
    except httpx.HTTPError as error:
        return httpx.Response(0, json={"code": type(error).__name__})


def describe(answer: httpx.Response) -> str:
    """Return the status of an answer, and the code of an error."""
    return (
        f"{answer.status_code} {answer.json().get('code', '')}".strip() if answer.content else f"{answer.status_code}"
    )


def timed(server: ServerProcess, *request: Any, **content: Any) -> str:
    """Send a request; return the description of the answer, and the seconds it took."""
    began = time.perf_counter()
    answer = describe(ask(server, *request, **content))
    return f"{answer} in {time.perf_counter() - began:.1f} s"


def page_of(user: str, scheme: str = "Bearer", **claims: Any) -> dict[str, str]:
    """Return the headers of a page with a token of a user."""
    token = fd.sign_token(user, SIGNING_KEY, [ORIGIN])
    if claims:
        head, body, _ = token.split(".")
        values = {**json.loads(base64.urlsafe_b64decode(body + "==")), **claims}
        text = f"{head}.{_encode(json.dumps(values).encode())}"
        token = f"{text}.{_encode(hmac.digest(SIGNING_KEY.encode(), text.encode(), 'sha256'))}"
    return {"Authorization": f"{scheme} {token}", "Origin": ORIGIN}


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def connect(server: ServerProcess) -> socket.socket:
    """Open a socket with a small buffer and the small segments of a distant client, so that buffers hold little."""
    address = urlsplit(server.url)
    opened = socket.socket()
    opened.settimeout(PATIENCE_S)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    opened.connect((address.hostname, address.port))
    return opened


def make_events(user: str, n: int, name: str = "e") -> dict[str, Any]:
    """Return a body with events of a user, each on another item."""
    events = [{"event_id": f"{name}-{at}", "user_id": user, "entity_id": f"item-{at:05}"} for at in range(n)]
    return {"events": events}


def make_filter(n: int, name: str) -> str:
    """Return a filter of some comparisons, unlike those of another name."""
    return " or ".join(f"item_id=='{name}.{at:02}'" for at in range(n))


def make_boosts(n: int, name: str = "all") -> dict[str, float]:
    """Return boosts with some comparisons in all."""
    sizes = [min(COMPARISONS_PER_FILTER, n - at) for at in range(0, n, COMPARISONS_PER_FILTER)]
    return {make_filter(size, f"{name}{number:03}"): 1.5 for number, size in enumerate(sizes)}


def make_rows(n: int, name: str = "p") -> list[dict[str, Any]]:
    """Return 20 rows with some comparisons in all."""
    return [{"name": f"{row}", "boost": make_boosts(n // 20, f"{name}{row:02}")} for row in range(20)]


def send_many_rules(lab: Lab) -> None:
    """Send rules that take long to compile, with a token."""
    bodies: dict[str, dict[str, Any]] = {
        "470 boosts of 1,900 characters": {"rules": {"boost": make_boosts(470 * COMPARISONS_PER_FILTER)}},
        "50 boosts of 1,900 characters": {"rules": {"boost": make_boosts(50 * COMPARISONS_PER_FILTER)}},
        "one filter of 330 comparisons": {"rules": {"filter": "item_id" + "==1==item_id" * 165}},
        "20 rows of 5 boosts of 1,900 characters": {"rows": make_rows(100 * COMPARISONS_PER_FILTER)},
    }
    for name, body in bodies.items():
        with lab.attack(f"H1 {name}") as (server, row):
            row.found = timed(server, "POST", LISTS, page_of("u"), json=body)
    with lab.attack("H1 explanation of a list after 1,000 events") as (server, row):
        ask(server, "POST", "/v1/events", page_of("u"), json=make_events("u", N_EVENTS))
        row.found = timed(server, "GET", f"{LISTS}?k=1000&explain=true", page_of("u"))


def read_slowly(lab: Lab) -> None:
    """Send several requests on each of many sockets, and read nothing."""
    requests = {
        "openapi.json, without a key": (write_request("GET", "/v1/openapi.json"), 0.0),
        "lists of 1,000 with an explanation": (
            write_request("GET", f"{LISTS}?k=1000&explain=true", headers=KEYED),
            0.02,
        ),
    }
    for name, (request, pause_s) in requests.items():
        with lab.attack(f"H2 {N_SOCKETS} slow readers of {name}") as (server, row), ExitStack() as stack:
            n_sent = 0
            with suppress(OSError):
                for _ in range(N_SOCKETS):
                    stack.enter_context(connect(server)).sendall(N_UNREAD * request)
                    n_sent += 1
                    time.sleep(pause_s)  # a list that comes late would be refused
            for _ in range(N_UNREAD):
                ask(server, "GET", "/healthz")  # answered once the service has turned to all requests
            time.sleep(HOLD_S)
            row.found = f"{n_sent} of {N_SOCKETS} could send"


def read_person(lab: Lab) -> None:
    """Read a person with the token of a guest who was merged."""
    with lab.attack("H3 token of a merged guest") as (server, row):
        ask(server, "POST", "/v1/events", json=make_events("guest", 1))
        ask(server, "POST", "/v1/events", json=make_events("person", 3, "own"))
        ask(server, "PUT", "/v1/users/person", json={"age": 43, "profile": {"country": "C07"}})
        ask(server, "POST", "/v1/users/person/merge", json={"from": "guest"})
        listed = ask(server, "GET", "/v1/users/guest/recommendations?explain=true", page_of("guest"))
        late = ask(server, "POST", "/v1/events", page_of("guest"), json=make_events("guest", 1, "late"))
        events = ask(server, "GET", "/v1/users/person").json()["events"]
        secrets = {"id": '"person"', "age": "age 43", "country": "C07", "events": "item-00002"}
        read = [name for name, text in secrets.items() if text in listed.text]
        kept = any(event["event_id"] == "late-0" for event in events)
        row.found = f"list {describe(listed)}, read: {', '.join(read) or 'nothing'}; late event {describe(late)}, "
        row.found += "with the person" if kept else "lost"


def pour(server: ServerProcess, begin: bytes, part: bytes, n_bytes: int) -> str:
    """Send a beginning, then parts, then the end of a request; return the answer, and how far this went."""
    n_sent = 0
    answer = b"closed"
    began = time.perf_counter()
    with connect(server) as opened, suppress(OSError):
        opened.sendall(begin)
        while n_sent < n_bytes:
            opened.sendall(part)
            n_sent += len(part)
        opened.sendall(b" HTTP/1.1\r\nHost: localhost\r\n\r\n" if b"HTTP" not in begin else b"\r\n")
        answer = opened.recv(12)
    return f"{answer.decode()} after {n_sent / 1e6:.1f} MB in {time.perf_counter() - began:.1f} s"


def send_large_heads(lab: Lab) -> None:
    """Send large headers and URLs, without a key."""
    with lab.attack("M1 150 MB of headers") as (server, row):
        row.found = pour(
            server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"x: %b\r\n" % (b"a" * 995) * 50, 150_000_000
        )
    with lab.attack("M1 URL of 100 MB") as (server, row):
        row.found = pour(server, b"GET /healthz?", b"a" * 50_000, 100_000_000)
    with lab.attack("M1 half a header") as (server, row), connect(server) as opened:
        opened.settimeout(HALF_OPEN_S)
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        began = time.perf_counter()
        row.found = f"still open after {HALF_OPEN_S:g} s"
        with suppress(TimeoutError):
            opened.recv(1)
            row.found = f"closed after {time.perf_counter() - began:.1f} s"


def send_slowly(lab: Lab) -> None:
    """Send nine bodies with one token, a byte a second, where eight requests have slots."""
    with (
        lab.attack("M2 nine slow bodies with one token, of eight slots", max_concurrent=8) as (server, row),
        ExitStack() as stack,
    ):
        head, _, body = write_request("POST", "/v1/events", make_events("u", 9), page_of("u")).partition(b"\r\n\r\n")
        opened = [stack.enter_context(connect(server)) for _ in range(9)]
        for one in opened:
            one.sendall(head + b"\r\n\r\n")
        n_closed = 0
        for at in range(8):
            for one in opened:
                try:
                    one.sendall(body[at : at + 1])
                except OSError:
                    n_closed += 1
            time.sleep(1)
        row.found = f"{n_closed} bytes refused"


def stop_writes(lab: Lab) -> None:
    """Let a store fail to write while it can be read, and ask the service how it is."""
    with small_disk(lab.folder / "disk", 3 * 2**20) as is_mounted:
        if is_mounted:
            with lab.attack("M3 SQLite, disk full", store=f"sqlite:///{lab.folder / 'disk' / 'db'}") as (server, row):
                with suppress(OSError):
                    (lab.folder / "disk" / "filler").write_bytes(b"x" * 2**22)
                row.found = report_health(server)
    if RedisProcess.is_installed():
        for name in ("out of memory", "replica"):
            with RedisProcess() as store, lab.attack(f"M3 Redis, {name}", store=store.url) as (server, row):
                with Redis.from_url(store.url) as redis:
                    redis.replicaof("127.0.0.1", "1") if name == "replica" else redis.config_set("maxmemory", 1)
                row.found = report_health(server)
    if PostgresProcess.is_installed():
        with PostgresProcess() as store, lab.attack("M3 Postgres, read-only", store=store.url) as (server, row):
            store.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            store.execute("SELECT pg_reload_conf()")
            time.sleep(0.5)
            row.found = report_health(server)


def report_health(server: ServerProcess) -> str:
    """Write, read, and return what readiness, metrics and a list say."""
    for number in count():
        wrote = ask(server, "POST", "/v1/events", json=make_events("u", N_EVENTS, f"e{number}"))
        if wrote.status_code != 200 or number == 20:
            break
    listed = ask(server, "GET", f"{LISTS}?record=true")
    time.sleep(1.5)  # the service reads what other workers changed
    ready = ask(server, "GET", "/readyz")
    lines = ask(server, "GET", "/metrics").text.splitlines()
    of_store = [
        line.removeprefix("firstday_")
        for line in lines
        if line.startswith("firstday_") and ("store_" in line or "recorded" in line)
    ]
    told = [line for line in of_store if "backup" not in line]
    recorded = "not recorded" if listed.status_code == 200 and listed.json()["not_recorded"] else "recorded"
    return (
        f"write {describe(wrote)}; list {describe(listed)}, {recorded}; "
        f"readyz {ready.status_code} {ready.text}; metrics {', '.join(told)}"
    )


def merge_while_deleting(lab: Lab) -> None:
    """Merge a guest into a user who is deleted at the same moment, by another worker where there can be one."""

    async def race(urls: list[str]) -> str:
        merging, deleting = [await Connection.open(url) for url in urls]
        n_acknowledged = n_left = n_kept = 0
        for number in range(N_MERGES):
            guest, person = f"guest-{number}", f"person-{number}"
            for user in (guest, person):
                await expect_ok(merging, write_request("POST", "/v1/events", make_events(user, 1, user), KEYED))
            (merged, _), (deleted, _) = await asyncio.gather(
                merging.send(write_request("POST", f"/v1/users/{person}/merge", {"from": guest}, KEYED)),
                deleting.send(write_request("DELETE", f"/v1/users/{person}", headers=KEYED)),
            )
            status, of_guest = await merging.send(write_request("GET", f"/v1/users/{guest}", headers=KEYED))
            _, of_person = await merging.send(write_request("GET", f"/v1/users/{person}", headers=KEYED))
            if (merged, deleted) == (200, 204):
                n_acknowledged += 1
                n_left += status == 200 and json.loads(of_guest)["user_id"] == guest
                n_kept += f"{person}-0".encode() in of_person
        return (
            f"{n_acknowledged} of {N_MERGES} both acknowledged: {n_left} guests keep their data, {n_kept} users theirs"
        )

    for kind in kinds():
        with (
            store_settings(kind) as settings,
            lab.attack(f"M4 merge while deleting, {kind}", **settings) as (server, row),
            lab.serve(**settings) if settings else nullcontext(server) as second,
        ):
            row.found = asyncio.run(race([server.url, second.url]))


def kinds() -> list[str]:
    """Return the stores that can be used here."""
    return ["sqlite", *(kind for kind, server in STORE_SERVERS.items() if server.is_installed())]


def search_deleted(lab: Lab) -> None:
    """Search the files of a store for what was deleted."""
    for kind in kinds():
        with ExitStack() as stack:
            store = stack.enter_context(STORE_SERVERS[kind]()) if kind in STORE_SERVERS else None
            settings = {"store": store.url} if store else {}
            server, row = stack.enter_context(lab.attack(f"M5 deleted data in the files, {kind}", **settings))
            marker = f"marker-{random.getrandbits(64):016x}"
            ask(server, "POST", "/v1/events", json=make_events("u", 3, marker))
            deleted = ask(server, "DELETE", "/v1/users/u")
            time.sleep(1)
            files = [path for path in (store.folder if store else server.log_path.parent).rglob("*") if path.is_file()]
            found = [path.name for path in files if marker.encode() in path.read_bytes()]
            row.found = f"{describe(deleted)}; readable in {', '.join(found) or 'none'}"


def set_clock_ahead(lab: Lab) -> None:
    """Add a worker whose clock is 100 days ahead to a shared store."""
    shift = 100 * 86_400
    code = f"""import time
time.time = lambda now=time.time: now() + {shift}
time.time_ns = lambda now=time.time_ns: now() + {shift * 10**9}
"""
    (lab.folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    ahead = {"PYTHONPATH": f"{lab.folder}{os.pathsep}{os.environ['PYTHONPATH']}"}
    for kind in kinds()[1:]:
        with (
            store_settings(kind) as settings,
            lab.attack(f"M6 clock 100 days ahead, {kind}", **settings) as (server, row),
        ):
            late = {**settings, "purge_every_s": 0.5}
            for user in USERS:
                ask(server, "POST", "/v1/events", json=make_events(user, 5, "early"))
            row.found = "the worker does not start"
            with patch.dict(os.environ, ahead), suppress(RuntimeError), lab.serve(**late) as worker:
                for user in USERS:
                    ask(worker, "POST", "/v1/events", json=make_events(user, 1, "late"))
                time.sleep(3)
                row.found = "the worker runs"
            read = [ask(server, "GET", f"/v1/users/{user}").text for user in USERS]
            row.found += f", {sum(text.count('early-') for text in read)} of {5 * len(USERS)} events are left"


def put_large_items(lab: Lab) -> None:
    """Put 6,000 new items of 30 kB, then one more."""
    with lab.attack("M7 6,000 new items of 30 kB") as (server, row):
        lines = (
            json.dumps({"item_id": f"new-{number}", "title": "New", "description": 6_000 * "word "})
            for number in range(6_000)
        )
        row.found = "stream " + timed(
            server, "POST", "/v1/items", STREAM, content=(f"{line}\n".encode() for line in lines)
        )
        row.found += "; one more " + timed(server, "PUT", "/v1/items/one-more", json={"title": "One more"})


def send_odd_values(lab: Lab) -> None:
    """Send values that are hardly JSON, and tokens that are hardly valid."""
    with lab.attack("L lone surrogate in a filter") as (server, row):
        body = rb"""{"rules": {"filter": "item_id == '\\ud800'"}}"""
        row.found = describe(
            ask(server, "POST", LISTS, {**page_of("u"), "Content-Type": "application/json"}, content=body)
        )
    with lab.attack("L items with NaN, Infinity, 400 digits") as (server, row):
        answers = []
        for value in ("NaN", "Infinity", "1" * 400):
            headers = {**KEYED, "Content-Type": "application/json"}
            answers.append(describe(ask(server, "PUT", "/v1/items/n", headers, content=f'{{"year": {value}}}')))
        row.found = ", ".join(answers)
    with lab.attack("L token not valid yet (nbf)") as (server, row):
        row.found = describe(ask(server, "GET", LISTS, page_of("u", nbf=time.time() + 600)))
    with lab.attack("L token with the scheme Basic") as (server, row):
        row.found = describe(ask(server, "GET", LISTS, page_of("u", "Basic")))
    with lab.attack("L stream of 60 MB of newlines") as (server, row):
        row.found = timed(server, "POST", "/v1/events", STREAM, content=b"\n" * 60_000_000)


def come_from_other_sites(lab: Lab) -> None:
    """Send what a page of another site could, to a service without keys."""
    name = "L origin without keys"
    try:
        with lab.attack(name, **NO_KEYS) as (server, row):
            headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
            wrote = ask(server, "POST", "/v1/events", headers, json=make_events("anyone", 1))
            read = ask(server, "GET", "/v1/users/anyone/recommendations", headers)
            allowed = read.headers.get("access-control-allow-origin", "no origin")
            row.found = f"write {describe(wrote)}, read {describe(read)}, granted to {allowed}"
    except RuntimeError:
        lab.rows[name] = Row(found="the service does not start")
    copy = lab.folder / "copy.sqlite"
    with lab.attack("L other site without keys", **NO_KEYS, origins="", backup_file=copy) as (server, row):
        paths = ("/v1/model/reload", "/v1/store/backup")
        row.found = ", ".join(f"{path} {describe(ask(server, 'POST', path, FOREIGN))}" for path in paths)


def look_for_secrets(lab: Lab) -> None:
    """Look at what errors and files disclose."""
    parts = ("begin-of-it", "end-of-it")
    name = "L password in the URL of a store"
    try:
        with lab.serve(store=f"redis://:{'/'.join(parts)}@127.0.0.1:1/0"):
            lab.rows[name] = Row(found="the service starts")
    except RuntimeError as error:
        lab.rows[name] = Row(found="shown" if any(part in str(error) for part in parts) else "not shown")
    for kind in kinds()[1:]:
        with (
            STORE_SERVERS[kind]() as store,
            lab.attack(f"L error while {kind} is gone", store=store.url) as (server, row),
        ):
            store.stop()
            answer = ask(server, "POST", "/v1/events", page_of("u"), json=make_events("u", 1))
            row.found = f"{describe(answer)}: {str(answer.json().get('message'))[:150]}"
    copy = lab.folder / "exported.sqlite"
    with lab.attack("L modes of files", backup_file=copy) as (server, row):
        ask(server, "POST", "/v1/events", json=make_events("u", 3))
        ask(server, "POST", "/v1/store/backup")
        out = lab.folder / "exported"
        subprocess.run(
            [sys.executable, "-m", "firstday", "export", copy, "--out", out], check=True, capture_output=True
        )
        modes = {path.name: oct(path.stat().st_mode)[-3:] for path in (copy, *out.iterdir())}
        row.found = ", ".join(f"{name} {mode}" for name, mode in modes.items())


def send_single_requests(lab: Lab) -> None:
    """Send the most costly requests that a token may send, one at a time; report how long each held the loop."""
    headers = page_of("u")
    ids = [f"item-{at:05}" for at in range(70_000)]
    measured: dict[str, Row] = {}

    def post(_: str, **body: Any) -> httpx.Response:
        return ask(server, "POST", LISTS, headers, json=body)

    def send(_: str, events: dict[str, Any]) -> httpx.Response:
        return ask(server, "POST", "/v1/events", headers, json=events)

    def search(make: Callable[[int, str], dict[str, Any]], turn: str) -> None:
        """Send the most comparisons that are accepted."""
        next(n for n in (400, 200, 100, 50, 20, 0) if post(turn, k=1000, **make(n, turn)).status_code != 422)

    with lab.serve(token_requests=100_000) as server:
        send("", make_events("u", N_EVENTS))
        strategies = ask(server, "GET", "/v1/model").json()["strategies"]
        requests: dict[str, Callable[[str], object]] = {
            **{f"1,000 items by {name}": partial(post, k=1000, strategy=name) for name in strategies},
            "explanation": partial(post, k=1000, explain=True),
            "recording": partial(post, k=1000, record=True),
            "filter": partial(search, lambda n, turn: {"rules": {"filter": make_filter(min(n, 80), turn)}}),
            "boosts": partial(search, lambda n, turn: {"rules": {"boost": make_boosts(n, turn)}}),
            "20 rows": partial(search, lambda n, turn: {"rows": make_rows(n, turn)}),
            "70,000 ids denied": lambda turn: post(turn, k=1000, rules={"deny": [turn, *ids]}),
            "1,000 pins": partial(post, k=1000, rules={"cap": {"item_id": 1}, "pin": dict(enumerate(ids[:1000], 1))}),
            "1,000 events": lambda turn: send(turn, make_events("u", N_EVENTS, turn)),
            "1 MB of invalid events": partial(send, events={"events": [{}] * 250_000}),
            "1 MB of unknown rules": partial(post, rules=dict.fromkeys(ids[:60_000], 1)),
            "50 kB of unknown parameters": lambda _: ask(server, "GET", f"{LISTS}?{'&'.join(ids[:4000])}", headers),
        }
        for name, request in requests.items():
            with lab.watch(name, server):
                for turn in "abc":
                    request(turn)
            measured[name] = lab.rows.pop(name)
    slowest = sorted(measured, key=lambda name: -(measured[name].healthz_ms or 0))
    found = ", ".join(f"{name} {measured[name].healthz_ms:.0f}" for name in slowest)
    lab.rows["Worst single request of a token, ms of the loop"] = replace(measured[slowest[0]], found=found)


ATTACKS: Mapping[str, Callable[[Lab], None]] = {
    "H1": send_many_rules,
    "H2": read_slowly,
    "H3": read_person,
    "M1": send_large_heads,
    "M2": send_slowly,
    "M3": stop_writes,
    "M4": merge_while_deleting,
    "M5": search_deleted,
    "M6": set_clock_ahead,
    "M7": put_large_items,
    "L values": send_odd_values,
    "L sites": come_from_other_sites,
    "L secrets": look_for_secrets,
    "worst": send_single_requests,
}


def render(results: Mapping[str, Mapping[str, Row]]) -> str:
    """Return a Markdown table with the values of all versions in one row per attack."""
    columns = ("longest /healthz, ms", "memory added, MiB", "lists answered, %", "what was found")
    lines = [f"| attack | {' | '.join(columns)} |", "|---|---:|---:|---:|---|"]
    for name in dict.fromkeys(name for rows in results.values() for name in rows):
        found = [rows.get(name, Row()) for rows in results.values()]
        numbers = [(one.healthz_ms, one.added_mib, one.lists_answered and 100 * one.lists_answered) for one in found]
        texts = [["-" if one is None else f"{one:,.0f}" for one in of_version] for of_version in numbers]
        cells = [" → ".join(values) for values in zip(*texts, strict=True)]
        lines.append(f"| {' | '.join([name, *cells, ' → '.join(one.found or '-' for one in found)])} |")
    return "\n".join(lines)


def main(
    model: Path,
    src: Path = Path(fd.__file__).parents[1],
    before: Path | None = None,
    before_model: Path | None = None,
    only: list[str] = [],
    out: Path | None = None,
) -> None:
    """Run the attacks, or some, on one or two versions of the code; print the results and the table."""
    versions = {"before": (before, before_model or model)} if before else {}
    versions["now"] = (src, model)
    results: dict[str, dict[str, Row]] = {}
    for version, (path, of_version) in versions.items():
        with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, PYTHONPATH=str(path)):
            lab = Lab(of_version, Path(folder), results.setdefault(version, {}))
            for name, attack in ATTACKS.items():
                if not only or name in only:
                    attack(lab)
    write_results(
        {version: {name: asdict(row) for name, row in rows.items()} for version, rows in results.items()}, out
    )
    print(render(results))


if __name__ == "__main__":
    typer.run(main)
