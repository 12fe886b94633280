"""Incremental export of the store as tables for `check` and `train`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.errors import ConfigError
from firstday.features.impressions import Impression
from firstday.serve.store.base import Log, Retention, StoredUser, assemble, now_us, to_time, to_us

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
    **dict.fromkeys(("profiles", "strangers"), USERS),
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
    interactions, assignments
        Number of new rows, picks excluded.
    users
        Number of users who are new or have a new profile.
    """

    until: datetime
    interactions: int = 0
    users: int = 0
    assignments: int = 0


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
    begin = _begin(out, since)
    until_us, retention_us = await log.find_facts()
    until = to_time(until_us)
    if until_us and until < begin:
        raise ConfigError(
            f"{out}: has data up to {begin:%Y-%m-%d %H:%M:%S}, but this store ends at {until:%Y-%m-%d %H:%M:%S}; give "
            "its newest copy, or another folder."
        )
    oldest_us = Retention(1, retention_us).oldest_us(now_us())
    run = _Run(out, to_us(begin), until_us)
    async for owners in log.find_owners(run.since_us):
        for user_id, entries in zip(owners, await log.read(owners), strict=True):
            run.take(user_id, assemble(entries, oldest_us))
    done = run.publish()
    _write_state(out, max(until, begin))
    return done


def _begin(out: Path, since: datetime | None) -> datetime:
    """Return the time up to which the tables go; create the folder for a first export."""
    try:
        return datetime.fromisoformat(json.loads((out / STATE).read_text(encoding="utf-8"))["until"])
    except FileNotFoundError:
        foreign = [name for name in TABLES if (out / name).exists() or any(out.glob(f"{name}.*"))]
        if foreign:
            raise ConfigError(f"{out}: has tables from another source ({foreign[0]}); give another folder.") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{out / STATE}: is damaged; export into another folder.") from None
    out.mkdir(parents=True, exist_ok=True)
    begin = since or datetime.fromtimestamp(0, UTC)
    _write_state(out, begin)
    return begin


def _write_state(out: Path, until: datetime) -> None:
    staged = out / f"{STATE}.new"
    staged.write_text(json.dumps({"until": str(until)}) + "\n", encoding="utf-8")
    staged.replace(out / STATE)


