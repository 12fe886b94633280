"""Attacks on a service, by someone who has a token of a page, or only a socket, and what they achieve.

    python benchmarks/serve_attacks.py MODEL [--only "slow readers"] [--out OUT]

Each attack has a server of its own on the loopback address, is bounded in count and time, and gives one row: the
longest time that `/healthz` took, which another process asks all the time, memory added at the peak, the share of lists
answered to a client with a key, and what was answered or read. MODEL is
made by benchmarks/paper_size.py. Needs Linux, and root to fill a disk; Redis and Postgres take part if installed.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection as Channel
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
import typer
from redis import Redis
from result_files import write_results
from serve_faults import small_disk
from serve_load import expect_ok
from serve_process import Connection, ServerProcess, write_request
from store_servers import STORE_SERVERS, installed_stores

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
N_COMPARISONS = 80
"""Comparisons of a filter of 1,900 characters."""
ORIGIN = "https://shop.example"
KEY = "key-of-16-characters-or-more"
SIGNING_KEY = "key-of-tokens-of-at-least-32-characters"
NO_KEYS = dict.fromkeys(("read_keys", "write_keys", "items_keys", "admin_keys", "token_keys"), "")
SETTINGS = {**dict.fromkeys(NO_KEYS, KEY), "token_keys": SIGNING_KEY, "origins": ORIGIN, "log_requests": "false"}
KEYED = {"Authorization": f"Bearer {KEY}"}
NO_ORIGINS = {**NO_KEYS, "origins": ""}
FOREIGN = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
LISTS = "/v1/users/u/recommendations"
USERS = [f"u{number}" for number in range(20)]
IDS = [f"item-{at:05}" for at in range(70_000)]
HTTP = httpx.Client(timeout=PATIENCE_S, trust_env=False)


@dataclass
class Row:
    """What an attack achieved."""

    healthz_ms: float | None = None
    added_mib: float | None = None
    lists_answered: float | None = None
    found: str = ""


@dataclass(frozen=True)
class Victim:
    """A server, and the server of its store."""

    server: ServerProcess
    settings: Mapping[str, Any]
    store: Any = None

    @contextmanager
    def serve(self, **settings: Any) -> Iterator[Victim]:
        """Run another server of the same model and, unless the settings say otherwise, the same store."""
        folder = Path(tempfile.mkdtemp(dir=self.server.log_path.parent))
        server = ServerProcess(self.server.model, folder, {**self.settings, **settings})
        try:
            yield Victim(server, settings)
        finally:
            server.kill()

    def ask(self, method: str, path: str, headers: Mapping[str, str] = KEYED, **content: Any) -> httpx.Response:
        """Return the answer to a request; if there is none, one with the status 0 and the name of the error as code."""
        try:
            return HTTP.request(method, self.server.url + path, headers=headers, **content)
        except httpx.HTTPError as error:
            return httpx.Response(0, json={"code": type(error).__name__})

    def connect(self) -> socket.socket:
        """Open a socket with a small buffer and the small segments of a distant client, so that buffers hold little."""
        address = urlsplit(self.server.url)
        opened = socket.socket()
        opened.settimeout(PATIENCE_S)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        opened.connect((address.hostname, address.port))
        return opened


@dataclass(frozen=True)
class Attack:
    """An attack on a server with some settings and a store; returns a description of the result."""

    run: Callable[[Victim], str]
    store: str = "sqlite"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def measure(self, model: Path, folder: Path) -> Row:
        """Attack a server of its own; return what that achieved."""
        with ExitStack() as stack:
            store: Any = STORE_SERVERS[self.store]() if self.store in STORE_SERVERS else nullcontext()
            store = stack.enter_context(store)
            settings = {**SETTINGS, **({"store": store.url} if store else {}), **self.settings}
            try:
                server = ServerProcess(model, folder, settings)
            except RuntimeError as error:
                return Row(found=f"the server does not start: {str(error).splitlines()[-1][:150]}")
            stack.callback(server.kill)  # it may not stop by itself
            row = stack.enter_context(watch(server))
            row.found = self.run(Victim(server, settings, store))
        return row


@contextmanager
def watch(server: ServerProcess) -> Iterator[Row]:
    """Measure a server during an attack."""
    row = Row()
    ours, theirs = Pipe()
    process = get_context("fork").Process(target=run_probe, args=(server.url, theirs), daemon=True)
    process.start()
    ours.recv()
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="utf-8")  # the peak begins here
    before_mib = server.memory_mib()["resident_mib"]
    yield row
    row.added_mib = max(0.0, server.memory_mib()["peak_mib"] - before_mib)
    ours.send(None)
    row.healthz_ms, row.lists_answered = ours.recv()
    process.join()


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


def describe(answer: httpx.Response) -> str:
    """Return the status of an answer, and the code of an error."""
    code = re.search(r'"code":"(\w+)"', answer.text)
    return f"{answer.status_code} {code[1]}" if code else f"{answer.status_code}"


def page_of(user: str, scheme: str = "Bearer", **claims: Any) -> dict[str, str]:
    """Return the headers of a page with a token of a user."""
    values = {"sub": user, "aud": [ORIGIN], "exp": time.time() + 86_400, **claims}
    text = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(values)}"
    signature = _encode(hmac.digest(SIGNING_KEY.encode(), text.encode(), "sha256"))
    return {"Authorization": f"{scheme} {text}.{signature}", "Origin": ORIGIN}


def _encode(part: dict[str, Any] | bytes) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


PAGE = page_of("u")


def make_events(user: str, n: int, name: str = "e") -> dict[str, Any]:
    """Return a body with events of a user, each on another item."""
    events = [{"event_id": f"{name}-{at}", "user_id": user, "entity_id": item} for at, item in enumerate(IDS[:n])]
    return {"events": events}


def make_filter(n: int, name: str) -> str:
    """Return a filter of some comparisons, unlike those of another name."""
    return " or ".join(f"item_id=='{name}.{at:02}'" for at in range(n))


def make_boosts(n: int, name: str = "all") -> dict[str, float]:
    """Return boosts with some comparisons in all."""
    firsts = range(0, n, N_COMPARISONS)
    return {make_filter(min(N_COMPARISONS, n - at), f"{name}{at // N_COMPARISONS:03}"): 1.5 for at in firsts}


def make_rows(n: int, name: str = "p") -> list[dict[str, Any]]:
    """Return 20 rows with some comparisons in all."""
    return [{"name": f"{row}", "boost": make_boosts(n // 20, f"{name}{row:02}")} for row in range(20)]


def send(method: str, path: str, headers: Mapping[str, str] = PAGE, **content: Any) -> Callable[[Victim], str]:
    """Return an attack by one request, which is described by the answer and the seconds it took."""

    def run(victim: Victim) -> str:
        began = time.perf_counter()
        answer = describe(victim.ask(method, path, headers, **content))
        return f"{answer} in {time.perf_counter() - began:.1f} s"

    return run


def read_slowly(request: bytes, pause_s: float, victim: Victim) -> str:
    """Send several requests on each of many sockets, and read nothing."""
    with ExitStack() as stack:
        for n_sent in range(N_SOCKETS):
            try:
                stack.enter_context(victim.connect()).sendall(N_UNREAD * request)
            except OSError:
                return f"refused after {n_sent} sockets"
            time.sleep(pause_s)  # a list that comes late would be refused
        for _ in range(N_UNREAD):
            victim.ask("GET", "/healthz")  # answered once the service has turned to all requests
        time.sleep(HOLD_S)
    return f"{N_SOCKETS} sockets"


def read_person(victim: Victim) -> str:
    """Read a person with the token of a guest who was merged."""
    for user, name in (("guest", "e"), ("person", "own")):
        victim.ask("POST", "/v1/events", json=make_events(user, 3, name))
    victim.ask("PUT", "/v1/users/person", json={"age": 43, "profile": {"country": "C07"}})
    victim.ask("POST", "/v1/users/person/merge", json={"from": "guest"})
    listed = victim.ask("GET", "/v1/users/guest/recommendations?explain=true", page_of("guest"))
    late = victim.ask("POST", "/v1/events", page_of("guest"), json=make_events("guest", 1, "late"))
    secrets = {"id": '"person"', "age": "age 43", "country": "C07", "events": "item-00002"}
    read = [name for name, text in secrets.items() if text in listed.text]
    kept = "kept" if "late-0" in victim.ask("GET", "/v1/users/person").text else "lost"
    return f"list {describe(listed)}, read: {', '.join(read) or 'nothing'}; late event {describe(late)}, {kept}"


def pour(begin: bytes, part: bytes, n_parts: int, victim: Victim) -> str:
    """Send a beginning, then parts, then the end of a request; return the answer, and how far this went."""
    n_sent = 0
    answer = b"closed"
    began = time.perf_counter()
    with victim.connect() as opened, suppress(OSError):
        opened.sendall(begin)
        for _ in range(n_parts):
            opened.sendall(part)
            n_sent += len(part)
        opened.sendall(b" HTTP/1.1\r\nHost: localhost\r\n\r\n" if b"HTTP" not in begin else b"\r\n")
        answer = opened.recv(12)
    return f"{answer.decode()} after {n_sent / 1e6:.1f} MB in {time.perf_counter() - began:.1f} s"


def send_half(victim: Victim) -> str:
    """Send half a header."""
    with victim.connect() as opened, suppress(TimeoutError):
        opened.settimeout(HALF_OPEN_S)
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        began = time.perf_counter()
        opened.recv(1)
        return f"closed after {time.perf_counter() - began:.1f} s"
    return f"still open after {HALF_OPEN_S:g} s"


def send_slowly(victim: Victim) -> str:
    """Send nine bodies with one token, a byte a second."""
    head, end, body = write_request("POST", "/v1/events", make_events("u", 9), PAGE).partition(b"\r\n\r\n")
    n_refused = 0
    with ExitStack() as stack:
        opened = [stack.enter_context(victim.connect()) for _ in range(9)]
        for at in range(8):
            for one in opened:
                try:
                    one.sendall(body[at : at + 1] if at else head + end)
                except OSError:
                    n_refused += 1
            time.sleep(1)
    return f"{n_refused} of {7 * 9} bytes refused"


def fill_disk(victim: Victim) -> str:
    """Fill the disk of a SQLite store."""
    folder = victim.server.log_path.parent / "disk"
    with small_disk(folder, 3 * 2**20) as is_mounted, victim.serve(store=f"sqlite:///{folder / 'db'}") as other:
        if not is_mounted:
            return "not possible here"
        with suppress(OSError):
            (folder / "filler").write_bytes(b"x" * 2**22)
        return find_health(other)


def order_redis(command: tuple[Any, ...], victim: Victim) -> str:
    """Give Redis a command after which it cannot be written."""
    with Redis.from_url(victim.store.url) as redis:
        redis.execute_command(*command)
    return find_health(victim)


def make_read_only(victim: Victim) -> str:
    """Let Postgres refuse to write."""
    victim.store.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    victim.store.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)
    return find_health(victim)


def find_health(victim: Victim) -> str:
    """Write until that fails, and return what readiness, metrics and a list say."""
    answers = (victim.ask("POST", "/v1/events", json=make_events("u", N_EVENTS, f"e{turn}")) for turn in range(20))
    wrote = next((answer for answer in answers if answer.status_code != 200), None)
    listed = victim.ask("GET", f"{LISTS}?record=true")
    time.sleep(1.5)  # the service reads what other workers changed
    metrics = re.findall("^firstday_((?:store|.*recorded).*)", victim.ask("GET", "/metrics").text, re.MULTILINE)
    return (
        f"write {describe(wrote) if wrote else 200}; list {describe(listed)}, "
        f"{'not recorded' if listed.json().get('not_recorded') else 'recorded'}; "
        f"readyz {victim.ask('GET', '/readyz').text}; {', '.join(metrics)}"
    )


def merge_while_deleting(victim: Victim) -> str:
    """Merge a guest into a user who is deleted at the same moment, by another worker where there can be one."""

    async def race(urls: tuple[str, str]) -> str:
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
            _, of_guest = await merging.send(write_request("GET", f"/v1/users/{guest}", headers=KEYED))
            _, of_person = await merging.send(write_request("GET", f"/v1/users/{person}", headers=KEYED))
            if (merged, deleted) == (200, 204):
                n_acknowledged += 1
                n_left += f'"user_id":"{guest}"'.encode() in of_guest
                n_kept += f"{person}-0".encode() in of_person
        return f"{n_acknowledged} of {N_MERGES} acknowledged: {n_left} guests keep their data, {n_kept} users theirs"

    with victim.serve() if victim.store else nullcontext(victim) as other:
        return asyncio.run(race((victim.server.url, other.server.url)))


def search_deleted(victim: Victim) -> str:
    """Search the files of a store for what was deleted."""
    victim.ask("POST", "/v1/events", json=make_events("u", 3, "marker-of-the-deleted"))
    deleted = victim.ask("DELETE", "/v1/users/u")
    time.sleep(1)
    folder = victim.store.folder if victim.store else victim.server.log_path.parent
    files = [path for path in folder.rglob("*") if path.is_file() and b"marker-of-the-deleted" in path.read_bytes()]
    return f"{describe(deleted)}; readable in {', '.join(path.name for path in files) or 'no file'}"


def set_clock_ahead(victim: Victim) -> str:
    """Add a worker whose clock is 100 days ahead."""
    for user in USERS:
        victim.ask("POST", "/v1/events", json=make_events(user, 5, "early"))
    folder = victim.server.log_path.parent
    code = """import time
