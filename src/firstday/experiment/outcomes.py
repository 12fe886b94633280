"""Outcomes of an experiment: what each user did in the days after assignment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import polars as pl


@dataclass(frozen=True)
class Outcome:
    """An outcome measured per user, within a window of some days.

    `name` is also the summed column of `outcomes_of`. The column `denominator` is summed as the denominator; None: the
    outcome is a mean over users. Shares are displayed in %.
    """

    name: str
    label: str
    days: float
    denominator: str | None = None
    is_share: bool = False

    @property
    def title(self) -> str:
        """Outcome and window for display."""
        return f"{self.label}, {write_days(self.days)}"


KINDS = (
    ("used_of_shown", "shown items used", "shown", True),  # the paper's display-to-stream
    ("liked_of_shown", "shown items liked", "shown", True),  # its display-to-favourite
    ("items_used", "items used", None, False),
    ("days_active", "days active", None, False),
    ("came_back", "users who came back", None, True),
)
"""Outcomes in report order: name, label, denominator, and whether it is a share."""


def list_outcomes(windows: Iterable[float]) -> list[Outcome]:
    """Return the outcomes that can be measured in each window, in days."""
    return [
        Outcome(name, label, days, denominator, is_share)
        for days in windows
        for name, label, denominator, is_share in KINDS
        if days > 1 or name != "came_back"
    ]


def count_known_before(uses: pl.DataFrame, assigned: pl.DataFrame, margin_days: float) -> pl.Series:
    """Return the number of distinct items that each user used more than `margin_days` before the assignment.

    Clocks differ, so later uses could be outcomes. Tables are those of `outcomes_of`.
    """
    before = since_assignment(uses, assigned).filter(pl.col("is_use"), pl.col("after") < timedelta(days=-margin_days))
    counts = before.group_by("user_ix").agg(known_before=pl.n_unique("item_ix"))
    return assigned.join(counts, on="user_ix", how="left", maintain_order="left")["known_before"].fill_null(0)


def since_assignment(rows: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    """Return the users' rows with the user's `assigned_at` and the time `after` it."""
    rows = rows.join(users.select("user_ix", "assigned_at"), on="user_ix")
    return rows.with_columns(after=pl.col("timestamp") - pl.col("assigned_at"))


def take_window(rows: pl.DataFrame, users: pl.DataFrame, days: float) -> pl.DataFrame:
    """Return the users' rows within some days after the assignment, with the columns of `since_assignment`."""
    inside = pl.col("after").is_between(timedelta(0), timedelta(days=days), closed="left")
    return since_assignment(rows, users).filter(inside)


def outcomes_of(uses: pl.DataFrame, shown: pl.DataFrame, users: pl.DataFrame, days: float) -> pl.DataFrame:
    """Compute the outcomes of each user in a window that starts at the assignment.

    `uses` has `user_ix`, `item_ix`, `timestamp`, and whether the signal counts as a use or a like: `is_use`, `is_like`.
    A use with a list id must not precede its list (`firstday.experiment.experiment_tables.place_uses`). `shown` has the
    first three columns, `users` has `user_ix`, `assigned_at` and any others.

    Returns
    -------
    polars.DataFrame
        The users, with these columns as Float64:

        - `shown`: distinct items shown; `used_of_shown`, `liked_of_shown`: how many of them were used or liked in the
          window, at or after their first impression in it
        - `items_used`: distinct items used; `days_active`: days since `assigned_at` with a use
        - `came_back`: 1 if there is a use more than a day after `assigned_at`, else 0
    """
    first = take_window(shown, users, days).group_by("user_ix", "item_ix").agg(shown_after=pl.min("after"))
    done = take_window(uses, users, days).join(first, on=["user_ix", "item_ix"], how="left")
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
    table = users
    for counts in (n_shown, n_done):
        table = table.join(counts, on="user_ix", how="left", maintain_order="left")
    return table.with_columns(pl.exclude(users.columns).cast(pl.Float64).fill_null(0))


def write_days(length: float) -> str:
    """Format a number of days for display: 1 day, 7 days."""
    return f"{length:g} day" if length == 1 else f"{length:g} days"
