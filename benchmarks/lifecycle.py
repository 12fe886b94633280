"""Durability over a service's first ten days with repeated kills: everything acknowledged must be stored exactly once.

    python benchmarks/lifecycle.py MODEL [--users 2000] [--days 10] [--kills 20] [--out OUT]

Newcomers arrive on each day, send their profile, get recorded lists, use some of what they see, and return on later
days; every third client reports which items of a list were really seen. Meanwhile the server is killed at random
moments (SIGKILL) and restarted; clients retry unanswered requests under the same ids. An experiment runs. On each day
the store is exported under load, and another model takes over. In the end, every acknowledged event, impression and
assignment must be in the store and in the tables exactly once. With SQLite, Redis and Postgres. A day lasts seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import typer
from result_files import write_results
from serve_ledger import check
from serve_process import Connection, ServerProcess, write_request
from serve_reload import relabel
from store_servers import STORE_SERVERS

from firstday.model.folder import save_model
from firstday.recommend.recommender import open_model

N_CLIENTS = 8
ANSWER_TIMEOUT_S = 120
SLATE = 12
PERSISTENCE = 0.9
COMES_BACK = 0.35
EXPERIMENT = "first-days: control=popular*50, treatment=segment*50"
SETTINGS = {"log_requests": "false", "experiment": EXPERIMENT}
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DAY_MS = 86_400_000


@dataclass
class Ledger:
    """What the service acknowledged, and what it may have stored without acknowledging."""

    lists: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Items of each recorded list, by user and list."""
    uses: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    """Item and list of each use, by user and time in ms, which is unique per user."""
    seen: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    """The same for items reported as seen."""
    profiles: dict[str, int] = field(default_factory=dict)
    """Age of each user."""
    variants: dict[str, str] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    """Model versions that answered."""
    lost_answers: int = 0
    """Number of unanswered requests for a recorded list, which may have been stored."""
    sent_again: int = 0
    """Number of events sent more than once."""


class Service:
    """A server that is killed now and then, and retries of its clients."""

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.up = server, asyncio.Event()
        self.up.set()
        self.kills = 0

    async def kill(self) -> None:
        """Kill the process and restart it."""
        self.up.clear()
        self.server.process.kill()
        await asyncio.to_thread(self.server.process.wait)
        await asyncio.to_thread(self.server.start)
        self.kills += 1
        self.up.set()

    async def try_once(self, connection: list[Connection], request: bytes) -> Any:
        """Send a request; return None if there is no answer."""
        await self.up.wait()
        try:
            if not connection:
                connection.append(await Connection.open(self.server.url))
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                status, body = await connection[0].send(request)
        except TimeoutError:
            check(False, f"no answer in {ANSWER_TIMEOUT_S} s to {request[:80]!r}")
        except OSError:
            connection.clear()
            await asyncio.sleep(0.01)
            return None
        check(status == 200, f"a request gave {status}: {body[:200]!r}")
        return json.loads(body)

    async def ask(self, connection: list[Connection], request: bytes) -> tuple[Any, int]:
        """Send a request until it is answered; return the answer, and how often there was none."""
        n_lost = 0
        while (answer := await self.try_once(connection, request)) is None:
            n_lost += 1
        return answer, n_lost


@dataclass
class Client:
    """An application that serves one user after another."""

    service: Service
    ledger: Ledger
    rng: random.Random
    connection: list[Connection] = field(default_factory=list)

    async def visit(self, user: str, day: int, *, is_new: bool) -> None:
        """Simulate a visit: a profile if the user is new, one or two lists, and uses of some items."""
        if is_new:
            age = self.rng.randrange(16, 70)
            request = write_request("PUT", f"/v1/users/{user}", {"age": age})
            await self.service.ask(self.connection, request)
            self.ledger.profiles[user] = age
        at_ms = day * DAY_MS + self.rng.randrange(DAY_MS - 1_000_000)
        for _ in range(self.rng.randint(1, 2)):
            await self._see_a_list(user, at_ms)
            at_ms += 100_000

    async def _see_a_list(self, user: str, at_ms: int) -> None:
        path = f"/v1/users/{user}/recommendations?record=true&k={SLATE}"
        answer, n_lost = await self.service.ask(self.connection, write_request("GET", path))
        self.ledger.lost_answers += n_lost
        check(answer["list_id"] is not None, f"a list was not recorded: {answer['not_recorded']}")
        self.ledger.models.add(answer["model"])
        items = [str(item["item_id"]) for item in answer["items"]]
        list_id = answer["list_id"]
        check((user, list_id) not in self.ledger.lists, "a list's id came twice")
        self.ledger.lists[user, list_id] = items
        before = self.ledger.variants.setdefault(user, answer["variant"])
        check(before == answer["variant"], f"{user} went from {before} to {answer['variant']}")
        tells_seen = self.rng.random() < 1 / 3
        events = []
        uses = {}
        seen = {}
        for position, item in enumerate(items, 1):
            at_ms += 1000
            if tells_seen:
                events.append((at_ms, "shown", item, {"position": position}))
                seen[user, at_ms] = (item, list_id)
            likes = random.Random(f"{user}-{item}").random() < 0.2
            if self.rng.random() < (0.4 if likes else 0.04):
                at_ms += 1
                events.append((at_ms, "stream", item, {}))
                uses[user, at_ms] = (item, list_id)
            if self.rng.random() > PERSISTENCE:
                break
        if not events:
            return
        bodies = [
            {
                "event_id": f"{list_id}-{number}",
                "user_id": user,
                "signal": signal,
                "entity_id": item,
                "timestamp": (BEGIN + timedelta(milliseconds=when)).isoformat(),
                "list_id": list_id,
                **more,
            }
            for number, (when, signal, item, more) in enumerate(events)
        ]
        request = write_request("POST", "/v1/events", {"events": bodies})
        answer, n_lost = await self.service.ask(self.connection, request)
        self.ledger.sent_again += n_lost * len(bodies)
        check(answer["accepted"] + answer["duplicates"] == len(bodies), "events are missing in the answer")
        check(n_lost > 0 or answer["duplicates"] == 0, "new events were called known")
        if self.rng.random() < 0.1:  # an impatient client resends a batch that arrived
            again = await self.service.try_once(self.connection, request)
            check(again is None or again["duplicates"] == len(bodies), "events that were acknowledged are not known")
        self.ledger.uses.update(uses)
        self.ledger.seen.update(seen)


