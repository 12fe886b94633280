"""Extract the tables of an experiment from a dataset: assignments, interactions and impressions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS
from firstday.data.impressions import IMPRESSION_TYPES
from firstday.errors import DataError

VALUE_TYPES: dict[str, pl.DataType] = {"user_ix": pl.Int32(), "item_ix": pl.Int32(), "timestamp": UTC_MICROSECONDS}


@dataclass(frozen=True, eq=False)
class ExperimentTables:
    """Tables of one experiment.

    Parameters
    ----------
    assigned
        One row per user, ordered by `user_ix`: `user_ix`, `user_id` (text), `variant`, `assigned_at`, `cohort` (the
        registration week, such as ``2026-W07``, or the week of the assignment if that is unknown).
    uses, shown
        Interactions of these users, with `user_ix`, `item_ix`, `timestamp`, and whether the signal counts as a use or a
        like (`is_use`, `is_like`), and impressions, with the columns `IMPRESSION_TYPES`; from `place_uses`.
    values
        Interactions with outcomes of one's own, one column each, and the columns `VALUE_TYPES`; see
        `firstday.experiment.own_outcomes.add_outcomes`.
    until
        End of the log: the time of its latest interaction. Assignments do not count, since their table may be newer.
    """

    name: str
    dataset: str
    assigned: pl.DataFrame
    uses: pl.DataFrame
    shown: pl.DataFrame
    values: pl.DataFrame
    until: datetime
    notes: Sequence[str] = ()

    @property
    def outcomes(self) -> list[str]:
        """Names of the outcomes in `values`."""
        return self.values.drop(*VALUE_TYPES).columns

    def ended(self, days: float) -> pl.Series:
        """Return a mask of users whose window of this length has ended."""
        return self.assigned["assigned_at"] + timedelta(days=days) <= self.until


def take_experiment(dataset: Dataset, name: str, *, use: Collection[str], like: Collection[str]) -> ExperimentTables:
    """Extract the tables of one experiment from a dataset; `use` and `like` are the signals that count as such.

    Raises
    ------
    DataError
        There are no assignments, none of this experiment, or no timestamps.
    """
    if dataset.events.last is None:
        raise DataError("interactions.timestamp: missing in all rows; add the time of each interaction.")
    assigned, notes = _take_assigned(dataset, name)
    user_ix = assigned["user_ix"]
    pair = pl.col("pair")
    is_use = pair.is_in(dataset.events.codes_of(ITEM, use))
    is_like = pair.is_in(dataset.events.codes_of(ITEM, like))
    columns = (pl.col("user_ix", "timestamp"), pl.col("target_ix").alias("item_ix"))
    kinds = (is_use.alias("is_use"), is_like.alias("is_like"))
    of_items = (frame.filter(is_use | is_like).select(*columns, *kinds) for frame in dataset.events.frames())
    uses = take_timed(of_items, user_ix, "uses", notes)
    impressions = [pl.DataFrame(schema=IMPRESSION_TYPES)]
    if dataset.impressions is not None:
        impressions += dataset.impressions.frames()
    shown = take_timed(impressions, user_ix, "impressions", notes)
    last = pl.lit(dataset.events.last).cast(UTC_MICROSECONDS)
    until = shown.select(pl.max_horizontal(pl.max("timestamp"), last)).item()
    uses, n_placed = place_uses(uses, shown)
    if n_placed:
        notes.append(
            f"interactions.timestamp: {n_placed:,} uses precede the list whose list_id they carry, since clients' "
            "clocks are slow; the time of the list replaces theirs."
        )
    values = pl.DataFrame(schema=VALUE_TYPES)
    return ExperimentTables(name, dataset.name, assigned, uses, shown, values, until, notes)


def _take_assigned(dataset: Dataset, name: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the assignments, and notes on missing or late times."""
    assignments = dataset.assignments
    if assignments is None:
        raise DataError(
            "assignments: the table is missing; add user_id, experiment, variant and assigned_at, as a service exports."
        )
    found = assignments.filter(pl.col("experiment") == name)
    if not found.height:
        names = ", ".join(assignments["experiment"].unique().sort())
        raise DataError(f"assignments: there is no experiment {name!r}; choose one of {names}.")
    n_several = found.filter(pl.col("user_ix").is_duplicated())["user_ix"].n_unique()
    found = found.unique("user_ix", keep="first", maintain_order=True)
    user_ix = found["user_ix"].to_numpy()
    registered_us = pl.lit(-1 if dataset.registered_at is None else pl.Series(dataset.registered_at[user_ix]))
    registered_at = pl.when(registered_us >= 0).then(registered_us).cast(UTC_MICROSECONDS)
    times = found.select(
        "user_ix",
        "variant",
        user_id=dataset.users.take(user_ix).cast(pl.String),
        assigned_at=pl.coalesce("assigned_at", registered_at),
        cohort=pl.coalesce(registered_at, "assigned_at").dt.strftime("%G-W%V"),
        is_old=pl.col("assigned_at") - registered_at > timedelta(days=1),
    )
    assigned = times.drop_nulls("assigned_at")
    if not assigned.height:
        raise DataError(
            f"assignments.assigned_at: missing for all {found.height:,} users of {name}, as is users.registered_at; "
            "add when each was assigned."
        )
    notes = []
    if n_unknown := found["assigned_at"].null_count():
        notes.append(
            f"assignments.assigned_at: missing for {n_unknown:,} users; their registration time replaces it, and "
            f"{found.height - assigned.height:,} users without either are excluded."
        )
    if n_old := assigned["is_old"].sum():
        notes.append(
            f"assignments.assigned_at: {n_old:,} users were assigned more than a day after registration, so they are "
            "not new; assign users when they register to exclude such users."
        )
    if n_several:
        notes.append(
            f"assignments.variant: {n_several:,} of {assigned.height:,} users had several variants, as guests and as "
            "users; the earliest one counts."
        )
    return assigned.drop("is_old"), notes


def take_timed(frames: Iterable[pl.DataFrame], user_ix: pl.Series, what: str, notes: list[str]) -> pl.DataFrame:
    """Return the users' rows with timestamps; append a note on how many lack one."""
    rows = pl.concat(frame.filter(pl.col("user_ix").is_in(user_ix.implode())) for frame in frames)
    if n_without := rows["timestamp"].null_count():
        notes.append(f"interactions.timestamp: {n_without:,} {what} without a time are excluded.")
    return rows.drop_nulls("timestamp")


def place_uses(uses: pl.DataFrame, shown: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Move uses that precede the list they refer to: uses carry the client's clock, lists the server's.

    Such a use gets the time of its list. So do the user's later events on the same item that still precede the list.
    Uses have `user_ix`, `item_ix` and `timestamp`, impressions also `is_used` and `used_at`; other columns are kept.
    Return the uses with corrected times, sorted by time, and the number of uses moved.
    """
    slow = shown.filter(pl.col("is_used") & (pl.col("used_at") < pl.col("timestamp")))
    slow = slow.select("user_ix", "item_ix", "used_at", shown_at="timestamp").sort("used_at", "shown_at")
    placed = uses.sort("timestamp", maintain_order=True).join_asof(
        slow, left_on="timestamp", right_on="used_at", by=["user_ix", "item_ix"], check_sortedness=False
    )
    is_early = pl.col("shown_at") > pl.col("timestamp")
    moved = placed.with_columns(timestamp=pl.max_horizontal("timestamp", "shown_at"))
    return moved.select(uses.columns), placed.filter(is_early).height
