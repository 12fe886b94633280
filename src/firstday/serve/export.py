"""What the service learned, as tables that `check` and `train` read; each run adds what is new since the last one."""

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
"""Beside the tables: up to when they hold what the store took. It is written last."""
TABLES = ("interactions", "users", "friends", "assignments")
ROWS_AT_ONCE = 400_000
"""Rows of a file, about: memory follows them."""

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
"""What a run collects. Strangers have no new profile; of what is told the caller has said what was seen."""


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


async def export(log: Log, out: Path, since: datetime | None = None) -> Exported:
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


class _Run:
    """Rows of one run, and the files that they go to."""

    def __init__(self, out: Path, since_us: int, until_us: int) -> None:
        self.out, self.since_us, self.until_us = out, since_us, until_us
        self.rows: dict[str, list[Any]] = {name: [] for name in ROWS}
        self.profiles: list[dict[str, Any]] = []
        self.staged: dict[Path, Path] = {}  # where each file goes in the end, and where it is until then
        self.done = Exported(to_time(until_us))

    def is_new(self, us: int) -> bool:
        """Tell whether this run is the one to write what the store took then."""
        return self.since_us < us <= self.until_us

    def take(self, user_id: str, user: StoredUser) -> None:
        """Take what is new of a user."""
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
        """Write a table under a hidden name beside its place."""
        self.staged[path] = path.with_name(f".{path.name}.new")
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(self.staged[path])

    def _write_interactions(self, at_least: int) -> None:
        """Stage a file of each kind of rows of which there are so many."""
        for name in ("events", "lists"):
            if len(self.rows[name]) >= at_least:
                path = self.out / "interactions" / f"{name}-{self.since_us:016}-{len(self.staged):04}.parquet"
                self._stage(self._frame(name), path)
                self.rows[name].clear()

    def publish(self) -> Exported:
        """Put everything in place, and then say so."""
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
        # What a run that ended early has left.
        leftovers = new | {*folder.glob(".*.new"), *self.out.glob(".*.parquet.new")}
        for path in leftovers - self.staged.keys() - {*self.staged.values()}:
            path.unlink()
        for path, hidden in self.staged.items():
            hidden.replace(path)
        _write_state(self.out, max(self.until_us, self.since_us))
        return self.done

    def _write_users(self) -> None:
        """Add new users, and replace profiles, picks and friends of users with a new profile."""
        path = self.out / "users.parquet"
        columns: dict[str, Any] = dict.fromkeys(chain(USERS, *self.profiles), pl.String)
        old, new = _read(path, USERS), pl.DataFrame(self.profiles, {**columns, **USERS})
        is_replaced = pl.col("user_id").is_in(new["user_id"].to_list())
        # The last row of a user counts: a new profile before an old one, anything before a stranger's.
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
    """Return a row of interactions: an item's id has a column of its own."""
    what = {"item_id": identity} if entity == ITEM else {"entity": entity, "entity_id": identity}
    return {"user_id": user_id, "signal": signal, "timestamp": time_us, **what}


def _show(user_id: str, one: Impression, time_us: int) -> dict[str, Any]:
    """Return an impression's row."""
    return {"user_id": user_id, "signal": SHOWN, "timestamp": time_us, **asdict(one)}


def _read(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a table of an earlier run, empty where there is none."""
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=schema)
