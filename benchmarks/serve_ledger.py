"""Ledger of what was sent to a server and acknowledged, to check that all of it is stored."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from serve_process import Connection, write_request

from firstday.serve.settings import load_settings
from firstday.serve.store.log import now_us
from firstday.serve.store.open import open_log
from firstday.serve.store.records import StoredItem
from firstday.serve.store.store import Store, read_all_items

LISTED_AT_ONCE = 20


class BrokenPromiseError(AssertionError):
    """A durability promise was broken."""


def check(kept: bool, what: str) -> None:
    """Raise `BrokenPromiseError` unless a promise was kept."""
    if not kept:
        raise BrokenPromiseError(what)


@dataclass
class Ledger:
    """Batches sent, and whether the server acknowledged each."""

    batches: list[tuple[str, list[str], bool]] = field(default_factory=list)

    def users(self) -> set[str]:
        """Return every user written to."""
        return {user for user, _, _ in self.batches}

    async def write(self, connection: Connection, user: str, ids: list[str]) -> None:
        """Send a batch, and record whether it was acknowledged."""
        at = len(self.batches)
        self.batches.append((user, ids, False))
        status, _ = await connection.send(write_events(user, ids))
        check(status == 200, f"a write gave {status}")
        self.batches[at] = (user, ids, True)

    def compare(self, read: dict[str, set[str]]) -> dict[str, int]:
        """Check that acknowledged batches are stored, others completely or not at all, and nothing else."""
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


@dataclass
class MergeLedger(Ledger):
    """Batches sent under the ids of guests and persons, and merges, with whether the server acknowledged each."""

    merges: list[tuple[str, str, bool]] = field(default_factory=list)
    """Person, guest, and whether acknowledged; of one guest, at most one merge may be."""

    def users(self) -> set[str]:
        """Return every id."""
        return super().users().union(*({person, guest} for person, guest, _ in self.merges))

    def compare_persons(self, read: dict[str, tuple[str, list[str]]]) -> dict[str, int]:
        """Check the person and the events read under each id.

        Acknowledged merges have been made, and others have been made or not. An event is with its person once, under
        each of the ids, and with nobody else.
        """
        tried: dict[str, set[str]] = {}
        acknowledged: dict[str, set[str]] = {}
        for person, guest, is_acknowledged in self.merges:
            tried.setdefault(guest, {guest}).add(person)
            acknowledged.setdefault(guest, set()).update({person} if is_acknowledged else ())
        for guest, persons in acknowledged.items():
            person = read[guest][0]
            check(len(persons) < 2, f"{guest} was given to {persons}")
            check(person in (persons or tried[guest]), f"{guest} is with {person}, not with {persons or tried[guest]}")
        events_of: dict[str, set[str]] = {}
        for user, (person, events) in read.items():
            check(len(set(events)) == len(events), f"{user} has events twice")
            check(events_of.setdefault(person, set(events)) == set(events), f"the ids of {person} have other events")
        batches = [(read[user][0], ids, is_acknowledged) for user, ids, is_acknowledged in self.batches]
        return Ledger(batches).compare(events_of)


class PutItem(NamedTuple):
    """An item's title, whether it is withdrawn, and the interval in which its id was first put, in microseconds."""

    title: str
    is_withdrawn: bool
    since_us: int
    until_us: float = float("inf")


