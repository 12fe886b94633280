"""Fault injection: killed processes, full disks, an unreachable store.

    python benchmarks/serve_faults.py MODEL [--kills 50] [--gone-s 10] [--out OUT]
    python benchmarks/serve_faults.py MODEL --store postgres     kills alone, with this store

Each test runs a real server process and fails if a promise is broken. MODEL is made by benchmarks/paper_size.py, or is
any other model. The full disk needs root to mount a small file system; without root, the file size is limited instead.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import typer
from result_files import write_results
from serve_ledger import (
    ItemLedger,
    Ledger,
    MergeLedger,
    check,
    list_items,
    read_events,
    read_items,
    read_persons,
    send,
    write_events,
    write_items,
    write_merge,
)
from serve_process import Connection, ServerProcess, write_request
from store_servers import STORE_SERVERS, StoreProcess, installed_stores, store_settings

N_WRITERS = 8
ITEM_IDS = [f"new-{number}" for number in range(15 * N_WRITERS)]
"""New items, of each writer in turn."""
N_OF_MODEL = 5 * N_WRITERS
"""Number of the model's items that are updated and withdrawn, of each writer in turn."""
SETTINGS = {"max_events_per_user": 100_000, "log_requests": "false"}


@contextmanager
def run_workers(model: Path, folder: Path, settings: dict[str, Any]) -> Iterator[list[ServerProcess]]:
    """Run two servers of a store, or one of SQLite if the settings name no store."""
    values = {**SETTINGS, **settings}
    with ExitStack() as stack:
        names = ("first", "second") if settings else ("first",)
        yield [stack.enter_context(ServerProcess(model, folder / name, values)) for name in names]