async def run_command(*arguments: str | Path) -> None:
    """Run `firstday`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "firstday", *map(str, arguments), stdout=-1, stderr=-1
    )
    _, errors = await process.communicate()
    check(process.returncode == 0, f"firstday {arguments[0]} failed: {errors.decode()}")


async def live(
    server: ServerProcess, folder: Path, model: Path, n_users: int, n_days: int, n_kills: int, url: str, seed: int
) -> tuple[Ledger, dict[str, Any]]:
    """Run all days; return what was acknowledged, and counts."""
    rng = random.Random(seed)
    ledger = Ledger()
    service = Service(server)
    trained = open_model(model).model
    arrived: list[str] = []
    counts = Counter[str]()
    clients = [Client(service, ledger, random.Random(f"{seed}-{number}")) for number in range(N_CLIENTS)]
    out = folder / "tables"

    async def export() -> None:
        await run_command("export", url or folder / "users.sqlite", "--out", out)
        counts["exports"] += 1

    async def reload(day: int) -> None:
        await asyncio.to_thread(save_model, relabel(trained, f"day {day}"), server.model)
        await service.ask([], write_request("POST", "/v1/model/reload"))

    for day in range(n_days):
        new = [f"u{number}" for number in range(day, n_users, n_days)]
        back = [user for user in arrived if rng.random() < COMES_BACK]
        waiting = [(user, True) for user in new] + [(user, False) for user in back]
        rng.shuffle(waiting)

        async def work(client: Client, waiting: list[tuple[str, bool]] = waiting, day: int = day) -> None:
            while waiting:
                user, is_new = waiting.pop()
                await client.visit(user, day, is_new=is_new)
                counts["visits"] += 1

        async def kill(times: int, total: int = len(waiting), waiting: list[tuple[str, bool]] = waiting) -> None:
            for number in range(times):  # spread over the day's visits
                while len(waiting) > total * (1 - (number + rng.random()) / times):
                    await asyncio.sleep(0.002)
                await asyncio.sleep(rng.uniform(0, 0.05))
                await service.kill()

        kills_today = n_kills * (day + 1) // n_days - n_kills * day // n_days
        jobs = [work(client) for client in clients] + [kill(kills_today)]
        if day:  # the previous day, while this one goes on
            jobs += [export(), reload(day)]
        await asyncio.gather(*jobs)
        arrived += new
    await export()
    counts["kills"] = service.kills
    return ledger, dict(counts)


async def compare_store(url: str, ledger: Ledger) -> dict[str, int]:
    """Check that the service has everything it acknowledged for each user, exactly once."""
    connection = await Connection.open(url)
    unanswered = 0
    for user in ledger.profiles:
        status, body = await connection.send(write_request("GET", f"/v1/users/{user}"))
        check(status == 200, f"{user} is lost")
        told = json.loads(body)
        check(told["age"] == ledger.profiles[user], f"the profile of {user} is lost")
        lists = {entry["list_id"]: [item["item_id"] for item in entry["items"]] for entry in told["lists"]}
        check(len(lists) == len(told["lists"]), f"a list of {user} is kept twice")
        own = {list_id: items for (owner, list_id), items in ledger.lists.items() if owner == user}
        check(own.items() <= lists.items(), f"an acknowledged list of {user} is lost or another one")
        unanswered += len(lists) - len(own)
        times = Counter(event["timestamp"] for event in told["events"])
        check(max(times.values(), default=1) == 1, f"an event of {user} is kept twice")
        n_events = sum(owner == user for owner, _ in (*ledger.uses, *ledger.seen))
        check(len(told["events"]) == n_events, f"{user} has {len(told['events'])} events, not {n_events}")
        variants = [given["variant"] for given in told["assignments"]]
        check(variants == [ledger.variants[user]], f"{user} has the variants {variants}")
    check(unanswered <= ledger.lost_answers, "there are lists that nobody asked for")
    return {"lists_kept_without_an_answer": unanswered}


def compare_tables(out: Path, ledger: Ledger) -> dict[str, int]:
    """Check that the tables have everything acknowledged, exactly once."""
    table = pl.read_parquet(out / "interactions")
    ms = (pl.col("timestamp").dt.epoch("ms") - int(BEGIN.timestamp() * 1000)).alias("ms")
    rows = table.with_columns(ms)

    def read(signal: str) -> dict[tuple[str, int], tuple[str, str]]:
        pairs = rows.filter(pl.col("signal") == signal).select("user_id", "ms", "item_id", "list_id").rows()
        found = {(user, when): (item, list_id) for user, when, item, list_id in pairs}
        check(len(found) == len(pairs), f"{len(pairs) - len(found)} rows {signal} are there twice")
        return found

    check(read("stream") == ledger.uses, "uses are lost or more than were told")
    shown: dict[tuple[str, str], list[tuple[int, str, float, str]]] = defaultdict(list)
    entries = rows.filter(pl.col("signal") == "shown")
    for user, list_id, position, item, propensity, policy in entries.select(
        "user_id", "list_id", "position", "item_id", "propensity", "policy"
    ).rows():
        shown[user, list_id].append((position, item, propensity, policy))
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (user, _), (item, list_id) in ledger.seen.items():
        seen[user, list_id].append(item)
    n_recorded = n_seen = 0
    for key, items in ledger.lists.items():
        expected = seen.get(key, items)
        found = [item for _, item, _, _ in sorted(shown.pop(key))]
        check(found == expected, f"of the list {key} there are {found}, not {expected}")
        n_recorded = n_recorded + (key not in seen) * len(items)
        n_seen = n_seen + (key in seen) * len(expected)
    extra = sum(len(left) == len({place for place, *_ in left}) for left in shown.values())
    check(extra == len(shown) <= ledger.lost_answers, "there are impressions that nobody was shown")
    check(entries["propensity"].null_count() == 0 == entries["policy"].null_count(), "a propensity or policy is lost")
    users = pl.read_parquet(out / "users.parquet")
    check(dict(users.select("user_id", "age").rows()) == ledger.profiles, "users are lost")
    given = pl.read_parquet(out / "assignments.parquet").select("user_id", "variant").rows()
    check(sorted(given) == sorted(ledger.variants.items()), "assignments are lost or there twice")
    return {
        "uses": len(ledger.uses),
        "impressions_of_recorded_lists": n_recorded,
        "impressions_seen_by_clients": n_seen,
        "users": users.height,
        "assignments": len(given),
    }


def run(
    model: Path,
    folder: Path,
    n_users: int,
    n_days: int,
    n_kills: int,
    seed: int,
    kind: str = "sqlite",
    url: str = "",
) -> dict[str, Any]:
    """Run all days with one kind of store, at a URL unless it is SQLite; the tables are in `folder`.

    Raises
    ------
    BrokenPromiseError
        Something acknowledged is lost or duplicated.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(model, folder / "model")
    store = {"store": url} if url else {}
    began = time.perf_counter()
    server = ServerProcess(folder / "model", folder, {**SETTINGS, **store})
    try:
        ledger, counts = asyncio.run(live(server, folder, model, n_users, n_days, n_kills, url, seed))
        kept = asyncio.run(compare_store(server.url, ledger))
    finally:
        server.stop()
    found = compare_tables(folder / "tables", ledger)
    return {
        "store": kind,
        "newcomers": n_users,
        "days": n_days,
        **counts,
        "models": len(ledger.models),
        "lists": len(ledger.lists),
        **found,
        **kept,
        "lists_without_an_answer": ledger.lost_answers,
        "events_sent_again": ledger.sent_again,
        "lost": 0,
        "twice": 0,
        "seconds": time.perf_counter() - began,
    }


def main(
    model: Path, users: int = 2000, days: int = 10, kills: int = 20, seed: int = 0, out: Path | None = None
) -> None:
    """Run the days with each store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [run(model, folder / "with-sqlite", users, days, kills, seed)]
        for kind, server in STORE_SERVERS.items():
            if server.is_installed():
                with server() as store:
                    results.append(run(model, folder / f"with-{kind}", users, days, kills, seed, kind, store.url))
    write_results(results, out)


if __name__ == "__main__":
    typer.run(main)