@dataclass
class ItemLedger:
    """Items of several writers, each with ids of its own, that await each answer."""

    stored: defaultdict[int, dict[str, PutItem]] = field(default_factory=lambda: defaultdict(dict))
    """By writer and id, as acknowledged."""
    pending: dict[int, dict[str, PutItem]] = field(default_factory=dict)
    """By writer and id, as the request without an answer makes them."""
    n_acknowledged: int = 0

    def send(self, writer: int, titles: Mapping[str, str | None], *, restores: bool) -> None:
        """Record that a writer puts items, which `restores` withdrawn ones; None withdraws one."""
        items = dict(self.stored[writer])
        for item_id, title in titles.items():
            old = items.get(item_id, PutItem("", False, now_us()))
            is_withdrawn = title is None or (old.is_withdrawn and not restores)
            items[item_id] = old._replace(title=title or "", is_withdrawn=is_withdrawn)
        self.pending[writer] = items

    def acknowledge(self, writer: int) -> None:
        """Record that a writer was answered."""
        until_us = now_us()
        items = self.pending.pop(writer)
        self.stored[writer] = {name: one._replace(until_us=min(one.until_us, until_us)) for name, one in items.items()}
        self.n_acknowledged += 1

    def settle(self, read: Mapping[str, StoredItem]) -> int:
        """Check that all items are stored as acknowledged, or as a later request made all of its items.

        They were first put when they first were. Returns the number of requests that were not answered, but stored.
        """
        n_kept = 0
        for writer, stored in list(self.stored.items()):
            made = self.pending.get(writer, stored)
            there = {
                name: (read[name].values.get("title", ""), read[name].withdrawn_us > 0)
                for name in stored.keys() | made.keys()
                if name in read
            }
            before, after = ({name: one[:2] for name, one in items.items()} for items in (stored, made))
            check(there in (before, after), f"items are {there}, not {before} or {after}")
            if before != after == there:
                self.stored[writer] = made
                n_kept += 1
            for name, one in self.stored[writer].items():
                first_us = read[name].first_us
                check(one.since_us <= first_us <= one.until_us, f"{name} was put first at {first_us}, not in {one}")
        self.pending.clear()
        check(read.keys() == set(chain.from_iterable(self.stored.values())), "items that nobody put are stored")
        return n_kept

    def find_titles(self, of_model: Mapping[str, str]) -> dict[str, str]:
        """Return the titles of the items that lists may have, given those of the model's items before any was put."""
        put = {name: one for items in self.stored.values() for name, one in items.items()}
        titles = {**of_model, **{name: one.title for name, one in put.items()}}
        return {name: title for name, title in titles.items() if name not in put or not put[name].is_withdrawn}


def send(url: str, *requests: bytes) -> list[tuple[int, Any]]:
    """Send requests in sequence; return statuses and bodies."""

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
    """Return a request that records events on one item."""
    events = [{"event_id": identity, "user_id": user, "entity_id": item} for identity in ids]
    return write_request("POST", "/v1/events", {"events": events})


def read_events(url: str, users: set[str]) -> dict[str, set[str]]:
    """Return the ids of each user's stored events."""
    return {user: set(events) for user, (_, events) in read_persons(url, users).items()}


def write_merge(person: str, guest: str) -> bytes:
    """Return a request that merges a guest."""
    return write_request("POST", f"/v1/users/{person}/merge", {"from": guest})


def read_persons(url: str, users: set[str]) -> dict[str, tuple[str, list[str]]]:
    """Return the person and the ids of the events that are read under each id."""
    ordered = sorted(users)
    answers = send(url, *(write_request("GET", f"/v1/users/{user}") for user in ordered))
    found: dict[str, tuple[str, list[str]]] = {}
    for user, (status, body) in zip(ordered, answers, strict=True):
        check(status in (200, 404), f"reading {user} gave {status}")
        found[user] = (user, [])
        if status == 200:
            found[user] = (body["user_id"], [event["event_id"] for event in body["events"]])
    return found


def write_items(ids: Sequence[str], title: str | None, *, restores: bool) -> bytes:
    """Return a request that puts items, several in bulk, which restores none, or withdraws one."""
    if title is None:
        return write_request("DELETE", f"/v1/items/{ids[0]}?ahead=true")
    values = {"title": title, "recommendable": True} if restores or len(ids) > 1 else {"title": title}
    if len(ids) == 1:
        return write_request("PUT", f"/v1/items/{ids[0]}", values)
    return write_request("POST", "/v1/items", "\n".join(json.dumps({"item_id": one, **values}) for one in ids).encode())


def read_items(store_url: str) -> dict[str, StoredItem]:
    """Return the items in a store that another process writes, or in a copy."""

    async def run() -> dict[str, StoredItem]:
        store = Store(open_log(load_settings({"store": store_url}), read_only=True))
        new, kept, _ = await read_all_items(store.log)
        await store.close()
        return new | kept

    return asyncio.run(run())


def list_items(url: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the titles of those of some items that a worker lists, in lists no longer than the model has items."""
    listed: dict[str, str] = {}
    for first in range(0, len(ids), LISTED_AT_ONCE):
        body = {"signals": {}, "k": LISTED_AT_ONCE, "rules": {"allow": ids[first : first + LISTED_AT_ONCE]}}
        ((status, answer),) = send(url, write_request("POST", "/v1/recommendations", body))
        check(status == 200, f"a list gave {status}")
        listed |= {str(item["item_id"]): item["title"] for item in answer["items"]}
    return listed
