"""The store: a log of users' raw signals and of the lists they were shown.

The store contains no vectors, so a new model needs no migration. A log entry is (owner, kind, id, time, body). The
owner is a user or the service, the body is a record in JSON, and times increase strictly. `Store` converts between
records and entries; a `Log`, in SQLite, Redis or Postgres, persists the entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain
from typing import Any

from pydantic_core import from_json, to_json

from firstday.serve.store.guests import check_merge, link, read_members, unite
from firstday.serve.store.log import (
    ALWAYS,
    ITEM_USE,
    ITEMS,
    KEPT_ITEMS,
    LISTS,
    NEVER,
    REMOVAL,
    SERVICE,
    Entry,
    Log,
    StoredEntry,
    StoreError,
)
from firstday.serve.store.records import (
    Assignment,
    ItemUse,
    Record,
    StoredItem,
    StoredUser,
    dump,
    to_entry,
)

USERS_AT_ONCE = 20
"""Number of users that a scan reads at once; requests wait that long."""


class Store:
    """Store of users' signals.

    If the underlying log fails, every method raises `StoreError` and acknowledges nothing. When a call returns, its
    changes are durable: they survive a killed process. An event whose id the user already has is ignored. The first
    new ``shown`` event about a recorded list sets the list's ``is_told``. Expired entries are never returned. The time
    of first contact, the assignments and the aliases of a user are kept until retention has passed since the last
    write. Each call to the log runs in the context manager that `watch` returns for its name.

    A merged guest and its person are one user under either id: for `read`, `assign` and `delete`. `append` keeps the
    id that it is given.
    """

    def __init__(self, log: Log, watch: Callable[[str], AbstractContextManager[Any]] = nullcontext) -> None:
        self.log, self.watch = log, watch
        self.close = log.close

    async def append(self, records: Iterable[tuple[str, Record]]) -> int:
        """Append (owner, record) pairs, all or none; return how many are new.

        A profile replaces the previous one. An event, a list or an assignment that the owner already has is ignored.
        """
        return sum(await self._append([to_entry(owner, record) for owner, record in records]))

    async def _append(self, entries: Sequence[Entry]) -> list[bool]:
        with self.watch("append"):
            return await self.log.append(entries)

    async def _read(self, owners: Sequence[str], since_us: int = -1) -> list[list[StoredEntry]]:
        with self.watch("read"):
            return await self.log.read(owners, since_us)

    async def read(self, user_ids: Sequence[str]) -> list[StoredUser]:
        """Return what is stored about each user."""
        users = []
        for members in await read_members(self._read, user_ids):
            users.append(unite(members, self.log.rules.caps))
            if len(members) > 1:
                await self._renew(members)
        return users

    async def _renew(self, members: Mapping[str, StoredUser]) -> None:
        """Keep all members as long as one of them, by a write once a member has half expired."""
        now_us = self.log.now_us
        seen_us = [member.seen_us for member in members.values()]
        if min(seen_us) < (self.log.rules.oldest_us(now_us) + now_us) // 2 < max(seen_us):
            person_id, *guest_ids = members
            with suppress(StoreError):  # already counted; the next read tries again
                links = chain.from_iterable(link(person_id, guest_id) for guest_id in guest_ids)
                if await self.append(links):  # they were deleted meanwhile
                    await self.delete(person_id)

    async def merge(self, user_id: str, guest_id: str) -> bool:
        """Make a guest's records those of a user; return whether they were not before.

        Both aliases are written only if they are as they were read, and again each time, so that a merge that came
        between makes this one start again. Raises `MergeError` if the merge is not allowed.
        """
        links = [to_entry(owner, alias) for owner, alias in link(user_id, guest_id)]
        is_new = False
        while True:
            members, others = await read_members(self._read, [user_id, guest_id])
            check_merge(user_id, guest_id, members, others)
            is_new |= guest_id not in members
            read_us = members[user_id].seen_us, NEVER, others[guest_id].seen_us
            entries = [one._replace(replace_before_us=us + 1) for one, us in zip(links, read_us, strict=True)]
            is_person, _, is_guest = await self._append(entries)
            if is_person and is_guest:
                return is_new

    async def start_experiment(self, experiment: str) -> int:
        """Return the start of an experiment, in microseconds since 1970; a new experiment starts now."""
        start = Assignment(experiment, "")
        await self.append([(SERVICE, start)])
        (entries,) = await self._read([SERVICE])
        return next(us for _, us, _, body in entries if body == dump(start))

    async def put(
        self, owner: str, values: Mapping[str, Any], kinds: Mapping[str, str] | None = None, before_us: int = ALWAYS
    ) -> list[bool]:
        """Set values of an owner that is not a user, by name, all or none; None deletes one.

        `kinds` are those of entries that have another kind than the owner; values put at `before_us` or later stay.
        Returns which values were set.
        """
        entries = [
            Entry(owner, (kinds or {}).get(name, owner), name, to_json((name, value)).decode(), before_us)
            for name, value in values.items()
        ]
        *is_set, _ = await self._append([*entries, Entry(SERVICE, owner, owner, "", ALWAYS)])
        return is_set

    async def put_items(
        self, items: Mapping[str, StoredItem | None], kept: Collection[str], until_us: int | None = None
    ) -> list[bool]:
        """Store items by id, or remove those that are None, all or none; those in `kept` never expire.

        With `until_us`, an item that was put after this time stays as it is. Returns which were written.
        """
        before_us = ALWAYS if until_us is None else until_us + 1
        kinds = dict.fromkeys(kept, KEPT_ITEMS) | {item_id: REMOVAL for item_id, item in items.items() if item is None}
        return await self.put(ITEMS, items, kinds, before_us)

    async def find_changes(self) -> Mapping[str, int]:
        """Return when the values of each owner last changed, in microseconds."""
        (entries,) = await self._read([SERVICE])
        return {kind: us for kind, us, *_ in entries}

    async def read_lists(self) -> dict[str, Any]:
        """Return the item lists by name."""
        (entries,) = await self._read([LISTS])
        return _read_values(entries)

    async def read_items(self, since_us: int) -> list[StoredEntry]:
        """Return the items that were put or ended after a time, in this order."""
        return [entry async for entry in _scan_items(self._read, since_us, self.log.rules.items_at_once)]

    async def read_item_use(self) -> ItemUse:
        """Return the counts of the use of new items."""
        (entries,) = await self._read([ITEM_USE])
        return ItemUse(**_read_values(entries))

    async def assign(self, user_id: str, new: Assignment) -> Assignment:
        """Assign a variant to a user who has none; return the assignment that applies."""
        await self.append([(user_id, new)])
        (user,) = await self.read([user_id])
        return next((old for old in user.assignments if old.experiment == new.experiment), new)

    async def delete(self, user_id: str) -> None:
        """Delete a user with all guests; again if one of them was merged meanwhile."""
        is_deleted = False
        with self.watch("delete"):
            while not is_deleted:
                until_us, _ = await self.log.find_facts()
                (members,) = await read_members(self.log.read, [user_id])
                is_deleted = await self.log.delete(list(members), until_us)

    async def purge(self) -> None:
        """Remove expired entries."""
        with self.watch("purge"):
            await self.log.purge()

    async def probe(self) -> None:
        """Write an entry of the service, to find out whether the store accepts writes."""
        await self._append([Entry(SERVICE, "probe", "probe", "", ALWAYS)])


async def read_all_items(log: Log) -> tuple[dict[str, StoredItem], dict[str, StoredItem], ItemUse]:
    """Return the new items, the updates and withdrawals, both by id, and the counts of the use of new items."""
    items: dict[str, dict[str, StoredItem]] = {ITEMS: {}, KEPT_ITEMS: {}}
    async for entry in _scan_items(log.read, 0, log.rules.items_at_once):
        items[entry[0]] |= {item_id: StoredItem(**item) for item_id, item in _read_values([entry]).items()}
    (use,) = await log.read([ITEM_USE])
    return items[ITEMS], items[KEPT_ITEMS], ItemUse(**_read_values(use))


async def _scan_items(read: Any, since_us: int, at_once: int) -> AsyncIterator[StoredEntry]:
    """Yield the items after a time in order of time; a part that is less than half full is the last one."""
    n_read = at_once
    while n_read >= at_once // 2:
        (entries,) = await read([ITEMS], since_us)
        for entry in entries:
            yield entry
        await asyncio.sleep(0)
        n_read = len(entries)
        since_us = entries[-1][1] if entries else since_us


def _read_values(entries: Iterable[StoredEntry]) -> dict[str, Any]:
    """Return values by name, except those that are None."""
    named = (from_json(body) for *_, body in entries)
    return {name: value for name, value in named if value is not None}


async def scan_changed(log: Log, since_us: int) -> AsyncIterator[tuple[str, dict[str, StoredUser], StoredUser]]:
    """Yield each user with entries after a time: the id, the logs of its person as from `read_members`, the person."""
    changed = await log.find_owners(since_us)
    for first in range(0, len(changed), USERS_AT_ONCE):
        owners = changed[first : first + USERS_AT_ONCE]
        for owner, members in zip(owners, await read_members(log.read, owners), strict=True):
            yield owner, members, unite(members, {})
        await asyncio.sleep(0)
