"""Capacity of one server process on one core, at the paper's size; needs Linux and two cores.

    python benchmarks/serve_load.py MODEL [--seconds 10] [--rounds 3] [--only ratio] [--out OUT]
    python benchmarks/serve_load.py MODEL --only stores [--strategy STRATEGY] [--out OUT]

The server runs on core 0, this load generator on core 1. MODEL is made by benchmarks/paper_size.py. It measures lists
of 50 by `auto`, the default, for stored users with 10 events: the throughput with all connections busy, then the
latency at 70 % of that, with random arrivals. Latency counts from the moment a request was due,
even if the generator was late. Events in batches of 100 follow, then each strategy briefly, with all connections busy.

The same requests also go, in turns, to a bare FastAPI application (serve_bare.py) on the same core, which always
returns the bytes of one of the lists. The median ratio of the two is the cost of the service relative to its framework,
on any machine. `--only ratio` skips the rest.

`--only stores` compares SQLite, Redis and Postgres, in turns: lists, recorded lists, events in batches of 100, and
single events. A server of a store runs on either core, at the expense of the service or of the load generator.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import typer
from result_files import write_results
from serve_process import Connection, ServerProcess, write_request
from store_servers import installed_stores, store_settings

SERVER_CORE = 0
CLIENT_CORE = 1
CONNECTIONS = 32
N_USERS = 5_000
N_EVENTS = 10
K = 50
STRATEGY = "auto"
BATCH = 100
BURST = 1_000


def describe_user(rng: random.Random, user: int, catalogue: dict[str, int]) -> tuple[dict[str, Any], list[Any]]:
    """Return the profile and events of a random user: items, artists and albums of any signal."""
    events = []
    for number in range(N_EVENTS):
        entity = rng.choice(["item", "item", "item", "artist", "album"])
        signal = rng.choice(["stream", "stream", "favorite", "skip"])
        identity = f"{entity}-{rng.randrange(catalogue[entity]):05}"
        events.append(
            {
                "event_id": f"e{number}",
                "user_id": f"u{user}",
                "signal": signal,
                "entity": entity,
                "entity_id": identity,
            }
        )
    return {"age": rng.randrange(16, 60), "profile": {"country": f"C{rng.randrange(50):02}"}}, events


async def fill(url: str) -> dict[str, Any]:
    """Store the users; return the service's model information."""
    facts: dict[str, Any] = json.loads(await expect_ok(await Connection.open(url), write_request("GET", "/v1/model")))
    catalogue = {"item": facts["items"], "artist": facts["items"] // 5, "album": facts["items"] // 3}
    rng = random.Random(1)
    connections = [await Connection.open(url) for _ in range(8)]

    async def put(connection: Connection, users: range) -> None:
        waiting: list[Any] = []
        for user in users:
            profile, events = describe_user(rng, user, catalogue)
            await expect_ok(connection, write_request("PUT", f"/v1/users/u{user}", profile))
            waiting += events
            if len(waiting) >= 500 or user == users[-1]:
                await expect_ok(connection, write_request("POST", "/v1/events", {"events": waiting}))
                waiting = []

    await asyncio.gather(*(put(c, range(at, N_USERS, len(connections))) for at, c in enumerate(connections)))
    for connection in connections:
        connection.close()
    return facts


async def expect_ok(connection: Connection, request: bytes) -> bytes:
    """Send a request that must succeed."""
    status, body = await connection.send(request)
    if status != 200:
        raise RuntimeError(f"status {status}: {body[:300]!r}")
    return body


async def saturate(url: str, make: Callable[[], bytes], seconds: float, connections: int = CONNECTIONS) -> float:
    """Return requests per second with all connections always busy."""
    opened = [await Connection.open(url) for _ in range(connections)]
    n_done = 0
    began = time.perf_counter()
    until = began + seconds

    async def work(connection: Connection) -> None:
        nonlocal n_done
        while time.perf_counter() < until:
            await expect_ok(connection, make())
            n_done += 1

    await asyncio.gather(*(work(connection) for connection in opened))
    elapsed = time.perf_counter() - began
    for connection in opened:
        connection.close()
    return n_done / elapsed


async def time_at_rate(url: str, make: Callable[[], bytes], rate: float, seconds: float) -> np.ndarray:
    """Return the latencies, in ms, of requests with random arrivals, `rate` per second on average; NaN if refused."""
    rng = random.Random(2)
    free = [await Connection.open(url) for _ in range(128)]
    latencies: list[float] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        connection = free.pop() if free else await Connection.open(url)
        status, body = await connection.send(make())
        if status not in (200, 503):
            raise RuntimeError(f"status {status}: {body[:300]!r}")
        latencies.append(1000 * (time.perf_counter() - due) if status == 200 else float("nan"))
        free.append(connection)

    due = time.perf_counter()
    until = due + seconds
    while due < until:
        if (wait := due - time.perf_counter()) > 0.002:
            await asyncio.sleep(wait - 0.002)
        while time.perf_counter() < due:
            await asyncio.sleep(0)  # timers are too coarse for this
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += rng.expovariate(rate)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    return np.array(latencies)


async def burst(url: str, ask: Callable[[], bytes], n: int = BURST) -> dict[str, Any]:
    """Send requests on as many connections at once; return how many were answered or refused, and the slowest, in ms.

    Raises
    ------
    RuntimeError
        A response is neither a list nor a refusal (503).
    """
    opened = [await Connection.open(url) for _ in range(n)]
    began = time.perf_counter()

    async def time_one(connection: Connection) -> tuple[int, float]:
        status, _ = await connection.send(ask())
        return status, 1000 * (time.perf_counter() - began)

    answers = await asyncio.gather(*map(time_one, opened))
    for connection in opened:
        connection.close()
    by_status = {of: [ms for status, ms in answers if status == of] for of in {status for status, _ in answers}}
    if by_status.keys() - {200, 503}:
        raise RuntimeError(f"statuses {sorted(by_status)}")
    names = {200: "answered", 503: "refused"}
    results: dict[str, Any] = {name: len(by_status.get(status, [])) for status, name in names.items()}
    return results | {f"slowest_{names[status]}_ms": max(times) for status, times in by_status.items()}


async def take_turns(
    sides: Mapping[str, tuple[str, Callable[[], bytes]]], seconds: float, rounds: int
) -> dict[str, list[float]]:
    """Load sides in turns, each a URL and a request factory, with all connections busy; return requests per second."""
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sorted(sides, reverse=bool(number % 2)):
            rates[side].append(await saturate(*sides[side], seconds))
    return rates


@contextmanager
def bare_server(answer: bytes, folder: Path) -> Iterator[str]:
    """Run a bare FastAPI application with a fixed answer; yield its URL."""
    (folder / "answer").write_bytes(answer)
    command = [sys.executable, str(Path(__file__).with_name("serve_bare.py")), str(folder / "answer")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the bare application did not start")
            yield url
        finally:
            process.terminate()


def quantiles(latencies: np.ndarray) -> dict[str, float]:
    """Summarise latencies, in ms, and the share of refused requests."""
    of_answered = {f"p{q:g}_ms": float(np.nanpercentile(latencies, q)) for q in (50, 95, 99, 99.9)}
    return of_answered | {"refused": float(np.isnan(latencies).mean())}


async def compare(
    server: ServerProcess, ask: Callable[[], bytes], folder: Path, seconds: float, rounds: int
) -> dict[str, Any]:
    """Load the server and the bare application in turns, with all connections busy, then each at 70 % of its rate."""
    connection = await Connection.open(server.url)
    answer = await expect_ok(connection, ask())
    connection.close()
    with bare_server(answer, folder) as url:
        sides = {"firstday": (server.url, ask), "bare": (url, ask)}
        await saturate(url, ask, min(1, seconds))
        rates = await take_turns(sides, seconds, rounds)
        medians = {side: float(np.median(rates[side])) for side in sides}
        at_70_percent = {
            side: quantiles(await time_at_rate(address, ask, 0.7 * medians[side], seconds))
            for side, (address, _) in sides.items()
        }
    ratios = np.array(rates["firstday"]) / np.array(rates["bare"])
    return {
        "ratio": float(np.median(ratios)),
        "ratios": ratios.tolist(),
        "bytes": len(answer),
        **{side: {"per_s": medians[side], "at_70_percent": at_70_percent[side]} for side in sides},
    }


@contextmanager
def served(model: Path, folder: Path, kind: str) -> Iterator[ServerProcess]:
    """Run a server with a new store of a kind."""
    with (
        store_settings(kind) as settings,
        ServerProcess(model, folder, settings | {"max_wait_s": 1}, SERVER_CORE) as server,
    ):
        yield server


def make_events(rng: random.Random, n_events: int) -> Callable[[], bytes]:
    """Return what makes requests with new events of random users."""
    numbers = itertools.count()

    def tell() -> bytes:
        number = next(numbers)
        events = [
            {
                "event_id": f"{n_events}-{number}-{at}",
                "user_id": f"u{rng.randrange(N_USERS)}",
                "entity_id": f"item-{at:05}",
            }
            for at in range(n_events)
        ]
        return write_request("POST", "/v1/events", {"events": events})

    return tell


async def compare_stores(
    servers: dict[str, ServerProcess], strategy: str, seconds: float, rounds: int
) -> dict[str, Any]:
    """Load servers with different stores, in turns."""
    rng = random.Random(5)
    for server in servers.values():
        await fill(server.url)
    paths = [f"/v1/users/u{user}/recommendations?strategy={strategy}&k={K}" for user in range(N_USERS)]
    lists, recorded = (
        partial(rng.choice, [write_request("GET", f"{path}&record={record}") for path in paths])
        for record in ("false", "true")
    )
    asks: dict[str, tuple[Callable[[], bytes], int]] = {
        "lists": (lists, 1),
        "recorded_lists": (recorded, 1),
        "events_in_batches": (make_events(rng, BATCH), BATCH),
        "single_events": (make_events(rng, 1), 1),
    }
    results: dict[str, Any] = {}
    for name, (ask, n_each) in asks.items():
        sides = {kind: (server.url, ask) for kind, server in servers.items()}
        await take_turns(sides, min(1, seconds), 1)
        rates_of = await take_turns(sides, seconds, rounds)
        for kind, rates in rates_of.items():
            per_s = results.setdefault(kind, {})
            per_s[f"{name}_per_s"] = n_each * float(np.median(rates))
            per_s[f"{name}_range_per_s"] = [n_each * min(rates), n_each * max(rates)]
    return {"strategy": strategy, "users": N_USERS, "k": K, "cores": os.cpu_count(), "by_store": results}


def list_request(user: int, strategy: str = STRATEGY) -> bytes:
    """Return a request for a list."""
    return write_request("GET", f"/v1/users/u{user}/recommendations?strategy={strategy}&k={K}")


async def measure(
    server: ServerProcess, folder: Path, seconds: float, rounds: int, strategies: list[str], *, only_ratio: bool
) -> dict[str, Any]:
    """Run all measurements."""
    rng = random.Random(3)
    facts = await fill(server.url)

    def ask_for(strategy: str) -> Callable[[], bytes]:
        return partial(rng.choice, [list_request(user, strategy) for user in range(N_USERS)])

    ask = ask_for(STRATEGY)
    await saturate(server.url, ask, 1)
    results: dict[str, Any] = {
        "items": facts["items"],
        "segments": facts["segments"],
        "dimensions": facts["dimensions"],
        "ready_s": server.ready_s,
        "cores": os.cpu_count(),
        "load_average_before": os.getloadavg()[0],
        "beside_bare_fastapi": {
            name: await compare(server, ask_for(name), folder, seconds, rounds) for name in (STRATEGY, "segment")
        },
    }
    if only_ratio:
        return results
    cpu_s = server.cpu_s()
    rate = results["recommendations_per_s"] = await saturate(server.url, ask, seconds)
    results["server_cpu_us_per_recommendation"] = 1e6 * (server.cpu_s() - cpu_s) / (rate * seconds)
    latencies = await time_at_rate(server.url, ask, 0.7 * rate, seconds)
    results["at_70_percent"] = {"requests_per_s": 0.7 * rate, **quantiles(latencies)}
    results["events_per_s"] = BATCH * await saturate(server.url, make_events(rng, BATCH), seconds, 4)
    results["burst"] = await burst(server.url, ask)
    results.update(server.memory_mib())
    for strategy in strategies:
        by_strategy = results.setdefault("by_strategy_per_s", {})
        by_strategy[strategy] = await saturate(server.url, ask_for(strategy), seconds / 4)
    alone = await saturate(server.url, ask, seconds / 2, 1)
    results["one_connection_per_s"] = alone
    return results


def main(
    model: Path,
    seconds: float = 10,
    rounds: int = 3,
    strategy: list[str] = [],
    only: Literal["", "ratio", "stores"] = "",
    out: Path | None = None,
) -> None:
    """Start a server, measure, print."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    gc.disable()  # its pauses would count as the server's
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        kinds = installed_stores() if only == "stores" else ["sqlite"]
        servers = {kind: stack.enter_context(served(model, folder / kind, kind)) for kind in kinds}
        if only == "stores":
            results = asyncio.run(compare_stores(servers, (strategy or [STRATEGY])[0], seconds, rounds))
        else:
            results = asyncio.run(
                measure(servers["sqlite"], folder, seconds, rounds, strategy, only_ratio=only == "ratio")
            )
    write_results(results, out)


if __name__ == "__main__":
    typer.run(main)
