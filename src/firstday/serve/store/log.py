"""The protocol of a log, which SQLite, Redis and Postgres implement: entries, and how long they are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from firstday.errors import FirstdayError

DAY_US = 86_400_000_000


NOT_USERS = SERVICE, LISTS, ITEMS, ITEM_USE = "", "\x01item_lists", "\x01items", "\x01item_use"
"""Owners that are not users: of facts about the service, of item lists, of items, and of counts of the use of new ones.
"""


KEPT_ITEMS = "\x01kept_items"
"""Kind of the items that neither expire nor are capped: updates of a model's items, and withdrawals.

Other entries of `ITEMS`, new items, have the kind `ITEMS`.
"""


REMOVAL = "removal"
"""Kind of an entry that removes the one with its id, and is not stored itself."""


ITEM_KINDS_SQL = f"('{ITEMS}', '{KEPT_ITEMS}')"


MAX_NEW = 10_000
"""Maximum number of items of the kind `ITEMS`; the most recently put ones are kept."""


class StoreError(FirstdayError):
    """The store is unavailable; the call has not been acknowledged."""


@dataclass(frozen=True)
class Retention:
    """Maximum age of entries (0: unlimited), and numbers per user; the most recently received ones are kept."""

    max_events_per_user: int
    retention_us: int
    max_lists_per_user: int = 20
    max_shown_per_user: int = 500

    def oldest_us(self, now_us: int) -> int:
        """Return the time before which entries have expired; 0 if retention is unlimited."""
        return now_us - self.retention_us if self.retention_us else 0

    @property
    def caps(self) -> dict[str, int]:
        """Maximum number of entries per owner, for each capped kind."""
        return {
            "use": self.max_events_per_user,
            "shown": self.max_shown_per_user,
            "list": self.max_lists_per_user,
            ITEMS: MAX_NEW,
        }

    @property
    def items_at_once(self) -> int:
        """Maximum number of items that `Log.read` reads at once; at most half of them have expired."""
        return 2 * self.caps[ITEMS]


def now_us() -> int:
    """Return the current time, in microseconds since 1970."""
    return time.time_ns() // 1000


class Entry(NamedTuple):
    """An entry to append; the log sets its time.

    Kinds are ``use`` and ``shown`` (events), ``list``, ``profile``, ``assignment``, ``alias`` and ``guest`` (an alias
    in the log of its person). An assignment owned by the service marks the start of an experiment. The log itself
    maintains one ``user`` entry per user: its time is approximately that of the last write, its body is the time of the
    first write. Assignments and aliases live as long as the user.
    """

    owner: str
    kind: str
    id: str  # unique per owner
    body: str
    replace_before_us: int  # an existing entry with this id is replaced only if it is older, or has expired
    list_key: str | None = None  # id of the list entry whose impressions this entry reports, which sets its `is_told`


NEVER, ALWAYS = 0, 2**53
"""Values of `replace_before_us`: an existing entry is never replaced, or always."""


EXPIRING = ("use", "shown", "list", "profile", ITEMS)
"""Kinds of entries that expire by their own time."""


EXPIRING_SQL = "'{}'".format("', '".join(EXPIRING))


FIELDS = {
    "use": "events",
    "shown": "events",
    "list": "lists",
    "profile": "profile",
    "assignment": "assignments",
    "alias": "person_id",
    "guest": "guest_ids",
}
"""Field of `StoredUser` for each kind of record; the entries of a field share an id namespace."""


StoredEntry = tuple[str, int, bool, str]
"""An entry as read: kind, time, whether impressions of it were reported, body."""


def keep_unexpired(owner: str, entries: list[StoredEntry], oldest_us: int) -> list[StoredEntry]:
    """Return the unexpired entries of an owner, given all in order of time; none of a user who has expired."""
    if entries and entries[-1][1] < oldest_us and owner not in NOT_USERS:
        return []
    return [entry for entry in entries if entry[1] >= oldest_us or entry[0] not in EXPIRING]


class Log(Protocol):
    """A log of entries that supports scans during writes.

    When a call returns, its changes are durable; when it raises `StoreError`, nothing has changed. Times of entries,
    and what has expired, follow the clock of the store, not that of a worker. `now_us` is its time at the last read.
    """

    rules: Retention
    now_us: int

    async def read(self, owners: Sequence[str], since_us: int = -1) -> list[list[StoredEntry]]:
        """Return the unexpired entries of each owner in order of time.

        With `since_us`, only the first `items_at_once` after this time; the only owner is `ITEMS`.
        """
        ...

    async def append(self, entries: Sequence[Entry]) -> list[bool]:
        """Append all entries or none; return which are new. Removes the owners' entries beyond the caps."""
        ...

    async def delete(self, owners: Sequence[str], until_us: int) -> bool:
        """Remove all entries of owners, unless one was merged after a time; return whether they were removed."""
        ...

    async def purge(self) -> None:
        """Remove expired entries."""
        ...

    async def find_facts(self) -> tuple[int, int]:
        """Return the time up to which all entries are readable (0: none), and the retention; both in microseconds."""
        ...

    async def find_owners(self, since_us: int) -> list[str]:
        """Return all users with entries after `since_us`, and possibly others."""
        ...

    async def close(self) -> None:
        """Finish pending calls and close."""
        ...
