"""What the service learned, as tables that `check` and `train` read; each run adds what is new since the last one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from firstday.config import SHOWN
from firstday.data.events import ITEM
from firstday.errors import ConfigError
from firstday.features.impressions import Impression
from firstday.features.signals import PICK_SIGNAL
from firstday.serve.store.base import Clock, Profile, ReadableLog, Rules, StoredUser, scan

STATE = ".export.json"
"""Beside the tables: up to when they hold what the store took. It is written last."""
TABLES = ("interactions", "users", "friends", "assignments")
ROWS_AT_ONCE = 1_000_000
"""Rows of a file, about: memory follows them."""

TIME = pl.Datetime("us", "UTC")
INTERACTIONS: Mapping[str, Any] = {
    "user_id": pl.String,
    "item_id": pl.String,
    "entity": pl.String,
    "entity_id": pl.String,
    "signal": pl.String,
    "timestamp": TIME,
    "list_id": pl.String,
    "position": pl.Int64,
    "propensity": pl.Float64,
    "policy": pl.String,
}
FRIENDS: Mapping[str, Any] = {"user_id": pl.String, "friend_id": pl.String}
ASSIGNMENTS: Mapping[str, Any] = {
    "user_id": pl.String,
    "experiment": pl.String,
    "variant": pl.String,
    "assigned_at": TIME,
}
USERS: Mapping[str, Any] = {"user_id": pl.String, "registered_at": TIME, "age": pl.Int64}


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


def open_readable(store: str, *, redis_prefix: str = "firstday", timeout_s: float = 10.0) -> ReadableLog:
    """Open a store to read it from one end to the other.

    Parameters
    ----------
    store
        A SQLite file that no service has open, a copy of one, or its URL; or the URL of a Redis.
    redis_prefix
        What every key in Redis begins with.
    timeout_s
        How long one call to Redis may take.

    Raises
    ------
    ConfigError
        It is no store, or is in use.
    MissingExtraError
        Redis is asked for and its library is not installed.
    """
    scheme, found, rest = store.partition("://")
    if found and scheme in ("redis", "rediss"):
        from firstday.serve.store.redis import RedisLog

        rules = Rules(1, 0)
        return RedisLog(store, rules, redis_prefix, timeout_s, 0, Clock())
    if found and (scheme != "sqlite" or not rest.startswith("/")):
        raise ConfigError(
            "store: its URL begins with neither sqlite:/// nor redis:// nor rediss://; give one that does."
        )
    path = Path(rest[1:] if found else store)
    if not path.is_file():
        raise ConfigError(f"store: {path} is no file; give a store's file, a copy of one, or a URL.")
    from firstday.serve.store.sqlite import SqliteFile

    return SqliteFile(path)


async def export(store: ReadableLog, out: Path, since: datetime | None = None) -> Exported:
    """Write what a store took since the last run, or all of it, as tables.

    A run that ends early has changed nothing that the next one does not write again: files are staged, put in place at
    the end, and named after the time since which they hold something; when that is done, the state is written.

    Parameters
    ----------
    store
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
    since_us = _read_state(out)
    if since_us is None:
        foreign = [name for name in TABLES for _ in (*out.glob(name), *out.glob(f"{name}.*"))]
        if foreign:
            raise ConfigError(f"{out}: has tables that are no export ({foreign[0]}); give another folder.")
        since_us = 0 if since is None else round((since - _EPOCH).total_seconds() * 1e6)
        out.mkdir(parents=True, exist_ok=True)
        _write_state(out, since_us)
    until_us, _ = await store.find_facts()
    if 0 < until_us < since_us:
        raise ConfigError(
            f"{out}: goes up to {_time(since_us):%Y-%m-%d %H:%M:%S}, further than this store "
            f"({_time(until_us):%Y-%m-%d %H:%M:%S}); give its newest copy, or another folder."
        )
    run = _Run(out, since_us, until_us)
    async for part in scan(store, since_us):
        for user_id, user in part:
            run.take(user_id, user)
    return run.publish()


