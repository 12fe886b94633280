"""Outcomes of an experiment: what each user did in the days after assignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from firstday.tables.schema import DAY_US


@dataclass(frozen=True)
class Outcome:
    """An outcome measured per user.

    Parameters
    ----------
    name
        Identifier; also the summed column of `outcomes_of`, without the window suffix.
    title
        Name for display.
    denominator
        Column whose sum is the denominator; requires impressions. None: the outcome is a mean over users.
    least_days
        Minimum length of the window.
    is_share
        Whether it is a share, displayed in %.
    """

    name: str
    title: str
    denominator: str | None = None
    least_days: float = 0
    is_share: bool = False


OUTCOMES = (
    Outcome("used_of_shown", "shown items used", "shown", is_share=True),
    Outcome("liked_of_shown", "shown items liked", "shown", is_share=True),
    Outcome("items_used", "items used"),
    Outcome("days_active", "days active"),
    Outcome("came_back", "users who came back", least_days=1.01, is_share=True),
)
"""In report order. The first two are the paper's display-to-stream and display-to-favourite."""


def outcomes_of(
    uses: pl.DataFrame,
    shown: pl.DataFrame | None,
    assigned: pl.DataFrame,
    *,
    days: Sequence[float],
    until: datetime,
    margin_days: float,
) -> pl.DataFrame:
    """Compute the outcomes of each assigned user, in windows that start at the assignment.

    Parameters
    ----------
    uses
        Interactions: `user_ix`, `item_ix`, `timestamp`, and `is_use`, `is_like`, whether the signal counts as a use or
        a like. A use with a list id must not precede its list (`firstday.experiment.experiment_tables.place_uses`).
    shown
        Impressions: `user_ix`, `item_ix`, `timestamp`; None without impressions.
    assigned
        One row per user: `user_ix`, `variant`, `assigned_at`.
    days
        Window lengths.
    until
        End of the log.
    margin_days
        Uses in this many days before `assigned_at` are not counted as known before, since clocks differ.

    Returns
    -------
    polars.DataFrame
        One row per assigned user, ordered by `user_ix`: `user_ix`, `variant`, `assigned_at`, `known_before` (distinct
        items used more than `margin_days` before), and for each window length D, as in ``items_used_7``:

        - `is_whole_D`: whether the window has ended
        - `shown_D`: distinct items shown; `used_of_shown_D`, `liked_of_shown_D`: how many of them were used or liked in
          the window, at or after their first impression in it
        - `items_used_D`: distinct items used; `days_active_D`: days since `assigned_at` with a use
        - `came_back_D`: 1 if there is a use more than a day after `assigned_at`, else 0
    """
    users = assigned.select("user_ix", "variant", "assigned_at").sort("user_ix")
    starts = users.select("user_ix", "assigned_at")
    after = pl.col("timestamp") - pl.col("assigned_at")
    done = uses.join(starts, on="user_ix").with_columns(after=after)
    use = done.filter("is_use")
    before = (
        use.filter(pl.col("after") < -timedelta(days=margin_days))
        .group_by("user_ix")
        .agg(known_before=pl.col("item_ix").n_unique())
    )
    table = users.join(before, on="user_ix", how="left", maintain_order="left")
    for length in days:
        end = timedelta(days=length)
        name = name_days(length)
        inside = (pl.col("after") >= timedelta(0)) & (pl.col("after") < end)
        counts = (
            use.filter(inside)
            .group_by("user_ix")
            .agg(
                pl.col("item_ix").n_unique().alias(f"items_used_{name}"),
                (pl.col("after").dt.total_microseconds() // DAY_US).n_unique().alias(f"days_active_{name}"),
                (pl.col("after") >= timedelta(days=1)).any().cast(pl.Int64).alias(f"came_back_{name}"),
            )
        )
        table = table.join(counts, on="user_ix", how="left", maintain_order="left").with_columns(
            (pl.col("assigned_at") + end <= until).alias(f"is_whole_{name}")
        )
        if shown is not None:
            counts = _count_shown(done.filter(inside), shown.join(starts, on="user_ix").with_columns(after=after), end)
            counts = counts.rename({column: f"{column}_{name}" for column in counts.columns if column != "user_ix"})
            table = table.join(counts, on="user_ix", how="left", maintain_order="left")
    return table.with_columns(pl.col(pl.UInt32, pl.Int64).exclude("user_ix").fill_null(0))


def _count_shown(done: pl.DataFrame, shown: pl.DataFrame, end: timedelta) -> pl.DataFrame:
    """Count, per user, the distinct items shown in a window, and how many of them were used and liked afterwards."""
    first = (
        shown.filter((pl.col("after") >= timedelta(0)) & (pl.col("after") < end))
        .group_by("user_ix", "item_ix")
        .agg(shown_after=pl.col("after").min())
    )
    afterwards = (
        done.join(first, on=["user_ix", "item_ix"])
        .filter(pl.col("after") >= pl.col("shown_after"))
        .group_by("user_ix", "item_ix")
        .agg(pl.col("is_use").any(), pl.col("is_like").any())
    )
    return (
        first.join(afterwards, on=["user_ix", "item_ix"], how="left")
        .group_by("user_ix")
        .agg(
            shown=pl.len().cast(pl.Int64),
            used_of_shown=pl.col("is_use").fill_null(value=False).sum().cast(pl.Int64),
            liked_of_shown=pl.col("is_like").fill_null(value=False).sum().cast(pl.Int64),
        )
    )


def write_days(length: float) -> str:
    """Format a number of days for display: 1 day, 7 days."""
    return f"{length:g} day" if length == 1 else f"{length:g} days"


def name_days(length: float) -> str:
    """Format a number of days for column names: 7, 0.5."""
    return f"{length:g}"
