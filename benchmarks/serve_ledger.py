"""What was sent to a server and acknowledged, and whether it is all there."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from serve_process import Connection, write_request


class BrokenPromiseError(AssertionError):
    """A promise was not kept."""


def check(kept: bool, what: str) -> None:
    """Fail if a promise was not kept."""
    if not kept:
        raise BrokenPromiseError(what)


@dataclass
class Ledger:
    """What was sent, batch by batch, and whether the server acknowledged it."""

    batches: list[tuple[str, list[str], bool]] = field(default_factory=list)

    def users(self) -> set[str]:
        """Return every user written to."""
        return {user for user, _, _ in self.batches}

    def compare(self, read: dict[str, set[str]]) -> dict[str, int]:
        """Check that every acknowledged batch is there, that each other is there whole or not at all, and no more."""
        n_acknowledged = n_extra = 0
        sent: dict[str, set[str]] = {}
        for user, ids, acknowledged in self.batches:
            sent.setdefault(user, set()).update(ids)
            there = read[user] & set(ids)
            if acknowledged:
                n_acknowledged += len(ids)
                check(len(there) == len(ids), f"{len(ids) - len(there)} acknowledged events of {user} are lost")
            else:
                check(len(there) in (0, len(ids)), f"a batch of {user} is there in part")
                n_extra += len(there)
        for user, all_ids in sent.items():
            check(read[user] <= all_ids, f"{user} has events that nobody sent")
        return {"acknowledged": n_acknowledged, "unacknowledged_but_kept": n_extra}


def send(url: str, *requests: bytes) -> list[tuple[int, Any]]:
    """Send requests one after the other; return statuses and bodies."""

    async def run() -> list[tuple[int, Any]]:
        connection = await Connection.open(url)
        answers = []
        for request in requests:
            status, body = await connection.send(request)
            answers.append((status, json.loads(body) if body else None))
        connection.close()
        return answers

    return asyncio.run(run())


def write_events(user: str, ids: list[str], item: str | int = "i001") -> bytes:
    """Return a request that tells of events with an item."""
    events = [{"event_id": identity, "user_id": user, "entity_id": item} for identity in ids]
    return write_request("POST", "/v1/events", {"events": events})


def read_events(url: str, users: set[str]) -> dict[str, set[str]]:
    """Return the ids of the events that the server has of each user."""
    ordered = sorted(users)
    answers = send(url, *(write_request("GET", f"/v1/users/{user}") for user in ordered))
    events_of = {}
    for user, (status, body) in zip(ordered, answers, strict=True):
        check(status in (200, 404), f"reading {user} gave {status}")
        events_of[user] = {event["event_id"] for event in body["events"]} if status == 200 else set()
    return events_of