def _read_state(out: Path) -> int | None:
    """Return up to when the tables go, microseconds since 1970; None where nothing was exported."""
    try:
        values = json.loads((out / STATE).read_text(encoding="utf-8"))
        return int(values["until_us"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{out / STATE}: is damaged; export into another folder.") from None


def _write_state(out: Path, until_us: int) -> None:
    staged = out / f"{STATE}.new"
    staged.write_text(json.dumps({"until_us": until_us, "until": str(_time(until_us))}) + "\n", encoding="utf-8")
    staged.replace(out / STATE)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


@dataclass
class _Run:
    """Rows of one run, and the files that they go to."""

    out: Path
    since_us: int
    until_us: int
    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {"events": [], "lists": []})
    profiles: dict[str, Profile] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    assignments: list[tuple[str, str, str, int]] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Lists of earlier runs, each with its user, of which the caller has now said what was seen."""
    staged: list[tuple[Path, Path]] = field(default_factory=list)
    n_files: int = 0

    def __post_init__(self) -> None:
        self.done = Exported(_time(self.until_us))
        (self.out / "interactions").mkdir(exist_ok=True)

    def _is_new(self, us: int) -> bool:
        return self.since_us < us <= self.until_us

    def take(self, user_id: str, user: StoredUser) -> None:
        """Take what is new of a user."""
        profile, first_us = user.profile, user.first_us
        if profile is not None and self._is_new(profile.put_us):
            self.profiles[user_id] = profile
        for given in user.assignments:
            if self._is_new(given.assigned_us):
                self.assignments.append((user_id, given.experiment, given.variant, given.assigned_us))
        if first_us is not None and first_us <= self.until_us:
            self.first[user_id] = first_us
        self._take_impressions(user_id, user)
        for event in user.events:
            if self._is_new(event.received_us) and not event.is_impression:
                time_us = event.received_us if event.timestamp_ms is None else 1000 * event.timestamp_ms
                row = _row(user_id, event.entity, event.entity_id, event.signal, time_us, event.list_id)
                self.rows["events"].append(row)
                self.done.uses += 1
        for name, rows in self.rows.items():
            if len(rows) >= ROWS_AT_ONCE:
                self._write_rows(name)

    def _take_impressions(self, user_id: str, user: StoredUser) -> None:
        for shown in user.lists:
            if shown.is_told and shown.received_us <= self.since_us:
                self.seen.append((user_id, shown.list_id))
        for shown in user.find_recorded():
            if self._is_new(shown.received_us):
                for impression in shown.to_impressions():
                    self.rows["lists"].append(_show(user_id, impression, shown.received_us))
                    self.done.impressions += 1
        kept = {shown.list_id for shown in user.lists}
        for event, impression in user.find_seen():
            if self._is_new(event.received_us):
                time_us = event.received_us if event.timestamp_ms is None else 1000 * event.timestamp_ms
                self.rows["events"].append(_show(user_id, impression, time_us))
                self.done.impressions += 1
                if event.list_id is not None and event.list_id not in kept:
                    self.seen.append((user_id, event.list_id))

    def _stage(self, frame: pl.DataFrame, path: Path) -> None:
        """Write a table under a hidden name beside its place."""
        hidden = path.with_name(f".{path.name}.new")
        frame.write_parquet(hidden)
        self.staged.append((hidden, path))

    def _write_rows(self, name: str) -> None:
        rows, self.rows[name] = self.rows[name], []
        if rows:
            frame = _make_frame(rows, INTERACTIONS)
            self._stage(frame, self.out / "interactions" / f"{name}-{self.since_us:016}-{self.n_files:04}.parquet")
            self.n_files += 1

    def publish(self) -> Exported:
        """Put everything in place, and then say so."""
        for name in self.rows:
            self._write_rows(name)
        self._remove_superseded()
        if self.first:
            self._write_users()
        if self.assignments:
            old = _read(self.out / "assignments.parquet", ASSIGNMENTS)
            table = pl.concat([old, _make_frame(self.assignments, ASSIGNMENTS)])
            table = table.unique(["user_id", "experiment"], keep="first", maintain_order=True)
            self.done.assignments = table.height - old.height
            self._stage(table.sort("assigned_at", "user_id"), self.out / "assignments.parquet")
        folder = self.out / "interactions"
        # What a run that ended early has left.
        leftovers = {*folder.glob(f"*-{self.since_us:016}-*.parquet")} - {path for _, path in self.staged}
        leftovers |= {*folder.glob(".*.new"), *self.out.glob(".*.parquet.new")} - {hidden for hidden, _ in self.staged}
        for path in leftovers:
            path.unlink()
        for hidden, path in self.staged:
            hidden.replace(path)
        _write_state(self.out, max(self.until_us, self.since_us))
        return self.done

    def _remove_superseded(self) -> None:
        """Take out of earlier files the recorded lists of which the caller has now said what was seen."""
        if not self.seen:
            return
        pairs = pl.DataFrame(self.seen, schema={"user_id": pl.String, "list_id": pl.String}, orient="row").unique()
        for path in sorted((self.out / "interactions").glob("lists-*.parquet")):
            if f"-{self.since_us:016}-" in path.name:
                continue
            table = pl.read_parquet(path)
            kept = table.join(pairs, on=["user_id", "list_id"], how="anti", maintain_order="left")
            if kept.height < table.height:
                self.done.superseded += table.height - kept.height
                self._stage(kept, path)

    def _write_users(self) -> None:
        """Put new users, and the newest profiles, picks and friends of others, in the place of the older ones."""
        columns = {name for profile in self.profiles.values() for name in profile.columns} - set(USERS)
        schema = {**USERS, **dict.fromkeys(sorted(columns), pl.String)}
        rows = []
        for user_id, first_us in self.first.items():
            profile = self.profiles.get(user_id, Profile())
            others = [profile.columns.get(name) for name in sorted(columns)]
            rows.append((user_id, first_us, profile.age, *others))
        new = _make_frame(rows, schema)
        path = self.out / "users.parquet"
        old = _read(path, USERS)
        # Who has no new profile and was there before stays as before: the old row wins over one without a profile.
        with_new_profile = pl.Series(sorted(self.profiles), dtype=pl.String)
        kept = old.filter(~pl.col("user_id").is_in(with_new_profile.implode()))
        added = new.filter(~pl.col("user_id").is_in(kept["user_id"].implode()))
        times = pl.concat([frame.select("user_id", "registered_at") for frame in (old, new)])
        times = times.group_by("user_id").agg(pl.col("registered_at").min())
        table = pl.concat([kept, added], how="diagonal").drop("registered_at").join(times, on="user_id", how="left")
        first = ["user_id", "registered_at", "age"]
        table = table.select(*first, *(name for name in table.columns if name not in first)).sort("user_id")
        self.done.users = added.height
        self._stage(table, path)
        friends = [
            (user_id, friend) for user_id, profile in self.profiles.items() for friend in dict.fromkeys(profile.friends)
        ]
        self._replace_rows_of(self.out / "friends.parquet", FRIENDS, friends, with_new_profile)
        picks = [
            _row(user_id, entity, identity, PICK_SIGNAL, profile.put_us)
            for user_id, profile in self.profiles.items()
            for entity, identity in dict.fromkeys(profile.picks)
        ]
        picks += [
            _row(user_id, entity, identity, signal, profile.put_us)
            for user_id, profile in self.profiles.items()
            for signal, entity, identity in profile.interactions
        ]
        self._replace_rows_of(self.out / "interactions" / "picks.parquet", INTERACTIONS, picks, with_new_profile)

    def _replace_rows_of(
        self, path: Path, schema: Mapping[str, Any], rows: Sequence[tuple[Any, ...]], with_new_profile: pl.Series
    ) -> None:
        """Replace the rows of users with a new profile."""
        old = _read(path, schema)
        table = pl.concat([old.filter(~pl.col("user_id").is_in(with_new_profile.implode())), _make_frame(rows, schema)])
        if table.height or old.height:
            self._stage(table.sort("user_id", maintain_order=True), path)


def _row(
    user_id: str,
    entity: str,
    identity: str,
    signal: str,
    time_us: int,
    list_id: str | None = None,
    position: int | None = None,
    propensity: float | None = None,
    policy: str | None = None,
) -> tuple[Any, ...]:
    """Return a row of interactions: an item's id has a column of its own."""
    place = (identity, None, None) if entity == ITEM else (None, entity, identity)
    return (user_id, *place, signal, time_us, list_id, position, propensity, policy)


def _show(user_id: str, one: Impression, time_us: int) -> tuple[Any, ...]:
    """Return an impression's row."""
    return _row(user_id, ITEM, one.item_id, SHOWN, time_us, one.list_id, one.position, one.propensity, one.policy)


def _make_frame(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return rows as a table; times are microseconds since 1970."""
    raw = {name: pl.Int64 if kind == TIME else kind for name, kind in schema.items()}
    times = [pl.col(name).cast(kind) for name, kind in schema.items() if kind == TIME]
    return pl.DataFrame(rows, schema=raw, orient="row").with_columns(times)


def _read(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a table of an earlier run, empty where there is none."""
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=schema)