async def run_writers(write: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Run a writer of each number until its connection breaks."""

    async def run(number: int) -> None:
        with suppress(OSError):
            await write(number)

    await asyncio.gather(*map(run, range(N_WRITERS)))


async def write_until_dead(url: str, ledger: Ledger, prefix: str, seed: int) -> None:
    """Write batches on several connections until they break."""

    async def work(number: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        user = f"{prefix}-{number}"
        connection = await Connection.open(url)
        for batch in range(1_000_000):
            ids = [f"{batch}-{at}" for at in range(rng.randint(1, 20))]
            await ledger.write(connection, user, ids)

    await run_writers(work)


def kill_during(
    server: ServerProcess, delay_s: float, work: Coroutine[Any, Any, None], has_begun: Callable[[], bool]
) -> None:
    """Kill a server a delay after its first acknowledgement; start it again, which fails unless the store opens."""

    async def run() -> None:
        working = asyncio.create_task(work)
        while not (has_begun() or working.done()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(delay_s)
        server.process.kill()
        await working

    asyncio.run(run())
    server.process.wait()
    server.start()


def has_acknowledged(calls: Sequence[tuple[str, Any, bool]]) -> bool:
    """Return whether one of the calls was acknowledged."""
    return any(is_acknowledged for *_, is_acknowledged in calls)


def kill_under_load(
    model: Path, folder: Path, n_kills: int, seed: int = 0, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Kill a server at random moments during writes; check after each restart that nothing acknowledged is lost."""
    rng = random.Random(seed)
    ledger = Ledger()
    with ServerProcess(model, folder, {**SETTINGS, **(settings or {})}) as server:
        for number in range(n_kills):
            this = Ledger()
            writing = write_until_dead(server.url, this, f"k{number}", number)
            kill_during(server, rng.uniform(0.02, 0.6), writing, partial(has_acknowledged, this.batches))
            this.compare(read_events(server.url, this.users()))
            ledger.batches += this.batches
        counted = ledger.compare(read_events(server.url, ledger.users()))
    if not settings:
        with sqlite3.connect(folder / "users.sqlite") as connection:
            check(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the file is damaged")
    return {"kills": n_kills, "batches": len(ledger.batches), **counted}


async def merge_until_dead(url: str, ledger: MergeLedger, prefix: str, seed: int) -> None:
    """Write events of guests and merge these, some into two persons at once, until the connections break."""

    async def work(number: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        connections = [await Connection.open(url), await Connection.open(url)]
        person, rival = f"{prefix}-p{number}", f"{prefix}-r{number}"
        for turn in range(1_000_000):
            guest = f"{prefix}-g{number}-{turn}"
            for part, owner in enumerate((guest, person, rival)):
                await ledger.write(connections[0], owner, [f"{number}-{turn}-{part}-{at}" for at in range(3)])
            if rng.random() < 0.5:
                await asyncio.gather(merge(connections[0], person, guest), merge(connections[1], rival, guest))
            else:
                await merge(connections[0], person, guest)
            await ledger.write(connections[0], guest, [f"{number}-{turn}-late-{at}" for at in range(3)])

    async def merge(connection: Connection, person: str, guest: str) -> None:
        ledger.merges.append((person, guest, False))
        at = len(ledger.merges) - 1
        status, _ = await connection.send(write_merge(person, guest))
        check(status in (200, 409), f"a merge gave {status}")
        ledger.merges[at] = (person, guest, status == 200)

    await run_writers(work)


def kill_during_merges(servers: Sequence[ServerProcess], n_kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill the first server at random moments during merges; check that every event is with its person, once.

    After each restart, merges that were not acknowledged are sent again.
    """
    rng = random.Random(seed)
    counts = {"kills": n_kills, "merges": 0, "merges_sent_again": 0, "of_which_made_before": 0, "acknowledged": 0}
    server = servers[0]
    for number in range(n_kills):
        ledger = MergeLedger()
        merging = merge_until_dead(server.url, ledger, f"m{seed}-{number}", number)
        kill_during(server, rng.uniform(0.05, 0.6), merging, partial(has_acknowledged, ledger.merges))
        read = read_persons(server.url, ledger.users())
        ledger.compare_persons(read)
        settled = {guest for _, guest, is_acknowledged in ledger.merges if is_acknowledged}
        cut_off = {guest: person for person, guest, _ in ledger.merges if guest not in settled}
        for guest, person in cut_off.items():
            made = read[guest][0]
            person = person if made == guest else made
            ((status, answer),) = send(server.url, write_merge(person, guest))
            check(status == 200 and answer["is_new"] is (made == guest), f"a repeated merge gave {status} {answer}")
            ledger.merges.append((person, guest, True))
            counts["of_which_made_before"] += made != guest
        done = ledger.compare_persons(read_persons(server.url, ledger.users()))
        counts["merges"] += len(settled | cut_off.keys())
        counts["merges_sent_again"] += len(cut_off)
        counts["acknowledged"] += done["acknowledged"]
    return counts


def delete_during_merges(servers: Sequence[ServerProcess], n_deletions: int, seed: int = 0) -> dict[str, Any]:
    """Merge guests and delete the person or the guest at once; check that nothing of the deleted user is left.

    With two workers, each call of a pair goes to another one.
    """
    pairs: list[tuple[str, str]] = []
    asyncio.run(merge_and_delete([servers[0].url, servers[-1].url], pairs, n_deletions, seed))
    n_merges_kept = 0
    for server in servers:
        n_merges_kept = 0
        for deleted, other in pairs:
            answers = send(server.url, *(write_request("GET", f"/v1/users/{user}") for user in (deleted, other)))
            (status, one), (other_status, another) = answers
            check(status == other_status and one == another, f"{deleted} and {other} are not one user")
            if status == 200:  # the merge came later
                events = {event["event_id"] for event in one["events"]}
                check(events == {other}, f"{events} are left after {deleted} was deleted")
                check(set(one["guest_ids"]) < {deleted, other}, f"the merge of {deleted} and {other} was lost")
                n_merges_kept += 1
    return {"deletions": len(pairs), "merges_after_the_deletion": n_merges_kept}


async def merge_and_delete(urls: Sequence[str], pairs: list[tuple[str, str]], n_deletions: int, seed: int) -> None:
    """Send a merge and a deletion at once, each to a worker of its own, for new users; append (deleted, other)."""

    async def work(number: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        first, second = [await Connection.open(url) for url in urls]
        for turn in range(number, n_deletions, N_WRITERS):
            names = [f"d{seed}-p{turn}", f"d{seed}-g{turn}"]
            merging = write_merge(*names)
            for name in names:
                status, _ = await first.send(write_events(name, [name]))
                check(status == 200, f"a write gave {status}")
            rng.shuffle(names)
            deleting = write_request("DELETE", f"/v1/users/{names[0]}")
            requests = [merging, deleting]
            rng.shuffle(requests)
            answers = await asyncio.gather(first.send(requests[0]), second.send(requests[1]))
            statuses = {status for status, _ in answers}
            check(statuses == {200, 204}, f"a merge and a deletion gave {statuses}")
            pairs.append((names[0], names[1]))

    await run_writers(work)


async def put_until_dead(urls: Sequence[str], item_ids: Sequence[str], ledger: ItemLedger, seed: int) -> None:
    """Put, withdraw and restore items, at each worker in turn, until a connection breaks."""

    async def work(number: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        connections = [await Connection.open(url) for url in urls]
        for turn, connection in enumerate(cycle(connections)):
            ids = rng.sample(item_ids[number::N_WRITERS], rng.choice((1, 1, 1, 5, 20)))
            title = f"Title {seed} {turn}" if len(ids) > 1 or rng.random() < 0.7 else None
            restores = len(ids) == 1 and rng.random() < 0.7
            ledger.send(number, dict.fromkeys(ids, title), restores=restores)
            status, _ = await connection.send(write_items(ids, title, restores=restores))
            check(status == (200 if title else 204), f"a write of items gave {status}")
            ledger.acknowledge(number)

    await run_writers(work)


def kill_during_puts(servers: Sequence[ServerProcess], n_kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill the first server at random moments while items are put and withdrawn; check what is stored and listed.

    New items, and some of the model, are put, withdrawn and restored. The model must have learned what new items are
    like.
    """
    rng = random.Random(seed)
    ledger = ItemLedger()
    n_kept = 0
    server = servers[0]
    store_url = server.environment["FIRSTDAY_SERVE_STORE"]
    ((_, found),) = send(server.url, write_request("GET", f"/v1/items?limit={N_OF_MODEL}"))
    of_model = {str(item["item_id"]): item["title"] for item in found["items"]}
    item_ids = [*ITEM_IDS, *of_model]
    for number in range(n_kills):
        urls = [one.url for one in servers]

        def has_put(before: int = ledger.n_acknowledged) -> bool:
            return ledger.n_acknowledged > before

        kill_during(server, rng.uniform(0.05, 0.6), put_until_dead(urls, item_ids, ledger, seed + number), has_put)
        n_kept += ledger.settle(read_items(store_url))
        titles = ledger.find_titles(of_model)
        for one in servers:
            listed = list_items(one.url, item_ids)
            check(listed == titles, f"a worker lists {listed}, not {titles}")
    return {"kills": n_kills, "acknowledged": ledger.n_acknowledged, "unacknowledged_but_kept": n_kept}


@contextmanager
def small_disk(folder: Path, n_bytes: int) -> Iterator[bool]:
    """Mount a small file system; yield whether that was possible."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def full_disk(model: Path, folder: Path) -> dict[str, Any]:
    """Fill the disk under a server; check that it reports that, still reads, and writes again once there is room."""
    with small_disk(folder / "disk", 3 * 2**20) as mounted:
        store = folder / "disk" / "users.sqlite"
        server = ServerProcess(model, folder, {**SETTINGS, "store": f"sqlite:///{store}"})
        filler = folder / "disk" / "filler"

        def fill() -> None:
            if mounted:
                filler.write_bytes(b"x" * 2**20)
            else:
                resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))

        def make_room() -> None:
            if mounted:
                filler.unlink()
            else:
                unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, unlimited)

        try:
            fill()
            return {
                "by": "a full file system" if mounted else "a limit on files",
                **_break_and_mend(server, make_room, Ledger()),
            }
        finally:
            server.stop()


def _break_and_mend(server: ServerProcess, mend: Any, ledger: Ledger) -> dict[str, Any]:
    """Write until it fails, check the server's errors, repair the disk, and check that everything works again."""
    for number in range(10_000):
        ids = [f"{number}-{at}-{'x' * 80}" for at in range(100)]
        ((status, body),) = send(server.url, write_events("u", ids))
        ledger.batches.append(("u", ids, status == 200))
        if status != 200:
            break
    check(status == 503, f"a write to a broken disk gave {status}")
    check(body["code"] == "store_unavailable", str(body))
    for request in (write_events("v", ["e"]), write_request("PUT", "/v1/users/v", {"age": 20})):
        ((status, _),) = send(server.url, request)
        check(status in (200, 503), f"a write to a broken disk gave {status}")
    (status, user), (list_status, answer), (ready, _) = send(
        server.url,
        write_request("GET", "/v1/users/u"),
        write_request("GET", "/v1/users/u/recommendations"),
        write_request("GET", "/readyz"),
    )
    n_kept = sum(len(ids) for user, ids, acknowledged in ledger.batches if acknowledged and user == "u")
    n_read = len(user["events"]) if status == 200 else 0
    check(status == 200 or n_kept == 0, "reading fails with the writing")
    check(n_read == n_kept, f"{n_read} of {n_kept} events are there")
    check((list_status, ready) == (200, 200), "lists fail with the writing")
    check(answer["signals_from"] in ("store", "store_unavailable"), str(answer))
    mend()
    recovered_s = await_recovery(server.url, write_events("after", ["e"]))
    ledger.batches.append(("after", ["e"], True))
    counted = ledger.compare(read_events(server.url, ledger.users()))
    return {**counted, "recovered_s": recovered_s}


def await_recovery(url: str, write: bytes) -> float:
    """Repeat a write until it succeeds; return the seconds that this took."""
    began = time.monotonic()
    while send(url, write)[0][0] != 200:
        check(time.monotonic() < began + 60, "writing does not recover")
        time.sleep(0.05)
    return time.monotonic() - began


def store_gone(model: Path, folder: Path, seconds: float, store: StoreProcess) -> dict[str, dict[str, Any]]:
    """Stop a store's server, then suspend it; check that lists are served without it, writes fail, and all recovers."""
    with ServerProcess(model, folder, {**SETTINGS, "store": store.url, "store_timeout_s": 2}) as server:
        return {
            "gone": _take_away(server, seconds, "gone", store.stop, store.start),
            "frozen": _take_away(server, seconds, "frozen", store.freeze, store.thaw),
        }


def _take_away(server: ServerProcess, seconds: float, user: str, take: Any, give_back: Any) -> dict[str, Any]:
    """Write events of a user, then take the store away for some seconds."""
    ask = write_request("GET", f"/v1/users/{user}/recommendations")
    ((_, popular),) = send(server.url, write_request("GET", "/v1/items?limit=1"))
    await_recovery(server.url, write_events(user, ["e1", "e2"], popular["items"][0]["item_id"]))
    ((_, before),) = send(server.url, ask)
    check(before["signals_from"] == "store" and before["route"] != "popular", str(before["route"]))
    take()
    until = time.monotonic() + seconds
    times: list[float] = []
    while not times or time.monotonic() < until:
        began = time.monotonic()
        ((status, answer),) = send(server.url, ask)
        times.append(time.monotonic() - began)
        check(status == 200 and answer["signals_from"] == "store_unavailable", f"{status} {answer}")
        check(answer["route"] == "popular" and len(answer["items"]) > 0, "there is no list")
        (status, error), (ready, state) = send(server.url, write_events(user, ["e3"]), write_request("GET", "/readyz"))
        check(status == 503 and error["code"] == "store_unavailable", f"{status} {error}")
        check(ready == 200 and state["store_writes"] == "unavailable", str(state))
        ((status, question),) = send(server.url, write_request("GET", f"/v1/onboarding?user_id={user}"))
        check(status == 200 and question["signals_from"] == "store_unavailable", f"{status} {question}")
        time.sleep(0.05)
    give_back()
    recovered_s = await_recovery(server.url, write_events(user, ["e4"]))
    ((_, after),) = send(server.url, ask)
    check(after["signals_from"] == "store", "lists do not recover")
    # A write that timed out may have reached the server; it was not acknowledged, so clients may retry it.
    kept = read_events(server.url, {user})[user]
    check({"e1", "e2", "e4"} <= kept <= {"e1", "e2", "e3", "e4"}, f"kept: {kept}")
    return {
        "gone_s": seconds,
        "lists_meanwhile": len(times),
        "slowest_list_ms": 1000 * max(times),
        "writes_refused": len(times),
        "recovered_s": recovered_s,
    }


def main(model: Path, kills: int = 50, gone_s: float = 10, out: Path | None = None, store: str = "") -> None:
    """Run all faults, or with a store the kills alone, one after the other, and print the results."""
    results: dict[str, Any] = {}
    kinds = installed_stores()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind in [store] if store else kinds:
            of_kind = "" if kind == "sqlite" else f"_with_{kind}"
            with store_settings(kind) as settings:
                results[f"kill{of_kind}"] = kill_under_load(model, folder / kind, kills, settings=settings)
            with store_settings(kind) as settings, run_workers(model, folder / kind / "workers", settings) as servers:
                results[f"kill_during_merges{of_kind}"] = kill_during_merges(servers, kills)
                results[f"kill_during_puts{of_kind}"] = kill_during_puts(servers, kills)
                results[f"delete_during_merges{of_kind}"] = delete_during_merges(servers, 20 * kills)
            write_results(results, out)
        if not store:
            results["full_disk"] = full_disk(model, folder / "full")
            for kind in kinds[1:]:
                with STORE_SERVERS[kind]() as store_server:
                    gone = store_gone(model, folder / f"{kind}-gone", gone_s, store_server)
                results |= {f"{kind}_{how}": result for how, result in gone.items()}
    write_results(results, out)


if __name__ == "__main__":
    typer.run(main)
