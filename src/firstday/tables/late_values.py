"""Columns of users whose values seem to change after registration, which newcomers' lists would not have learned."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from firstday.tables.faults import FILE, ROW, Findings
from firstday.tables.schema import TABLES

NEWEST_DAYS = 7
MIN_USERS = 30
"""Minimum number of the newest users, and of the older ones."""
MAX_NEWEST = 0.1
"""Maximum share of the newest users with another value than most of them have."""
OLDER_SHARE = (0.05, 0.9)
"""Bounds of the same share of the older users; above it, the value itself is new, like a version."""
MIN_ERRORS = 4.0
"""Minimum difference of the shares, in standard errors."""


def note_late_values(users: pl.DataFrame, findings: Findings) -> None:
    """Note each group of which nearly all newest users have one value, unlike the oldest quarter, beyond chance."""
    if "registered_at" not in users.columns:
        return
    time = pl.col("registered_at")
    users = users.filter(time <= datetime.now(UTC))
    is_newest = time > time.max() - pl.duration(days=NEWEST_DAYS)
    newest = users.filter(is_newest)
    older = users.filter(~is_newest & (time <= time.quantile(0.25)))
    if min(newest.height, older.height) < MIN_USERS:
        return
    for label in users.drop(FILE, ROW, *TABLES["users"].kinds, strict=False).columns:
        usual = newest[label].value_counts(sort=True)[label][0]
        of_both = pl.concat([newest[label], older[label]]).ne_missing(usual)
        n_newest = int(of_both[: newest.height].sum())
        n_older = int(of_both[newest.height :].sum())
        share_newest = n_newest / newest.height
        share_older = n_older / older.height
        variance = float(of_both.cast(pl.Float64).var() or 0.0)  # type: ignore[arg-type]
        error = (variance * (1 / newest.height + 1 / older.height)) ** 0.5
        least, most = OLDER_SHARE
        is_late = share_newest <= MAX_NEWEST and max(least, 2 * share_newest) <= share_older <= most
        if is_late and share_older - share_newest > MIN_ERRORS * error:
            value = "no value" if usual is None else repr(usual)
            findings.note(
                f"{100 * (1 - share_newest):.0f} % of the {newest.height:,} users who registered in the last "
                f"{NEWEST_DAYS} days have {value}, but {100 * (1 - share_older):.0f} % of the oldest quarter; if the value "
                "changes after registration, write the one at registration, or leave the column out.",
                "users",
                label,
            )
