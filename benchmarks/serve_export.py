"""Export of a running service while guests are merged; every event must be in the tables once, with its person.

    python benchmarks/serve_export.py MODEL [--exports 10] [--out OUT]

Every third export is killed.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import typer
from result_files import write_results
from serve_ledger import check, write_merge
from serve_load import expect_ok
from serve_process import Connection, ServerProcess, write_request


async def _merge_and_export(server: ServerProcess, store: Path, out: Path, n_exports: int, seed: int) -> dict[str, str]:
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
        for number in range(n_exports + 1):
            command = (sys.executable, "-m", "firstday", "export", str(store), "--out", str(out))
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
    with ServerProcess(model, folder, {"log_requests": "false"}) as server:
        owners = asyncio.run(_merge_and_export(server, folder / "users.sqlite", folder / "tables", n_exports, seed))
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


def main(model: Path, exports: int = 10, out: Path | None = None) -> None:
    """Export, and print counts."""
    with tempfile.TemporaryDirectory() as name:
        write_results(export_across_merges(model, Path(name), exports), out)


if __name__ == "__main__":
    typer.run(main)
