"""Incremental export of the store as tables for `check` and `train`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.errors import ConfigError
from firstday.features.impressions import Impression
from firstday.serve.store.base import Log, StoredUser, scan, to_time, to_us

STATE = ".export.json"
"""State file next to the tables: the store time up to which they are complete. It is written last."""
TABLES = ("interactions", "users", "friends", "assignments")
ROWS_AT_ONCE = 400_000
"""Approximate rows per file; bounds memory."""

TIME = pl.Datetime("us", "UTC")
INTERACTIONS = {
    **dict.fromkeys(("user_id", "item_id", "entity", "entity_id", "signal"), pl.String),
    "timestamp": TIME,
    "list_id": pl.String,
    "position": pl.Int64,
    "propensity": pl.Float64,
    "policy": pl.String,
}
USERS: Mapping[str, Any] = {"user_id": pl.String, "registered_at": TIME, "age": pl.Int64}
ROWS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("events", "lists", "picks"), INTERACTIONS),
    "strangers": USERS,
    "friends": dict.fromkeys(("user_id", "friend_id"), pl.String),
    "assignments": {**dict.fromkeys(("user_id", "experiment", "variant"), pl.String), "assigned_at": TIME},
    "told": dict.fromkeys(("user_id", "list_id"), pl.String),
}
"""Rows that a run collects. `strangers`: users without a new profile. `told`: lists with reported impressions."""


@dataclass
class Exported:
    """Summary of an export run.

    Parameters
    ----------
    until
        Store time up to which the tables are complete.
    uses, impressions, assignments
        Number of new rows.
    users
        Number of users who are new or have a new profile.
    superseded
        Number of impressions of earlier runs removed because the caller has since reported what was seen of their list.
    """

    until: datetime
    uses: int = 0
    impressions: int = 0
    users: int = 0
    assignments: int = 0
    superseded: int = 0


async def export(log: Log, out: Path, since: datetime | None = None) -> Exported:
    """Export what the store received since the last run as tables.

    An interrupted run is safe: the next one writes the same rows again. Files are staged, moved into place at the end,
    and named after the start time of the run's interval; the state is written last.

    Parameters
    ----------
    log
        The log to read; concurrent writes are allowed.
    out
        Folder of tables; created if missing.
    since
        Start of the first run into this folder; None: everything. Later runs ignore it.

    Raises
    ------
    ConfigError
        The folder contains an export that is ahead of this store, or tables from another source.
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
    """Return the time up to which the tables go, in microseconds since 1970; create the folder for a first export."""
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


