"""Extract the tables of an experiment from a dataset: assignments, interactions and impressions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS
from firstday.errors import DataError
from firstday.experiment.experiment_results import COHORT, EVERYONE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AGE_BANDS = (18, 25, 35, 45, 55)
"""Lower bound of each age band except the first, in years."""
TAKEN_NAMES = (EVERYONE, COHORT, "age", "known_before")
"""Reserved names: profile columns of these names are renamed to ``users.NAME``."""


@dataclass(frozen=True, eq=False)
class ExperimentTables:
    """Tables of one experiment.

    Parameters
    ----------
    name
        Name of the experiment.
    dataset
        Name of the dataset.
    assigned
        One row per user, ordered by `user_ix`: `user_ix`, `user_id` (text), `variant`, `assigned_at`, `cohort` (the
        registration week, such as ``2026-W07``, or the week of the assignment if that is unknown).
    groups
        Profile columns in the same order, as text, and `age` in years; null if unknown.
    uses, shown
        Interactions and impressions of these users for `firstday.experiment.outcomes.outcomes_of`, from `place_uses`.
        `shown` also has the columns `list_id`, `position`, `propensity`, `policy`, `is_used` and `used_at` of
        `firstday.data.impressions.Impressions`.
    until
        End of the log: the time of its latest interaction. Assignments do not count, since their table may be newer.
    notes
        One sentence each on what was left out.
    """

    name: str
    dataset: str
    assigned: pl.DataFrame
    groups: pl.DataFrame
    uses: pl.DataFrame
    shown: pl.DataFrame | None
    until: datetime
    notes: tuple[str, ...] = ()


def take_experiment(dataset: Dataset, name: str, *, use: Collection[str], like: Collection[str]) -> ExperimentTables:
    """Extract the tables of one experiment from a dataset; `use` and `like` are the signals that count as such.

    Raises
    ------
    DataError
        There are no assignments, none of this experiment, or no timestamps.
    """
    if dataset.events.last is None:
        raise DataError("interactions.timestamp: no interaction has a time; add when each was done.")
    assigned, notes = _take_assigned(dataset, name)
    user_ix = assigned["user_ix"]
    signals = [
        {"pair": code, "is_use": signal in use, "is_like": signal in like}
        for code, (signal, entity) in enumerate(dataset.events.pairs)
        if entity == ITEM and (signal in use or signal in like)
    ]
    kinds = pl.DataFrame(signals, schema={"pair": pl.UInt16, "is_use": pl.Boolean, "is_like": pl.Boolean})
    columns = ("user_ix", "timestamp", "is_use", "is_like")
    of_items = (frame.join(kinds, on="pair").select(*columns, item_ix="target_ix") for frame in dataset.events.frames())
    uses = _take_timed(of_items, user_ix, "uses of these users", notes)
    shown = None
    if dataset.impressions is not None:
        rows = _take_timed(dataset.impressions.frames(), user_ix, "rows of what was shown", notes)
        shown = rows if rows.height else None
    until = EPOCH + timedelta(microseconds=dataset.events.last)
    if shown is not None:
        shown = shown.with_columns(
            position=pl.when(pl.col("position") > 0).then("position"), propensity=pl.col("propensity").fill_nan(None)
        )
        until = max(until, shown.select(pl.max("timestamp")).item())
        uses, shown, n_placed = place_uses(uses, shown)
        if n_placed:
            notes.append(
                f"interactions.timestamp: {n_placed:,} uses of these users carry the list_id of what was shown after "
                "them, since clients' clocks are slow; the time of the list stands for theirs."
            )
    n_later = (assigned["assigned_at"] > until).sum()
    if n_later:
        notes.append(
            f"assignments.assigned_at: {n_later:,} users were assigned after the last interaction "
            f"({until:%Y-%m-%d %H:%M} UTC), so that nothing is known of what they did."
        )
    groups = _take_groups(dataset, user_ix.to_numpy())
    return ExperimentTables(name, dataset.name, assigned, groups, uses, shown, until, tuple(notes))


def _take_assigned(dataset: Dataset, name: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the assignments, and notes on missing or late times."""
    assignments: pl.DataFrame | None = dataset.assignments
    if assignments is None or not assignments.height:
        raise DataError(
            "assignments: the table is missing; add user_id, experiment, variant and assigned_at, as a service exports."
        )
    assigned = assignments.filter(pl.col("experiment") == name).sort("user_ix")
    n_assigned = assigned.height
    if not n_assigned:
        names = ", ".join(assignments["experiment"].unique().sort().to_list())
        raise DataError(f"assignments: have no experiment {name!r}; choose of {names}.")
    user_ix = assigned["user_ix"]
    registered_us = np.full(n_assigned, -1)
    if dataset.registered_at is not None:
        registered_us = dataset.registered_at[user_ix.to_numpy()]
    registered_at = pl.Series(registered_us).set(pl.Series(registered_us < 0), None).cast(UTC_MICROSECONDS)
    n_unknown = assigned["assigned_at"].null_count()
    assigned = assigned.with_columns(
        user_id=pl.Series([str(dataset.users[ix]) for ix in user_ix.to_list()], dtype=pl.String),
        assigned_at=pl.coalesce("assigned_at", registered_at),
        cohort=pl.coalesce(registered_at, "assigned_at").dt.strftime("%G-W%V"),
        is_old=pl.col("assigned_at") - registered_at > timedelta(days=1),
    ).filter(pl.col("assigned_at").is_not_null())
    if not assigned.height:
        raise DataError(
            f"assignments.assigned_at: none of the {n_assigned:,} users of {name} has a time, nor users.registered_at; "
            "add when each was assigned."
        )
    notes = []
    if n_unknown:
        notes.append(
            f"assignments.assigned_at: {n_unknown:,} users have none; their registration stands for it, and "
            f"{n_assigned - assigned.height:,} without either are left out."
        )
    n_old = assigned["is_old"].sum()
    if n_old:
        notes.append(
            f"assignments.assigned_at: {n_old:,} users were assigned more than a day after they registered; they are "
            "not new, and assigning at registration keeps them out."
        )
    return assigned.drop("experiment", "is_old"), notes