time.time = lambda now=time.time: now() + 8_640_000
time.time_ns = lambda now=time.time_ns: now() + 8_640_000 * 10**9
"""
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    path = {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    state = "the worker does not start"
    with patch.dict(os.environ, path), suppress(RuntimeError), victim.serve(purge_every_s=0.5) as ahead:
        state = ", ".join({describe(ahead.ask("POST", "/v1/events", json=make_events(user, 1))) for user in USERS})
        time.sleep(3)
    n_left = sum(victim.ask("GET", f"/v1/users/{user}").text.count("early-") for user in USERS)
    return f"its writes: {state}; {n_left} of {5 * len(USERS)} events are left"


def put_large_items(victim: Victim) -> str:
    """Put 6,000 new items of 30 kB, then one more."""
    item = json.dumps({"title": "New", "description": 6_000 * "word "})[1:]
    lines = (f'{{"item_id": "new-{number}", {item}\n'.encode() for number in range(6_000))
    bulk = send("POST", "/v1/items", STREAM, content=lines)(victim)
    return f"stream {bulk}; one more {send('PUT', '/v1/items/more', KEYED, json={'title': 'More'})(victim)}"


def stop_store(victim: Victim) -> str:
    """Stop the store; return what a page is told."""
    victim.store.stop()
    return victim.ask("POST", "/v1/events", PAGE, json=make_events("u", 1)).text[:200]


def find_modes(victim: Victim) -> str:
    """Return the modes of the files of a store and of an export."""
    folder = victim.server.log_path.parent / "private"
    store = folder / "users.sqlite"
    with victim.serve(store=f"sqlite:///{store}") as other:
        other.ask("POST", "/v1/events", json=make_events("u", 3))
    command: list[str | Path] = [sys.executable, "-m", "firstday", "export", store, "--out", folder / "export"]
    subprocess.run(command, check=True, capture_output=True)
    paths = (store, *(folder / "export").iterdir())
    return ", ".join(f"{path.name} {oct(path.stat().st_mode)[-3:]}" for path in paths)


def send_costly_requests(victim: Victim) -> str:
    """Send the most costly requests that a token may send, one at a time; return how long each held the loop, in ms."""

    def post(_: str, **body: Any) -> bool:
        """Ask for the longest list that is allowed; return whether any is."""
        lengths = (1000, 200, 10)
        return any(victim.ask("POST", LISTS, PAGE, json={"k": k, **body}).status_code != 422 for k in lengths)

    def search(make: Callable[[int, str], dict[str, Any]], turn: str) -> bool:
        """Send the most comparisons that are allowed."""
        return any(post(turn, **make(n, turn)) for n in (400, 200, 100, 50, 20))

    def write(_: str, events: dict[str, Any]) -> httpx.Response:
        return victim.ask("POST", "/v1/events", PAGE, json=events)

    write("", make_events("u", N_EVENTS))
    strategies = victim.ask("GET", "/v1/model").json()["strategies"]
    requests: dict[str, Callable[[str], object]] = {
        **{f"long list by {name}": partial(post, strategy=name) for name in strategies},
        "explanation": partial(post, explain=True),
        "recording": partial(post, record=True),
        "filter": partial(search, lambda n, turn: {"rules": {"filter": make_filter(min(n, N_COMPARISONS), turn)}}),
        "boosts": partial(search, lambda n, turn: {"rules": {"boost": make_boosts(n, turn)}}),
        "20 rows": partial(search, lambda n, turn: {"rows": make_rows(n, turn)}),
        "70,000 ids denied": lambda turn: post(turn, rules={"deny": [turn, *IDS]}),
        "1,000 pins": partial(post, rules={"cap": {"item_id": 1}, "pin": dict(enumerate(IDS[:1000], 1))}),
        "1,000 events": lambda turn: write(turn, make_events("u", N_EVENTS, turn)),
        "1 MB of invalid events": partial(write, events={"events": [{}] * 250_000}),
        "1 MB of unknown rules": partial(post, rules=dict.fromkeys(IDS[:60_000], 1)),
        "50 kB of unknown parameters": lambda _: victim.ask("GET", f"{LISTS}?{'&'.join(IDS[:4000])}", PAGE),
    }
    held_ms = {}
    for name, request in requests.items():
        with watch(victim.server) as row:
            for turn in "abc":
                request(turn)
        held_ms[name] = row.healthz_ms or 0
    return ", ".join(f"{name} {held_ms[name]:.0f}" for name in sorted(held_ms, key=lambda name: -held_ms[name]))


STREAM = {**KEYED, "Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
SURROGATE = rb"""{"rules": {"filter": "item_id == '\\ud800'"}}"""
HEADER = b"x: %b\r\n" % (b"a" * 995)
OPENAPI = write_request("GET", "/v1/openapi.json")
LONG_LIST = write_request("GET", f"{LISTS}?k=1000&explain=true", headers=KEYED)
NUMBERS = {"NaN": "NaN", "Infinity": "Infinity", "400 digits": "1" * 400}

ATTACKS: Mapping[str, Attack] = {
    "470 boosts of 1,900 characters": Attack(
        send("POST", LISTS, json={"rules": {"boost": make_boosts(470 * N_COMPARISONS)}})
    ),
    "50 boosts of 1,900 characters": Attack(
        send("POST", LISTS, json={"rules": {"boost": make_boosts(50 * N_COMPARISONS)}})
    ),
    "one filter of 330 comparisons": Attack(
        send("POST", LISTS, json={"rules": {"filter": "item_id" + "==1==item_id" * 165}})
    ),
    "20 rows of 5 boosts": Attack(send("POST", LISTS, json={"rows": make_rows(100 * N_COMPARISONS)})),
    "slow readers of openapi.json, without a key": Attack(partial(read_slowly, OPENAPI, 0)),
    "slow readers of lists of 1,000, explained": Attack(partial(read_slowly, LONG_LIST, 0.02)),
    "token of a merged guest": Attack(read_person),
    "150 MB of headers": Attack(partial(pour, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", HEADER, 150_000)),
    "URL of 100 MB": Attack(partial(pour, b"GET /healthz?", b"a" * 50_000, 2_000)),
    "half a header": Attack(send_half),
    "nine slow bodies with one token, of eight slots": Attack(send_slowly, settings={"max_concurrent": 8}),
    "SQLite, disk full": Attack(fill_disk),
    **{
        f"Redis, {name}": Attack(partial(order_redis, command), "redis")
        for name, command in {
            "out of memory": ("CONFIG", "SET", "maxmemory", 1),
            "a replica": ("REPLICAOF", "127.0.0.1", 1),
        }.items()
    },
    "Postgres, read-only": Attack(make_read_only, "postgres"),
    **{f"merge while deleting, {kind}": Attack(merge_while_deleting, kind) for kind in ("sqlite", *STORE_SERVERS)},
    **{f"deleted data in files, {kind}": Attack(search_deleted, kind) for kind in ("sqlite", *STORE_SERVERS)},
    **{f"worker 100 days ahead, {kind}": Attack(set_clock_ahead, kind) for kind in STORE_SERVERS},
    "6,000 new items of 30 kB": Attack(put_large_items),
    "lone surrogate in a filter": Attack(send("POST", LISTS, {**PAGE, **JSON}, content=SURROGATE)),
    **{
        f"item with {name}": Attack(send("PUT", "/v1/items/n", {**KEYED, **JSON}, content=f'{{"year": {number}}}'))
        for name, number in NUMBERS.items()
    },
    "token not valid yet (nbf)": Attack(send("GET", LISTS, page_of("u", nbf=time.time() + 86_400))),
    "token with the scheme Basic": Attack(send("GET", LISTS, page_of("u", "Basic"))),
    "stream of 60 MB of newlines": Attack(send("POST", "/v1/events", STREAM, content=b"\n" * 60_000_000)),
    "write by an origin, without keys": Attack(
        send("POST", "/v1/events", FOREIGN, json=make_events("any", 1)), settings=NO_KEYS
    ),
    "modes of files": Attack(find_modes),
    "read by an origin, without keys": Attack(send("GET", LISTS, FOREIGN), settings=NO_KEYS),
    "POST /v1/model/reload by another site, without keys": Attack(
        send("POST", "/v1/model/reload", FOREIGN), settings=NO_ORIGINS
    ),
    "password with / in the URL of a store": Attack(
        lambda _: "it starts", settings={"store": "redis://:secret/password@127.0.0.1:1/0"}
    ),
    **{f"error while {kind} is gone": Attack(stop_store, kind) for kind in STORE_SERVERS},
    "Single requests of a token, ms of the loop": Attack(send_costly_requests, settings={"token_requests": 100_000}),
}


def main(model: Path, only: list[str] = [], out: Path | None = None) -> None:
    """Run the attacks, or those whose names begin so; print the results and a Markdown table."""
    rows: dict[str, Row] = {}
    kinds = installed_stores()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, attack) in enumerate(ATTACKS.items()):
            if name.startswith(tuple(only or [""])) and attack.store in kinds:
                rows[name] = attack.measure(model, Path(folder) / f"{number}")
                print(name, rows[name], file=sys.stderr, flush=True)
    write_results({name: asdict(row) for name, row in rows.items()}, out)
    print("| attack | /healthz, ms | memory added, MiB | lists answered | found |\n|---|---:|---:|---:|---|")
    for name, row in rows.items():
        numbers = ("-" if one is None else f"{one:,.2f}" for one in (row.healthz_ms, row.added_mib, row.lists_answered))
        print(f"| {' | '.join((name, *numbers, row.found))} |")


if __name__ == "__main__":
    typer.run(main)