class _Run:
    """Rows and staged files of one run."""

    def __init__(self, out: Path, since_us: int, until_us: int) -> None:
        self.out, self.since_us, self.until_us = out, since_us, until_us
        self.rows: dict[str, list[Any]] = {name: [] for name in ROWS}
        self.profiles: list[dict[str, Any]] = []
        self.staged: dict[Path, Path] = {}  # final path -> staged path
        self.done = Exported(to_time(until_us))

    def is_new(self, us: int) -> bool:
        """Return whether a store time is in the interval of this run."""
        return self.since_us < us <= self.until_us

    def take(self, user_id: str, user: StoredUser) -> None:
        """Collect a user's new rows."""
        rows, profile = self.rows, user.profile
        if profile is not None and self.is_new(profile.put_us):
            known = {"user_id": user_id, "registered_at": user.first_us, "age": profile.age}
            self.profiles.append({**known, **profile.columns, **known})
            rows["friends"] += [(user_id, friend) for friend in dict.fromkeys(profile.friends)]
            rows["picks"] += [_use(user_id, *action, profile.put_us) for action in profile.actions]
            rows["picks"] += [_show(user_id, one, profile.put_us) for one in profile.shown]
        elif user.first_us is not None:
            rows["strangers"].append((user_id, user.first_us, None))
        rows["assignments"] += [
            (user_id, given.experiment, given.variant, given.assigned_us)
            for given in user.assignments
            if self.is_new(given.assigned_us)
        ]
        lists = [
            _show(user_id, impression, shown.received_us)
            for shown in user.find_recorded()
            if self.is_new(shown.received_us)
            for impression in shown.impressions
        ]
        seen = [event for event in user.find_seen() if self.is_new(event.received_us)]
        uses = [
            {
                **_use(user_id, event.signal, event.entity, event.entity_id, event.time_us),
                "list_id": event.list_id,
            }
            for event in user.events
            if self.is_new(event.received_us) and not event.is_impression
        ]
        rows["lists"] += lists
        rows["events"] += uses + [_show(user_id, event.to_impression(), event.time_us) for event in seen]
        told = [shown.list_id for shown in user.lists if shown.is_told]
        rows["told"] += [(user_id, list_id) for list_id in (*told, *(event.list_id for event in seen)) if list_id]
        self.done.uses += len(uses)
        self.done.impressions += len(lists) + len(seen)
        self._write_interactions(ROWS_AT_ONCE)

    def _frame(self, name: str) -> pl.DataFrame:
        return pl.DataFrame(self.rows[name], ROWS[name], orient="row")

    def _stage(self, frame: pl.DataFrame, path: Path) -> None:
        """Write a table under a hidden name next to its final path."""
        self.staged[path] = path.with_name(f".{path.name}.new")
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(self.staged[path])

    def _write_interactions(self, at_least: int) -> None:
        """Stage a file of each kind of interaction with at least this many rows."""
        for name in ("events", "lists"):
            if len(self.rows[name]) >= at_least:
                path = self.out / "interactions" / f"{name}-{self.since_us:016}-{len(self.staged):04}.parquet"
                self._stage(self._frame(name), path)
                self.rows[name].clear()

    def publish(self) -> Exported:
        """Move all files into place, then write the state."""
        self._write_interactions(1)
        folder = self.out / "interactions"
        new = {*folder.glob(f"*-{self.since_us:016}-*.parquet")}
        for path in {*folder.glob("lists-*.parquet")} - new if self.rows["told"] else ():
            table = pl.read_parquet(path)
            kept = table.join(self._frame("told"), on=["user_id", "list_id"], how="anti", maintain_order="left")
            if kept.height < table.height:
                self.done.superseded += table.height - kept.height
                self._stage(kept, path)
        self._write_users()
        if self.rows["assignments"]:
            path = self.out / "assignments.parquet"
            old = _read(path, ROWS["assignments"])
            table = pl.concat([old, self._frame("assignments")])
            table = table.unique(["user_id", "experiment"], keep="first", maintain_order=True)
            self.done.assignments = table.height - old.height
            self._stage(table.sort("assigned_at", "user_id"), path)
        # Left over from an interrupted run.
        leftovers = new | {*folder.glob(".*.new"), *self.out.glob(".*.parquet.new")}
        for path in leftovers - self.staged.keys() - {*self.staged.values()}:
            path.unlink()
        for path, hidden in self.staged.items():
            hidden.replace(path)
        _write_state(self.out, max(self.until_us, self.since_us))
        return self.done

    def _write_users(self) -> None:
        """Add new users; replace the profile, picks and friends of users with a new profile."""
        path = self.out / "users.parquet"
        columns: dict[str, Any] = dict.fromkeys(chain(USERS, *self.profiles), pl.String)
        old, new = _read(path, USERS), pl.DataFrame(self.profiles, {**columns, **USERS})
        is_replaced = pl.col("user_id").is_in(new["user_id"].to_list())
        # The last row of a user wins: new profile over old profile over stranger.
        rows = pl.concat([self._frame("strangers"), old, new], how="diagonal").group_by("user_id")
        table = rows.agg(pl.col("registered_at").min(), pl.exclude("user_id", "registered_at").last())
        self.done.users = table.height - old.filter(~is_replaced).height
        if self.done.users:
            self._stage(table.sort("user_id"), path)
        for name, path in (("friends", self.out), ("picks", self.out / "interactions")):
            path /= f"{name}.parquet"
            old = _read(path, ROWS[name])
            table = pl.concat([old.filter(~is_replaced), self._frame(name)])
            if new.height and (table.height or old.height):
                self._stage(table.sort("user_id", maintain_order=True), path)


def _use(user_id: str, signal: str, entity: str, identity: str, time_us: int) -> dict[str, Any]:
    """Return an interaction row; only items use the column `item_id`."""
    what = {"item_id": identity} if entity == ITEM else {"entity": entity, "entity_id": identity}
    return {"user_id": user_id, "signal": signal, "timestamp": time_us, **what}


def _show(user_id: str, one: Impression, time_us: int) -> dict[str, Any]:
    """Return an impression row."""
    return {"user_id": user_id, "signal": SHOWN, "timestamp": time_us, **asdict(one)}


def _read(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a table of an earlier run; empty if there is none."""
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=schema)
