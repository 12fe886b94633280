"""Cost of an export for a running service: copying a SQLite store, and building tables from the copy or a server.

    python benchmarks/serve_export.py MODEL [--users 50000] [--store postgres] [--out OUT]
    python benchmarks/serve_export.py MODEL --merges     exports, some killed, while guests are merged; prints counts

The store is filled with users, each with a profile, 10 events and 5 recorded lists of 12. Lists are requested at random
moments, 50 a second: without other load, and while another process exports a copy. Reading a store for an export takes
the same processor time anywhere; inside the service it would be taken from lists.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import typer
from result_files import write_results
from serve_ledger import check, write_merge
from serve_load import expect_ok, quantiles, time_at_rate
from serve_process import Connection, ServerProcess, write_request
from store_servers import store_settings

from firstday.serve.settings import load_settings
from firstday.serve.store.base import Event, Log, Profile, ShownList, Store
from firstday.serve.store.open import open_log

RATE = 50
N_EVENTS = 10
N_LISTS = 5
SLATE = 12


async def fill(log: Log, n_users: int, items: list[str]) -> None:
    """Fill a store."""
    rng = random.Random(1)
    store = Store(log)
    for begin in range(0, n_users, 500):
        users = [f"u{number}" for number in range(begin, min(n_users, begin + 500))]
        await store.append([(user, Profile({"age": rng.randrange(16, 70)})) for user in users])
        pairs = [(user, number) for user in users for number in range(N_EVENTS)]
        await store.append(
            [(user, Event(event_id=f"e{number}", entity_id=rng.choice(items))) for user, number in pairs]
        )
        for number in range(N_LISTS):
            shown = [ShownList(f"{user}-{number}", "segment", tuple(rng.sample(items, SLATE))) for user in users]
            await store.append(list(zip(users, shown, strict=True)))
    await store.close()


async def measure(server: ServerProcess, source: str, out: Path, n_users: int, seconds: float) -> dict[str, Any]:
    """Time lists without other load and during an export of a copy."""
    rng = random.Random(2)

    def ask() -> bytes:
        return write_request("GET", f"/v1/users/u{rng.randrange(n_users)}/recommendations?k={SLATE}&strategy=segment")

    async def export() -> tuple[float, float]:
        began = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "firstday", "export", source, "--out", str(out), stdout=-1
        )
        _, _ = await process.communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode:
            raise RuntimeError("the export failed")
        return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    await time_at_rate(server.url, ask, RATE, 2)
    calm = await time_at_rate(server.url, ask, RATE, seconds)
    if source.startswith("sqlite"):
        await expect_ok(await Connection.open(server.url), write_request("POST", "/v1/store/backup"))
    (whole_s, whole_cpu_s), exporting = await asyncio.gather(export(), time_at_rate(server.url, ask, RATE, seconds))
    again_s, again_cpu_s = await export()
    return {
        "export_s": whole_s,
        "export_cpu_s": whole_cpu_s,
        "second_export_s": again_s,
        "second_export_cpu_s": again_cpu_s,
        "lists_ms": {"calm": quantiles(calm), "while_exporting": quantiles(exporting)},
    }


async def _merge_and_export(server: ServerProcess, copy: Path, out: Path, n_exports: int, seed: int) -> dict[str, str]:
    """Write and merge until all exports have run; return the owner of each event, named like its item."""
    rng = random.Random(seed)
    owners: dict[str, str] = {}
    done = asyncio.Event()

    async def write() -> None:
        connection = await Connection.open(server.url)
        turn = 0
        while not done.is_set():
            guest, person = f"g{turn}", f"p{turn % 50}"
            for part, owner in enumerate((guest, person, guest)):
                if part == 2:
                    await expect_ok(connection, write_merge(person, guest))
                item = f"{turn}-{part}"
                event = {"event_id": item, "user_id": owner, "entity_id": item}
                await expect_ok(connection, write_request("POST", "/v1/events", {"events": [event]}))
                owners[item] = owner
            turn += 1

    async def export() -> None:
        connection = await Connection.open(server.url)
        for number in range(n_exports + 1):
            await expect_ok(connection, write_request("POST", "/v1/store/backup"))
            command = (sys.executable, "-m", "firstday", "export", str(copy), "--out", str(out))
            process = await asyncio.create_subprocess_exec(*command, stdout=-1)
            if number % 3 == 1 and number < n_exports:
                await asyncio.sleep(rng.uniform(0.5, 1.5))
                if process.returncode is None:
                    process.kill()
            _, _ = await process.communicate()
            if number == n_exports - 1:
                done.set()
                await writer

    writer = asyncio.create_task(write())
    await export()
    return owners


def export_across_merges(model: Path, folder: Path, n_exports: int = 10, seed: int = 0) -> dict[str, Any]:
    """Export while guests are merged, killing every third run; check that the tables have every event once."""
    copy = folder / "copy.sqlite"
    with ServerProcess(model, folder, {"log_requests": "false", "backup_file": copy}) as server:
        owners = asyncio.run(_merge_and_export(server, copy, folder / "tables", n_exports, seed))
    rows = pl.read_parquet(folder / "tables" / "interactions").select("item_id", "user_id").rows()
    check(len(rows) == len(owners), f"{len(rows)} rows of {len(owners)} events")
    check(dict(rows) == owners, "an event is with somebody else")
    guests = pl.read_parquet(folder / "tables" / "users.parquet").select("user_id", "guest_ids").explode("guest_ids")
    persons = {guest: user for user, guest in guests.drop_nulls().rows()}
    check(
        all(person == f"p{int(guest[1:]) % 50}" for guest, person in persons.items()), "a guest is with somebody else"
    )
    check(len(persons) == len({owner for owner in owners.values() if owner[0] == "g"}), "a guest is with nobody")
    return {"exports": n_exports, "events": len(owners), "merges": len(persons)}


def main(
    model: Path,
    users: int = 50_000,
    seconds: float = 10,
    store: str = "sqlite",
    out: Path | None = None,
    *,
    merges: bool = False,
) -> None:
    """Fill a store, measure, print; or export across merges."""
    with tempfile.TemporaryDirectory() as name, store_settings(store) as settings:
        folder = Path(name)
        if merges:
            write_results(export_across_merges(model, folder), out)
            return
        copy = folder / "copy.sqlite"
        settings = {"store": f"sqlite:///{folder / 'users.sqlite'}", "retention_days": 0.0, **settings}
        log = open_log(load_settings({**settings, "store_timeout_s": 60.0}))
        asyncio.run(fill(log, users, [f"item-{number:05}" for number in range(1000)]))
        source = settings["store"] if store != "sqlite" else f"sqlite:///{copy}"
        with ServerProcess(model, folder, {**settings, "log_requests": "false", "backup_file": copy}) as server:
            measured = asyncio.run(measure(server, source, folder / "tables", users, seconds))
    counts = {"users": users, "events": users * N_EVENTS, "impressions": users * N_LISTS * SLATE}
    write_results({**counts, "cores": os.cpu_count(), "load_average": os.getloadavg()[0], **measured}, out)


if __name__ == "__main__":
    typer.run(main)