class _Run:
    """Rows and staged files of one run."""

    def __init__(self, out: Path, since_us: int, until_us: int) -> None:
        self.since_us, self._out, self._until_us = since_us, out, until_us
        self._rows: dict[str, list[Any]] = {name: [] for name in ROWS}
        self._staged: dict[Path, Path] = {}  # final path -> staged path
        self._done = Exported(to_time(until_us))

    def _is_new(self, us: int) -> bool:
        """Return whether a store time is in the interval of this run."""
        return self.since_us < us <= self._until_us

    def take(self, user_id: str, user: StoredUser) -> None:
        """Collect a user's new rows."""
        rows, profile = self._rows, user.profile
        if profile is not None and self._is_new(profile.put_us):
            known = {"user_id": user_id, "registered_at": user.first_us, "age": profile.age}
            rows["profiles"].append({**profile.columns, **known})
            rows["friends"] += [(user_id, friend) for friend in dict.fromkeys(profile.friends)]
            rows["picks"] += [_use(user_id, *action, profile.put_us) for action in profile.actions]
            rows["picks"] += _show(user_id, profile.put_us, profile.shown)
        elif user.first_us is not None:
            rows["strangers"].append((user_id, user.first_us, None))
        rows["assignments"] += [
            (user_id, given.experiment, given.variant, given.assigned_us)
            for given in user.assignments
            if self._is_new(given.assigned_us)
        ]
        for shown in user.find_recorded():
            if self._is_new(shown.received_us):
                rows["lists"] += _show(user_id, shown.received_us, shown.impressions)
        for event, impression in user.find_seen():
            if self._is_new(event.received_us):
                rows["events"] += _show(user_id, event.time_us, [impression])
                rows["told"].append((user_id, event.list_id))
        rows["told"] += [(user_id, shown.list_id) for shown in user.lists if shown.is_told]
        rows["events"] += [
            _use(user_id, event.signal, event.entity, event.entity_id, event.time_us, event.list_id)
            for event in user.events
            if self._is_new(event.received_us) and not event.is_impression
        ]
        self._write_interactions(ROWS_AT_ONCE)

    def _frame(self, name: str) -> pl.DataFrame:
        return pl.DataFrame(self._rows[name], ROWS[name], orient="row")

    def _stage(self, frame: pl.DataFrame, path: Path) -> None:
        """Write a table under a hidden name next to its final path."""
        self._staged[path] = path.with_name(f".{path.name}.new")
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(self._staged[path])

    def _write_interactions(self, at_least: int) -> None:
        """Stage a file of each kind of interaction with at least this many rows."""
        for name in ("events", "lists"):
            if len(self._rows[name]) >= at_least:
                path = self._out / "interactions" / f"{name}-{self.since_us:016}-{len(self._staged):04}.parquet"
                self._stage(self._frame(name), path)
                self._done.interactions += len(self._rows[name])
                self._rows[name].clear()

    def publish(self) -> Exported:
        """Move all files into place."""
        self._write_interactions(1)
        folder, told = self._out / "interactions", self._frame("told")
        new = {*folder.glob(f"*-{self.since_us:016}-*.parquet")}
        for path in {*folder.glob("lists-*.parquet")} - new if told.height else ():
            table = pl.read_parquet(path)
            kept = table.join(told, on=["user_id", "list_id"], how="anti", maintain_order="left")
            if kept.height < table.height:
                self._stage(kept, path)
        self._write_users()
        if self._rows["assignments"]:
            path, assigned = self._out / "assignments.parquet", self._frame("assignments")
            old = _read(path, assigned)
            table = pl.concat([old, assigned]).unique(["user_id", "experiment"], keep="first", maintain_order=True)
            self._done.assignments = table.height - old.height
            self._stage(table.sort("assigned_at", "user_id"), path)
        # Left over from an interrupted run.
        leftovers = new | {*folder.glob(".*.new"), *self._out.glob(".*.parquet.new")}
        for path in leftovers - self._staged.keys() - {*self._staged.values()}:
            path.unlink()
        for path, hidden in self._staged.items():
            hidden.replace(path)
        return self._done

    def _write_users(self) -> None:
        """Add new users; replace the profile, picks and friends of users with a new profile."""
        columns: dict[str, Any] = dict.fromkeys(chain(USERS, *self._rows["profiles"]), pl.String)
        profiles = pl.DataFrame(self._rows["profiles"], {**columns, **USERS})
        users_path = self._out / "users.parquet"
        known = pl.concat([_read(users_path, profiles).select("user_id"), profiles.select("user_id")])
        strangers = self._frame("strangers").join(known, on="user_id", how="anti")
        self._done.users = profiles.height + strangers.height
        is_kept = ~pl.col("user_id").is_in(profiles["user_id"].to_list())
        for path, new in (
            (users_path, pl.concat([profiles, strangers], how="diagonal")),
            (self._out / "friends.parquet", self._frame("friends")),
            (self._out / "interactions" / "picks.parquet", self._frame("picks")),
        ):
            old = _read(path, new)
            if new.height or (profiles.height and old.height):
                table = pl.concat([old.filter(is_kept), new], how="diagonal")
                self._stage(table.sort("user_id", maintain_order=True), path)


def _use(
    user_id: str, signal: str, entity: str, identity: str, time_us: int, list_id: str | None = None
) -> dict[str, Any]:
    """Return an interaction row; only items use the column `item_id`."""
    what = {"item_id": identity} if entity == ITEM else {"entity": entity, "entity_id": identity}
    return {"user_id": user_id, "signal": signal, "timestamp": time_us, "list_id": list_id, **what}


def _show(user_id: str, time_us: int, impressions: Iterable[Impression]) -> list[dict[str, Any]]:
    """Return impression rows."""
    return [{"user_id": user_id, "signal": SHOWN, "timestamp": time_us, **asdict(one)} for one in impressions]


def _read(path: Path, new: pl.DataFrame) -> pl.DataFrame:
    """Return a table of an earlier run; empty if there is none."""
    return pl.read_parquet(path) if path.exists() else new.clear()
