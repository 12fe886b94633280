"""What the service learned, as tables that `check` and `train` read; each run adds what is new since the last one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.errors import ConfigError
from firstday.features.impressions import Impression
from firstday.serve.store.base import Profile, ReadableLog, StoredUser, scan, to_time, to_us

STATE = ".export.json"
"""Beside the tables: up to when they hold what the store took. It is written last."""
TABLES = ("interactions", "users", "friends", "assignments")
ROWS_AT_ONCE = 1_000_000
"""Rows of a file, about: memory follows them."""

TIME = pl.Datetime("us", "UTC")
INTERACTIONS: Mapping[str, Any] = {
    **dict.fromkeys(("user_id", "item_id", "entity", "entity_id", "signal"), pl.String),
    "timestamp": TIME,
    "list_id": pl.String,
    "position": pl.Int64,
    "propensity": pl.Float64,
    "policy": pl.String,
}
FRIENDS: Mapping[str, Any] = dict.fromkeys(("user_id", "friend_id"), pl.String)
ASSIGNMENTS: Mapping[str, Any] = {**dict.fromkeys(("user_id", "experiment", "variant"), pl.String), "assigned_at": TIME}
USERS: Mapping[str, Any] = {"user_id": pl.String, "registered_at": TIME, "age": pl.Int64}
SEEN: Mapping[str, Any] = dict.fromkeys(("user_id", "list_id"), pl.String)


@dataclass
class Exported:
    """What one run wrote.

    Parameters
    ----------
    until
        All that the store took up to here is in the tables.
    uses, impressions, users, assignments
        How many of each were new; users: new, or with a new profile.
    superseded
        Impressions of earlier runs that were removed, since the caller has now said what was seen of their list.
    """

    until: datetime
    uses: int = 0
    impressions: int = 0
    users: int = 0
    assignments: int = 0
    superseded: int = 0


async def export(log: ReadableLog, out: Path, since: datetime | None = None) -> Exported:
    """Write what a store took since the last run, or all of it, as tables.

    A run that ends early has changed nothing that the next one does not write again: files are staged, put in place at
    the end, and named after the time since which they hold something; when that is done, the state is written.

    Parameters
    ----------
    log
        What to read; others may write to it meanwhile.
    out
        The folder of tables; made if missing.
    since
        Leave out what the store took before, where there was no earlier run into this folder.

    Returns
    -------
    Exported
        What was written.

    Raises
    ------
    ConfigError
        The folder holds what was exported of a store that was further on, or tables of another origin.
    StoreError
        The store cannot be read.
    """
    since_us = _begin(out, since)
    until_us, _ = await log.find_facts()
    if 0 < until_us < since_us:
        raise ConfigError(
            f"{out}: goes up to {to_time(since_us):%Y-%m-%d %H:%M:%S}, further than this store "
            f"({to_time(until_us):%Y-%m-%d %H:%M:%S}); give its newest copy, or another folder."
        )
    run = _Run(out, since_us, until_us)
    async for part in scan(log, since_us):
        for user_id, user in part:
            run.take(user_id, user)
    return run.publish()


def _begin(out: Path, since: datetime | None) -> int:
    """Return up to when the tables go, microseconds since 1970; make the folder where nothing was exported."""
    try:
        return int(json.loads((out / STATE).read_text(encoding="utf-8"))["until_us"])
    except FileNotFoundError:
        foreign = [name for name in TABLES if (out / name).exists() or any(out.glob(f"{name}.*"))]
        if foreign:
            raise ConfigError(f"{out}: has tables that are no export ({foreign[0]}); give another folder.") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{out / STATE}: is damaged; export into another folder.") from None
    out.mkdir(parents=True, exist_ok=True)
    since_us = 0 if since is None else to_us(since)
    _write_state(out, since_us)
    return since_us


def _write_state(out: Path, until_us: int) -> None:
    staged = out / f"{STATE}.new"
    staged.write_text(json.dumps({"until_us": until_us, "until": str(to_time(until_us))}) + "\n", encoding="utf-8")
    staged.replace(out / STATE)


@dataclass
class _Run:
    """Rows of one run, and the files that they go to."""

    out: Path
    since_us: int
    until_us: int
    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {"events": [], "lists": []})
    users: dict[str, tuple[int, Profile]] = field(default_factory=dict)
    """When each was first seen, and the profile, empty where none is new."""
    assignments: list[tuple[Any, ...]] = field(default_factory=list)
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    """User and id of each earlier list whose impressions the caller has reported since."""
    staged: dict[Path, Path] = field(default_factory=dict)
    """Where each file goes in the end, and where it is until then."""

    def __post_init__(self) -> None:
        self.done = Exported(to_time(self.until_us))

    def take(self, user_id: str, user: StoredUser) -> None:
        """Take what is new of a user."""

        def is_new(us: int) -> bool:
            return self.since_us < us <= self.until_us

        if user.first_us is not None and user.first_us <= self.until_us:
            has_news = user.profile is not None and is_new(user.profile.put_us)
            self.users[user_id] = user.first_us, user.profile if user.profile and has_news else Profile()
        self.assignments += [
            (user_id, given.experiment, given.variant, given.assigned_us)
            for given in user.assignments
            if is_new(given.assigned_us)
        ]
        lists = [
            _show(user_id, impression, shown.received_us)
            for shown in user.find_recorded()
            if is_new(shown.received_us)
            for impression in shown.to_impressions()
        ]
        seen = [event for event in user.find_seen() if is_new(event.received_us)]
        uses = [event for event in user.events if is_new(event.received_us) and not event.is_impression]
        self.done.uses += len(uses)
        self.done.impressions += len(lists) + len(seen)
        self.rows["lists"] += lists
        self.rows["events"] += [_show(user_id, event.to_impression(), event.time_us) for event in seen]
        self.rows["events"] += [
            _row(user_id, one.signal, one.entity, one.entity_id, one.time_us, one.list_id) for one in uses
        ]
        kept = {shown.list_id for shown in user.lists}
        told = [shown.list_id for shown in user.lists if shown.is_told and shown.received_us <= self.since_us]
        told += [one.list_id for one in seen if one.list_id is not None and one.list_id not in kept]
        self.seen += [(user_id, list_id) for list_id in told]
        self._write_rows(ROWS_AT_ONCE)

    def _stage(self, frame: pl.DataFrame, path: Path) -> None:
        """Write a table under a hidden name beside its place."""
        self.staged[path] = path.with_name(f".{path.name}.new")
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(self.staged[path])

    def _write_rows(self, at_least: int) -> None:
        """Stage a file of each kind of rows of which there are so many."""
        for name, rows in self.rows.items():
            if len(rows) >= at_least:
                path = self.out / "interactions" / f"{name}-{self.since_us:016}-{len(self.staged):04}.parquet"
                self._stage(pl.DataFrame(rows, INTERACTIONS, orient="row"), path)
                rows.clear()

    def publish(self) -> Exported:
        """Put everything in place, and then say so."""
        self._write_rows(1)
        folder = self.out / "interactions"
        new = {*folder.glob(f"*-{self.since_us:016}-*.parquet")}
        if self.seen:
            self._remove_superseded({*folder.glob("lists-*.parquet")} - new)
        if self.users:
            self._write_users()
        if self.assignments:
            path = self.out / "assignments.parquet"
            old, added = _read(path, ASSIGNMENTS), pl.DataFrame(self.assignments, ASSIGNMENTS, orient="row")
            table = pl.concat([old, added]).unique(["user_id", "experiment"], keep="first", maintain_order=True)
            self.done.assignments = table.height - old.height
            self._stage(table.sort("assigned_at", "user_id"), path)
        # What a run that ended early has left.
        leftovers = new | {*folder.glob(".*.new"), *self.out.glob(".*.parquet.new")}
        for path in leftovers - self.staged.keys() - {*self.staged.values()}:
            path.unlink()
        for path, hidden in self.staged.items():
            hidden.replace(path)
        _write_state(self.out, max(self.until_us, self.since_us))
        return self.done

    def _remove_superseded(self, paths: set[Path]) -> None:
        """Remove recorded lists from earlier files whose impressions the caller has reported since."""
        seen = pl.DataFrame(self.seen, SEEN, orient="row")
        for path in paths:
            table = pl.read_parquet(path)
            kept = table.join(seen, on=list(SEEN), how="anti", maintain_order="left")
            if kept.height < table.height:
                self.done.superseded += table.height - kept.height
                self._stage(kept, path)

    def _write_users(self) -> None:
        """Add new users, and replace profiles, picks and friends of users with a new profile."""
        profiles = {user_id: profile for user_id, (_, profile) in self.users.items() if profile.put_us}
        columns = sorted({name for profile in profiles.values() for name in profile.columns} - set(USERS))
        rows = [
            (user_id, first_us, profile.age, *map(profile.columns.get, columns))
            for user_id, (first_us, profile) in self.users.items()
        ]
        new = pl.DataFrame(rows, {**USERS, **dict.fromkeys(columns, pl.String)}, orient="row")
        path = self.out / "users.parquet"
        # A new profile replaces the old row; who has none and was there before stays as before.
        is_replaced = pl.col("user_id").is_in(list(profiles))
        old = _read(path, USERS)
        kept = old.filter(~is_replaced)
        added = new.join(kept, on="user_id", how="anti")
        times = pl.concat([frame.select("user_id", "registered_at") for frame in (old, new)])
        times = times.group_by("user_id").agg(pl.col("registered_at").min())
        table = pl.concat([kept, added], how="diagonal").update(times, on="user_id")
        self.done.users = added.height
        self._stage(table.sort("user_id"), path)
        friends = [
            (user_id, friend) for user_id, profile in profiles.items() for friend in dict.fromkeys(profile.friends)
        ]
        picks = [
            _row(user_id, *action, profile.put_us)
            for user_id, profile in profiles.items()
            for action in [*dict.fromkeys(profile.pick_actions), *profile.interactions]
        ]
        picks += [
            _show(user_id, impression, profile.put_us)
            for user_id, profile in profiles.items()
            for impression in profile.shown
        ]
        for path, schema, replacing in (
            (self.out / "friends.parquet", FRIENDS, friends),
            (self.out / "interactions" / "picks.parquet", INTERACTIONS, picks),
        ):
            old = _read(path, schema)
            table = pl.concat([old.filter(~is_replaced), pl.DataFrame(replacing, schema, orient="row")])
            if table.height or old.height:
                self._stage(table.sort("user_id", maintain_order=True), path)


def _row(
    user_id: str, signal: str, entity: str, identity: str, time_us: int, list_id: str | None = None
) -> tuple[Any, ...]:
    """Return a row of interactions: an item's id has a column of its own."""
    columns = (identity, None, None) if entity == ITEM else (None, entity, identity)
    return (user_id, *columns, signal, time_us, list_id, None, None, None)


def _show(user_id: str, one: Impression, time_us: int) -> tuple[Any, ...]:
    """Return an impression's row."""
    row = _row(user_id, SHOWN, ITEM, one.item_id, time_us, one.list_id)
    return (*row[:-3], one.position, one.propensity, one.policy)


def _read(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a table of an earlier run, empty where there is none."""
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=schema)
