"""Guests who became persons: which logs are one user, and when a merge is allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from operator import itemgetter

from firstday.errors import FirstdayError
from firstday.serve.store.log import StoredEntry
from firstday.serve.store.records import Alias, StoredUser, assemble


class MergeError(FirstdayError):
    """A guest cannot be merged; `code` says why."""


REFUSED_MERGES = {
    "itself": "The user and from are the same id; name a guest in from.",
    "is_guest": "The user was merged into another one; merge into that one instead.",
    "has_guests": "Guests were merged into the user named in from; merge the other way round, or keep both users.",
    "has_person": "The guest was merged into another user before; give the new person another guest id.",
}


Reader = Callable[[Sequence[str]], Awaitable[list[list[StoredEntry]]]]
"""A call to `Log.read`."""


def link(person_id: str, guest_id: str) -> list[tuple[str, Alias]]:
    """Return the aliases, with their owners, that merge a guest, in the order in which they are written."""
    alias = Alias(guest_id, person_id)
    return [(person_id, Alias(person_id, person_id)), (person_id, alias), (guest_id, alias)]


async def read_members(read: Reader, user_ids: Sequence[str]) -> list[dict[str, StoredUser]]:
    """Return what each user's log has, by id: of a merged user, those of the person, first, and of the guests.

    Calls `read` again only if some of the users were merged.
    """
    found: dict[str, StoredUser] = {}
    unread = user_ids
    while unread:
        logs = await read(unread)
        found |= zip(unread, map(assemble, logs), strict=True)
        named = chain.from_iterable((user.person_id, *user.guest_ids) for user in found.values() if user.person_id)
        unread = list(set(named) - found.keys())
    all_members = []
    for user_id in user_ids:
        person_id = found[user_id].person_id or user_id
        person = found[person_id]
        names = (person_id, *person.guest_ids) if person.person_id == person_id else ()
        members = {name: found[name] for name in names if found[name].person_id == person_id}
        all_members.append(members if user_id in members else {user_id: found[user_id]})
    return all_members


def unite(members: Mapping[str, StoredUser], caps: Mapping[str, int]) -> StoredUser:
    """Return the user whose members these are, the person first; only the newest records within the caps remain."""
    (person, *guests) = members.values()
    if not guests:
        return replace(person, person_id=None, guest_ids=()) if person.person_id else person
    entries = list(chain.from_iterable(one.entries for one in members.values()))
    kept: list[StoredEntry] = []
    for kind, of_kind in groupby(sorted(entries, key=itemgetter(0, 1)), key=itemgetter(0)):
        kept += list(of_kind)[-caps.get(kind, len(entries)) :]
    user = assemble(sorted(kept, key=itemgetter(1)))
    reported = {event.list_id for event in user.events if event.is_impression}
    return replace(
        user,
        lists=tuple(replace(one, is_told=one.is_told or one.list_id in reported) for one in user.lists),
        guest_ids=tuple(members)[1:],
        n_left_out=len(entries) - len(kept),
    )


def check_merge(
    user_id: str, guest_id: str, members: Mapping[str, StoredUser], others: Mapping[str, StoredUser]
) -> None:
    """Raise `MergeError` if a guest cannot become a user, given the logs of both from `read_members`."""
    person_id, *_ = members
    owner_id, *guest_ids = others
    code = ""
    if user_id == guest_id:
        code = "itself"
    elif person_id != user_id:
        code = "is_guest"
    elif owner_id == guest_id and guest_ids:
        code = "has_guests"
    elif owner_id not in (user_id, guest_id):
        code = "has_person"
    if code:
        raise MergeError(REFUSED_MERGES[code], code=code)
