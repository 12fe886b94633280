"""After any calls, each store answers as a plain dictionary does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pydantic_core import from_json

from firstday.serve.store import log
from firstday.serve.store.guests import MergeError
from firstday.serve.store.log import ITEMS, KEPT_ITEMS, LISTS, NOT_USERS, SERVICE
from firstday.serve.store.records import (
    Assignment,
    Event,
    ItemUse,
    Profile,
    Record,
    ShownList,
    StoredItem,
    StoredUser,
    to_time,
)
from firstday.serve.store.store import read_all_items
from tests.serve.store_harness import DAY_US, Harness, MakeLog, make_event

CAPS = {"use": 4, "shown": 3, "list": 2, ITEMS: 3}
RETENTION_DAYS = 10
EXPIRING = {"use", "shown", "list", "profile", ITEMS}

USERS = ["u", "a:b", "*[%00ä\U0001f3a7"]

users = st.sampled_from(USERS)
events = st.builds(
    make_event,
    st.sampled_from(["e0", "e1", "e2", "e3", "'; DROP --", "ä\U0001f3a7"]),
    st.sampled_from(["i0", "ä\U0001f3a7"]),
    signal=st.sampled_from(["stream", "skip", "shown"]),
    timestamp=st.sampled_from([None, to_time(0), to_time(1_700_000_000_123_456)]),
    list_id=st.sampled_from([None, "l0", "l1"]),
    position=st.sampled_from([None, 2]),
)
lists = st.builds(
    ShownList,
    st.sampled_from(["l0", "l1", "l2"]),
    st.sampled_from(["segment", "explore"]),
    st.just(("i0", "i1")),
    st.sampled_from([None, (1.0, 0.125)]),
)
profiles = st.sampled_from([Profile({"age": 20}), Profile({"profile": {"plän": "é"}}), Profile({"age": 30})])
batches = st.tuples(
    st.lists(lists, max_size=3), st.lists(events, min_size=1, max_size=7), st.lists(profiles, max_size=2)
)
lives = st.tuples(st.dictionaries(users, batches, min_size=1, max_size=2), st.sampled_from([0, 6, 6, 12]))
names = st.sampled_from(["n0", "n1", "n2", "n3", "n4"])
values = st.dictionaries(names, st.none() | st.integers(0, 2), min_size=1)


@dataclass
class Kept:
    """What the dictionary has under an owner and an id; numbers give the order of receipt."""

    kind: str
    number: int
    day: int
    record: Any


def describe(record: Any) -> dict[str, Any]:
    """Return the values of a record except its time."""
    return {of.name: getattr(record, of.name) for of in fields(record) if not of.name.endswith("_us")}


def name_record(record: Record) -> tuple[str, str]:
    """Return the kind and the id of a record."""
    match record:
        case Event(signal="shown"):
            return "shown", f"event {record.event_id}"
        case Event():
            return "use", f"event {record.event_id}"
        case ShownList():
            return "list", f"list {record.list_id}"
        case Assignment():
            return "assignment", f"assignment {record.experiment}"
    return "profile", "profile"


class Dictionary:
    """What a store should have: records by owner and id, contacts of users, and the persons of guests."""

    def __init__(self, retention_days: int) -> None:
        self.retention_days = retention_days
        self.kept: dict[tuple[str, str], Kept] = {}
        self.first: dict[str, int] = {}  # day of first contact of each user
        self.seen: dict[str, int] = {}  # day of the last write of each user
        self.persons: dict[str, str] = {}  # of guests
        self.numbers = count()
        self.day = 0

    def keep(self, owner: str, key: str, kind: str, record: Any, *, replaces: bool = False) -> bool:
        """Store a record unless there is one with its id; return whether it is new."""
        if (owner, key) in self.kept and not replaces:
            return False
        self.kept[owner, key] = Kept(kind, next(self.numbers), self.day, record)
        return True

    def touch(self, *owners: str) -> None:
        """Note a write of users."""
        for user in owners:
            self.first.setdefault(user, self.day)
            self.seen[user] = self.day

    def select(self, owners: Iterable[str]) -> tuple[list[Kept], list[tuple[str, str]]]:
        """Return the newest records of owners within the caps, in their order, and the keys of the others."""
        keys = sorted((key for key in self.kept if key[0] in owners), key=lambda key: self.kept[key].number)
        beyond = []
        for kind, cap in CAPS.items():
            beyond += [key for key in keys if self.kept[key].kind == kind][:-cap]
        return [self.kept[key] for key in keys if key not in beyond], beyond

    def trim(self, owner: str) -> None:
        """Forget the records of an owner beyond the caps."""
        for key in self.select([owner])[1]:
            del self.kept[key]

    def forget(self, owners: Iterable[str]) -> None:
        """Forget users, their records and merges."""
        for user in set(owners):
            del self.first[user], self.seen[user]
            self.persons.pop(user, None)
            self.kept = {key: one for key, one in self.kept.items() if key[0] != user}

    def find_members(self, user: str) -> list[str]:
        """Return the person who is a user, and the person's guests."""
        person = self.persons.get(user, user)
        return [person, *(guest for guest, name in self.persons.items() if name == person)]

    def append(self, user: str, records: Iterable[Record]) -> int:
        """Append records to the dictionary; return how many are new."""
        self.touch(user)
        n_new = 0
        for record in records:
            kind, key = name_record(record)
            is_new = self.keep(user, key, kind, record, replaces=kind == "profile")
            n_new += is_new
            shown = self.kept.get((user, f"list {record.list_id}")) if isinstance(record, Event) else None
            if is_new and kind == "shown" and shown:
                shown.record = replace(shown.record, is_told=True)
        self.trim(user)
        return n_new

    def is_old(self, day: int) -> bool:
        return self.day - day > self.retention_days

    def pass_days(self, days: int) -> None:
        """Let time pass: entries expire, and users of whom nothing was written."""
        self.day += days
        self.forget([user for user, day in self.seen.items() if self.is_old(day)])
        self.kept = {key: one for key, one in self.kept.items() if one.kind not in EXPIRING or not self.is_old(one.day)}

    def refuse_merge(self, user: str, guest: str) -> str:
        """Return the code with which a merge is refused; empty if it is allowed."""
        refusals = {
            "itself": user == guest,
            "is_guest": user in self.persons,
            "has_guests": guest in self.persons.values(),
            "has_person": self.persons.get(guest, user) != user,
        }
        return next((code for code, is_refused in refusals.items() if is_refused), "")

    def renew(self, user: str) -> None:
        """Keep all members of a person as long as one of them, as reading them does."""
        seen = {member: self.seen.get(member, 0) for member in self.find_members(user)}
        if len(seen) > 1 and min(seen.values()) < self.day - self.retention_days / 2 < max(seen.values()):
            self.touch(*seen)


