"""Outcomes of an experiment: what each user did in the days after assignment."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from firstday.experiment.experiment_tables import ExperimentTables

SHARES_OF_SHOWN = ("used_of_shown", "liked_of_shown")
"""Outcomes relative to `shown`: the paper's display-to-stream and display-to-favourite."""
MEANS = ("items_used", "days_active", "came_back")
"""Outcomes that are means over users."""


def take_window(rows: pl.DataFrame, users: pl.DataFrame, days: float) -> pl.DataFrame:
    """Return the users' rows within some days after the assignment, with the time `after` it."""
    rows = rows.join(users.select("user_ix", "assigned_at"), on="user_ix", maintain_order="left")
    after = pl.col("timestamp") - pl.col("assigned_at")
    inside = after.is_between(timedelta(0), timedelta(days=days), closed="left")
    return rows.with_columns(after=after).filter(inside)


def measure(tables: ExperimentTables, days: float) -> pl.DataFrame:
    """Compute the outcomes of each user whose window, which starts at the assignment, has ended.

    Returns
    -------
    polars.DataFrame
        The users, with the columns of `ExperimentTables.assigned` and, as Float64:

        - `shown`: distinct items shown; `used_of_shown`, `liked_of_shown`: how many of them were used or liked in the
          window, at or after their first impression in it
        - `items_used`: distinct items used; `days_active`: days since `assigned_at` with a use
        - `came_back`: 1 if there is a use more than a day after `assigned_at`, else 0
        - the sum of each outcome in `ExperimentTables.values`, 0 without values
    """
    users = tables.assigned.filter(tables.ended(days))
    first = take_window(tables.shown, users, days).group_by("user_ix", "item_ix").agg(shown_after=pl.min("after"))
    done = take_window(tables.uses, users, days).join(first, on=["user_ix", "item_ix"], how="left")
    item = pl.col("item_ix")
    after = pl.col("after")
    is_use = pl.col("is_use")
    follows = after >= pl.col("shown_after")
    n_shown = first.group_by("user_ix").agg(shown=pl.len())
    n_done = done.group_by("user_ix").agg(
        used_of_shown=item.filter(follows, is_use).n_unique(),
        liked_of_shown=item.filter(follows, "is_like").n_unique(),
        items_used=item.filter(is_use).n_unique(),
        days_active=after.filter(is_use).dt.total_days().n_unique(),
        came_back=(is_use & (after >= timedelta(days=1))).any(),
    )
    values = take_window(tables.values, users, days).group_by("user_ix", maintain_order=True)
    table = users
    for counts in (n_shown, n_done, values.agg(pl.col(tables.outcomes).sum())):
        table = table.join(counts, on="user_ix", how="left", maintain_order="left")
    return table.with_columns(pl.exclude(users.columns).cast(pl.Float64).fill_null(0))


def write_days(length: float) -> str:
    """Format a number of days for display: 1 day, 7 days."""
    return f"{length:g} day" if length == 1 else f"{length:g} days"
