"""Incremental export of the store to tables for `check` and `train`."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import chain, product
from pathlib import Path
from typing import Any

import polars as pl

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.features.wire_types import Impression, Interaction
from firstday.files import write_file
from firstday.recommend.new_items.attributes import set_counts, tabulate
from firstday.serve.store.log import Log
from firstday.serve.store.records import StoredEvent, StoredUser, to_time, to_us
from firstday.serve.store.store import read_all_items, scan_changed
from firstday.tables.schema import RECOMMENDABLE

STATE = ".export.json"
"""State file next to the tables, written last: the store time up to which they are complete."""
ROWS_AT_ONCE = 400_000
"""Approximate rows per file; bounds memory."""

INTERACTIONS = (
    "user_id",
    "item_id",
    "entity",
    "entity_id",
    "signal",
    "timestamp",
    "list_id",
    "position",
    "propensity",
    "policy",
)
COLUMNS = {
    **dict.fromkeys(("events", "lists", "picks"), INTERACTIONS),
    "no_profile": ("user_id", "registered_at", "age", "guest_ids"),
    "friends": ("user_id", "friend_id"),
    "assignments": ("user_id", "experiment", "variant", "assigned_at"),
    "reported": ("user_id", "list_id"),
    "guests": ("user_id", "guest_id"),
}
"""Columns of the rows that a run collects: `no_profile` for users without a new profile, `reported` for lists whose
impressions were reported as events, `guests` for the guests of a person."""
COLUMN_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("timestamp", "registered_at", "assigned_at"), pl.Datetime("us", "UTC")),
    **dict.fromkeys(("position", "age"), pl.Int64),
    "guest_ids": pl.List(pl.String),
    "propensity": pl.Float64,
}
"""Types of columns; all others are text."""


@dataclass
class ExportSummary:
    """Number of rows that a run added, and the store time up to which the tables are complete; picks do not count."""

    until: datetime
    interactions: int = 0
    users: int = 0
    assignments: int = 0


async def export(log: Log, out: Path, since: datetime | None = None) -> ExportSummary:
    """Export everything the store received since the last run, or since a time (`since`) into a new folder, as tables.

    An interrupted run is safe: the next run writes the same rows again. Files are staged, moved into place at the end,
    and named after the start time of the run's interval; the state is written last. The log may be written meanwhile.
    Only the user who exports can read the files.

    Rows keep the id under which they were received; `users.guest_ids` names the guests who became a user.

    Raises `ConfigError` if the folder contains an export that is ahead of this store, or tables from another source.
    """
    start = _begin(out, since)
    until_us, retention_us = await log.find_facts()
    until = to_time(until_us)
    if until_us and until < start:
        raise ConfigError(
            f"{out}: has data up to {start:%Y-%m-%d %H:%M:%S}, but this store ends at {until:%Y-%m-%d %H:%M:%S}; give "
            "its newest copy, or another folder."
        )
    log.rules = replace(log.rules, retention_us=retention_us)
    run = _Run(out, to_us(start), until_us)
    async for user_id, members, person in scan_changed(log, run.since_us):
        run.take(user_id, members, person)
    new, kept, use = await read_all_items(log)
    table = tabulate([{**item.row, "item_id": item_id} for item_id, item in new.items()])
    run.stage("new_items", _drop_empty(set_counts(table, use.counts)))
    rows = [{RECOMMENDABLE: False} if item.withdrawn_us else item.values for item in kept.values()]
    updates = tabulate([{**row, "item_id": item_id} for item_id, row in zip(kept, rows, strict=True)])
    run.stage("item_updates", _drop_empty(updates.drop("vector")))
    done = run.publish()
    _write_state(out, max(until, start))
    return done


def _drop_empty(items: pl.DataFrame) -> pl.DataFrame:
    """Return a table of items without the columns that have no value."""
    return items.select(column for column in items if column.name == "item_id" or column.count())


def _begin(out: Path, since: datetime | None) -> datetime:
    """Return the time up to which the tables are complete; a first export creates the folder."""
    try:
        return datetime.fromisoformat(json.loads((out / STATE).read_text(encoding="utf-8"))["until"])
    except FileNotFoundError:
        for name in ("interactions", "users", "friends", "assignments"):
            if any(out.glob(f"{name}*")):
                raise ConfigError(f"{out}: has tables from another source ({name}); give another folder.") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{out / STATE}: is damaged; export into another folder.") from None
    out.mkdir(parents=True, exist_ok=True)
    start = since or datetime.fromtimestamp(0, UTC)
    _write_state(out, start)
    return start


def _write_state(out: Path, until: datetime) -> None:
    write_file(out / STATE, json.dumps({"until": str(until)}) + "\n")


class _Run:
    """Rows and staged files of one run."""

    def __init__(self, out: Path, since_us: int, until_us: int) -> None:
        self.since_us, self._out, self._until_us = since_us, out, until_us
        self._rows: defaultdict[str, list[Any]] = defaultdict(list)
        self._staging = out / ".staging"
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(0o700)
        self._summary = ExportSummary(to_time(until_us))

    def _is_new(self, us: int) -> bool:
        """Return whether a store time is in the interval of this run."""
        return self.since_us < us <= self._until_us

    def take(self, user_id: str, members: Mapping[str, StoredUser], person: StoredUser) -> None:
        """Collect the new rows of one of the members of a person."""
        rows = self._rows
        user = members[user_id]
        own_us = user.received_between(self.since_us, self._until_us)
        rows["guests"] += [(person.person_id, guest_id) for guest_id in person.guest_ids]
        profile = user.profile
        if profile is not None and self._is_new(profile.put_us):
            signals = Signals.of(profile.signals)
            rows["profiles"].append(
                {
                    **signals.groups,
                    "user_id": user_id,
                    "registered_at": user.first_us,
                    "age": signals.age,
                    "guest_ids": None,
                }
            )
            rows["friends"] += [(user_id, friend) for friend in dict.fromkeys(signals.friends)]
            rows["picks"] += [_use(user_id, action, profile.put_us) for action in signals.interactions]
            rows["picks"] += [_show(user_id, profile.put_us, impression) for impression in signals.shown]
        elif user.first_us is not None:
            rows["no_profile"].append((user_id, user.first_us, None, None))
        rows["assignments"] += [
            (user_id, assignment.experiment, assignment.variant, assignment.assigned_us)
            for assignment in user.assignments
            if self._is_new(assignment.assigned_us)
        ]
        told: list[str | None] = [shown.list_id for shown in person.lists if shown.is_told]
        for source, impression in person.find_impressions():
            if source.received_us not in own_us:
                continue
            if isinstance(source, StoredEvent):
                rows["events"].append(_show(user_id, source.time_us, impression))
                told.append(source.list_id)
            else:
                rows["lists"].append(_show(user_id, source.received_us, impression))
        rows["reported"] += product(members, told)
        rows["events"] += [
            _use(user_id, event, event.time_us, event.list_id)
            for event in person.events
            if event.received_us in own_us and not event.is_impression
        ]
        self._write_interactions(ROWS_AT_ONCE)

    def _frame(self, name: str) -> pl.DataFrame:
        schema = {column: COLUMN_TYPES.get(column, pl.String) for column in COLUMNS[name]}
        return pl.DataFrame(self._rows[name], schema, orient="row")

    def stage(self, name: str, table: pl.DataFrame) -> None:
        """Write a table to the staging folder, unless it is empty and not in place."""
        path = self._staging / f"{name}.parquet"
        if table.height or (self._out / f"{name}.parquet").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            table.write_parquet(path)

    def _read(self, name: str, new: pl.DataFrame) -> pl.DataFrame:
        """Return a table of an earlier run, or an empty one with the columns of `new`."""
        path = self._out / f"{name}.parquet"
        return pl.read_parquet(path) if path.exists() else new.clear()

    def _write_interactions(self, at_least: int) -> None:
        """Stage a file of each kind of interaction with at least this many rows."""
        for name in ("events", "lists"):
            if len(self._rows[name]) >= at_least:
                number = f"{self.since_us:016}-{self._summary.interactions:09}"
                self.stage(f"interactions/{name}-{number}", self._frame(name))
                self._summary.interactions += len(self._rows[name])
                self._rows[name].clear()

    def publish(self) -> ExportSummary:
        """Complete all tables, and move all files into place."""
        self._write_interactions(1)
        folder = self._out / "interactions"
        reported = self._frame("reported")
        interrupted = {*folder.glob(f"*-{self.since_us:016}-*.parquet")}
        for path in {*folder.glob("lists-*.parquet")} - interrupted if reported.height else ():
            table = pl.read_parquet(path)
            remaining = table.join(reported, on=["user_id", "list_id"], how="anti", maintain_order="left")
            if remaining.height < table.height:
                self.stage(f"interactions/{path.stem}", remaining)
        self._write_users()
        assigned = self._frame("assignments")
        old = self._read("assignments", assigned)
        table = pl.concat([old, assigned]).unique(["user_id", "experiment"], keep="first", maintain_order=True)
        self._summary.assignments = table.height - old.height
        self.stage("assignments", table.sort("assigned_at", "user_id"))
        for path in interrupted:
            path.unlink()
        folder.mkdir(0o700, exist_ok=True)
        for path in self._staging.rglob("*.parquet"):
            path.chmod(0o600)
            path.replace(self._out / path.relative_to(self._staging))
        shutil.rmtree(self._staging, ignore_errors=True)
        return self._summary

    def _write_users(self) -> None:
        """Add new users; replace the profile, picks and friends of users with a new profile."""
        new = self._frame("no_profile")
        columns = dict.fromkeys(chain(new.columns, *self._rows["profiles"]), pl.String)
        profiles = pl.DataFrame(self._rows["profiles"], {**columns, **new.schema})
        old = self._read("users", profiles)
        rows = pl.concat([new, old, profiles], how="diagonal")
        old_guests = rows.select("user_id", guest_id="guest_ids").explode("guest_id").drop_nulls()
        guests = pl.concat([old_guests, self._frame("guests")]).unique("guest_id", keep="last").sort("guest_id")
        users = rows.unique("user_id", keep="last").drop("guest_ids").sort("user_id")
        self._summary.users = users.height - old.height
        if guests.height:
            guest_ids = guests.group_by("user_id").agg(guest_ids="guest_id")
            users = users.join(guest_ids, on="user_id", how="left", maintain_order="left")
        self.stage("users", users)
        is_unchanged = ~pl.col("user_id").is_in(profiles["user_id"].to_list())
        for name, new in (("friends", self._frame("friends")), ("interactions/picks", self._frame("picks"))):
            table = pl.concat([self._read(name, new).filter(is_unchanged), new])
            self.stage(name, table.sort("user_id", maintain_order=True))


def _use(user_id: str, action: Interaction, time_us: int, list_id: str | None = None) -> dict[str, Any]:
    """Return an interaction row; only items use the column `item_id`."""
    identity = action.entity_id
    target = {"item_id": identity} if action.entity == ITEM else {"entity": action.entity, "entity_id": identity}
    return {"user_id": user_id, "signal": action.signal, "timestamp": time_us, "list_id": list_id, **target}


def _show(user_id: str, time_us: int, impression: Impression) -> dict[str, Any]:
    """Return an impression row."""
    return {"user_id": user_id, "signal": SHOWN, "timestamp": time_us, **asdict(impression)}