class StoreMachine(RuleBasedStateMachine):
    """Calls of a store, next to a dictionary that does the same."""

    def __init__(self, make_log: MakeLog) -> None:
        super().__init__()
        self.harness = Harness(make_log)

    @initialize(expires=st.sampled_from([True, True, False]))
    def open(self, expires: bool) -> None:
        self.model = Dictionary(RETENTION_DAYS if expires else 10**9)
        self.limits = {
            "max_events_per_user": CAPS["use"],
            "retention_us": RETENTION_DAYS * DAY_US if expires else 0,
            "max_lists_per_user": CAPS["list"],
            "max_shown_per_user": CAPS["shown"],
        }
        self.harness.run(self.harness.store.log.delete([*self.find_changed(), *NOT_USERS], 2**60))  # of the case before
        self.harness.reopen(**self.limits)
        self.harness.run(self.harness.store.probe())
        self.look()

    def look(self) -> None:
        """Remember the time of the newest item, and which records there are."""
        latest_us, _ = self.harness.run(self.harness.store.log.find_facts())
        entries = self.harness.run(self.harness.store.read_items(0))
        self.looked_us = entries[-1][1] if entries else latest_us
        self.looked_number = next(self.model.numbers)

    def find_changed(self, since_us: int = 0) -> set[str]:
        """Return the users that have entries after a time."""
        return set(self.harness.run(self.harness.store.log.find_owners(since_us)))

    @rule(life=lives)
    def live(self, life: tuple[Mapping[str, Any], int]) -> None:
        """Append records of users, and let time pass; each other rule begins with this."""
        of_users, days = life
        self.append(of_users)
        self.check_users()
        self.pass_days(days)

    def pass_days(self, days: int) -> None:
        self.harness.age(days * DAY_US)
        self.looked_us -= days * DAY_US
        self.model.pass_days(days)
        self.check_users()

    def append(self, of_users: Mapping[str, Any]) -> None:
        store = self.harness.store
        before_us, _ = self.harness.run(store.log.find_facts())
        records = {user: [*shown, *done, *profiles] for user, (shown, done, profiles) in of_users.items()}
        pairs = [(user, record) for user, of_user in records.items() for record in of_user]
        n_new = self.harness.run(store.append(pairs))
        expected = {user: self.model.append(user, of_user) for user, of_user in records.items() if of_user}
        n_replaced = sum(max(0, len(profiles) - 1) for *_, profiles in of_users.values())
        assert sum(expected.values()) - n_replaced <= n_new <= sum(expected.values())
        assert {user for user, n in expected.items() if n} <= self.find_changed(before_us) <= expected.keys()

    @rule(life=lives, user=users, experiment=st.sampled_from(["x y", "z"]), variant=st.sampled_from("ab"))
    def assign(self, life: Any, user: str, experiment: str, variant: str) -> None:
        self.live(life)
        before_us, _ = self.harness.run(self.harness.store.log.find_facts())
        found = self.harness.assign(user, experiment, variant)
        is_new = self.model.append(user, [Assignment(experiment, variant)])
        assert not is_new or user in self.find_changed(before_us)
        records = [one.record for one in self.model.select(self.model.find_members(user))[0]]
        first = next(one for one in records if isinstance(one, Assignment) and one.experiment == experiment)
        assert found.variant == first.variant

    @rule(life=lives, user=users, guest=users)
    def merge(self, life: Any, user: str, guest: str) -> None:
        self.live(life)
        code = self.model.refuse_merge(user, guest)
        if code:
            with pytest.raises(MergeError) as refused:
                self.harness.run(self.harness.store.merge(user, guest))
            assert refused.value.code == code
            return
        assert self.harness.run(self.harness.store.merge(user, guest)) == (guest not in self.model.persons)
        self.model.persons[guest] = user
        self.model.touch(user, guest)

    @rule(life=lives, user=users)
    def delete(self, life: Any, user: str) -> None:
        self.live(life)
        self.harness.delete(user)
        self.model.forget(self.model.seen.keys() & set(self.model.find_members(user)))

    @rule(life=lives, days=st.sampled_from([0, 12]))
    def purge(self, life: Any, days: int) -> None:
        self.live(life)
        self.pass_days(days)
        self.harness.purge()
        known = self.model.seen.keys() & {owner for owner, _ in self.model.kept}
        assert known <= self.find_changed() <= self.model.seen.keys()
        self.check_values()

    @rule(life=lives, experiment=st.sampled_from(["x", "y"]))
    def start_again(self, life: Any, experiment: str) -> None:
        self.live(life)
        self.harness.reopen(**self.limits)
        start_us = self.harness.run(self.harness.store.start_experiment(experiment))
        self.model.keep(SERVICE, experiment, "assignment", None)
        self.check_day(start_us, self.model.kept[SERVICE, experiment].day)

    @rule(life=lives, years=values)
    def put_lists(self, life: Any, years: Mapping[str, int | None]) -> None:
        self.live(life)
        self.harness.run(self.harness.store.put(LISTS, years))
        for name, year in years.items():
            self.model.keep(LISTS, name, LISTS, year, replaces=True)
        self.check_values()

    @rule(life=lives, years=values, kept=st.sets(names), only_seen=st.booleans(), looks=st.booleans())
    def put_items(self, life: Any, years: Any, kept: set[str], only_seen: bool, looks: bool) -> None:
        """Put and end items, all or only those that were not put since the last look."""
        self.live(life)
        store = self.harness.store
        if looks:
            self.look()
        items = {name: None if year is None else StoredItem({"year": year}, 7, year) for name, year in years.items()}
        is_written = self.harness.run(store.put_items(items, kept, self.looked_us if only_seen else None))
        unseen = {key for key, one in self.model.kept.items() if one.number > self.looked_number}
        expected = {name: not only_seen or (ITEMS, name) not in unseen for name in items}
        for (name, item), is_new in zip(items.items(), is_written, strict=True):
            if item is None:
                if expected[name]:
                    self.model.kept.pop((ITEMS, name), None)
                continue
            assert is_new == expected[name]
            if is_new:
                self.model.keep(ITEMS, name, KEPT_ITEMS if name in kept else ITEMS, item, replaces=True)
        self.model.trim(ITEMS)
        self.check_values()
        changed = [from_json(body)[0] for *_, body in self.harness.run(store.read_items(self.looked_us))]
        of_items = sorted((one.number, name) for (owner, name), one in self.model.kept.items() if owner == ITEMS)
        assert changed == [name for number, name in of_items if number > self.looked_number]

    def check_day(self, us: int | None, day: int) -> None:
        """Check that a time of the store is that of a day."""
        assert us is not None
        assert round((log.now_us() - us) / DAY_US) == self.model.day - day

    def check_values(self) -> None:
        """Check the items, the most recently put last, and the item lists."""
        new, kept, use = self.harness.run(read_all_items(self.harness.store.log))
        items = new | kept
        expected = {key: one for key, one in self.model.kept.items() if one.record is not None}
        of_items = [(one.kind, one.number, name) for (owner, name), one in expected.items() if owner == ITEMS]
        assert list(items) == [name for _, _, name in sorted(of_items)]  # new ones first
        assert all(item == expected[ITEMS, name].record for name, item in items.items())
        assert use == ItemUse()
        lists = {name: one.record for (owner, name), one in expected.items() if owner == LISTS}
        assert self.harness.run(self.harness.store.read_lists()) == lists

    @invariant()
    def check_users(self) -> None:
        asked = [*USERS, "stranger", "a", "u"]
        for user, found in zip(asked, self.harness.run(self.harness.store.read(asked)), strict=True):
            self.check_user(user, found)
            self.model.renew(user)

    def check_user(self, user: str, found: StoredUser) -> None:
        """Check everything that the store answers about a user."""
        members = self.model.find_members(user)
        if not self.model.seen.keys() & set(members):
            assert found == StoredUser()
            return
        kept, beyond = self.model.select(members)
        self.check_day(found.first_us, min(self.model.first[member] for member in members))
        signals: dict[str, Any] = {}
        for one in kept:
            signals |= one.record.signals if isinstance(one.record, Profile) else {}
        assert (found.profile.signals if found.profile else {}) == signals
        told = {one.record.list_id for one in kept if one.kind == "shown"} if len(members) > 1 else set()
        shown = [one for one in kept if one.kind == "list"]
        expected = {
            "events": [one for one in kept if one.kind in ("use", "shown")],
            "lists": [
                replace(one, record=replace(one.record, is_told=one.record.is_told or one.record.list_id in told))
                for one in shown
            ],
            "assignments": [one for one in kept if one.kind == "assignment"],
        }
        for name, of_name in expected.items():
            assert [describe(one) for one in getattr(found, name)] == [describe(one.record) for one in of_name], name
        for us, one in zip(found.received_us, [*expected["events"], *expected["lists"]], strict=True):
            self.check_day(us, one.day)
        for times in ([one.received_us for one in found.events], [one.received_us for one in found.lists]):
            assert times == sorted(set(times))
        assert found.person_id == (members[0] if len(members) > 1 else None)
        assert set(found.guest_ids) == set(members[1:])
        assert found.n_left_out == len(beyond)

    def teardown(self) -> None:
        self.harness.close()


def test_a_store_answers_as_a_dictionary_does(make_log: MakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_NEW", CAPS[ITEMS])
    run_state_machine_as_test(
        lambda: StoreMachine(make_log),  # type: ignore[arg-type]
        settings=settings(
            max_examples=12, stateful_step_count=25, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        ),
    )