def _take_groups(dataset: Dataset, user_ix: np.ndarray) -> pl.DataFrame:
    groups = {
        f"users.{name}" if name in TAKEN_NAMES else name: pl.Series(
            [group.values[code] if code >= 0 else None for code in group.codes[user_ix]], dtype=pl.String
        )
        for name, group in dataset.groups.items()
    }
    if dataset.ages is not None:
        ages = pl.Series(dataset.ages[user_ix])
        groups["age"] = ages.set(ages < 0, None)
    return pl.DataFrame(groups)


def _take_timed(frames: Iterable[pl.DataFrame], user_ix: pl.Series, what: str, notes: list[str]) -> pl.DataFrame:
    """Return the users' rows with timestamps; append a note on how many lack one."""
    rows = pl.concat([frame.filter(pl.col("user_ix").is_in(user_ix.implode())) for frame in frames])
    timed = rows.filter(pl.col("timestamp").is_not_null())
    if timed.height < rows.height:
        notes.append(f"interactions.timestamp: {rows.height - timed.height:,} {what} have no time and are left out.")
    return timed


def place_uses(uses: pl.DataFrame, shown: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Move uses that precede the list they refer to: uses carry the client's clock, lists the server's.

    Such a use gets the time of its list. So do the user's later events on the same item that still precede the list.

    Parameters
    ----------
    uses
        `user_ix`, `item_ix`, `timestamp`; other columns are kept.
    shown
        Impressions: `user_ix`, `item_ix`, `timestamp`, `is_used`, `used_at`; other columns are kept.

    Returns
    -------
    uses, shown : polars.DataFrame
        The same with corrected `timestamp` and `used_at`; uses are sorted by time.
    n_placed : int
        Number of uses moved.
    """
    slow = shown.filter(pl.col("is_used") & (pl.col("used_at") < pl.col("timestamp")))
    if not slow.height:
        return uses, shown, 0
    slow = slow.select("user_ix", "item_ix", "used_at", shown_at="timestamp").sort("used_at", "shown_at")
    placed = uses.sort("timestamp", maintain_order=True).join_asof(
        slow,
        left_on="timestamp",
        right_on="used_at",
        by=["user_ix", "item_ix"],
        strategy="backward",
        check_sortedness=False,
    )
    is_early = (placed["shown_at"] > placed["timestamp"]).fill_null(value=False)
    timestamp = placed["timestamp"].zip_with(~is_early, placed["shown_at"])
    return (
        placed.with_columns(timestamp.alias("timestamp")).select(uses.columns),
        shown.with_columns(
            used_at=pl.when(pl.col("used_at").is_not_null()).then(pl.max_horizontal("used_at", "timestamp"))
        ),
        int(is_early.sum()),
    )


def age_bands(ages: pl.Series) -> pl.Series:
    """Return the age band of each age as text, such as ``25-34``; null if unknown."""
    labels = [f"under {AGE_BANDS[0]}"]
    labels += [f"{low}-{high - 1}" for low, high in pairwise(AGE_BANDS)]
    labels.append(f"{AGE_BANDS[-1]}+")
    places = np.searchsorted(np.array(AGE_BANDS), ages.fill_null(0).to_numpy(), side="right")
    return pl.Series([labels[place] for place in places.tolist()], dtype=pl.String).set(ages.is_null(), None)
