"""Tables of an experiment that are made by hand: five users, two days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from firstday.data.events import UTC_MICROSECONDS
from firstday.data.impressions import IMPRESSION_TYPES
from firstday.experiment.experiment_tables import VALUE_TYPES, ExperimentTables

START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday, the first day of the week 2026-W02."""


N_USERS = 600
USED_AFTER = timedelta(seconds=5)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


TYPES: dict[str, Any] = {**IMPRESSION_TYPES, "is_use": pl.Boolean, "is_like": pl.Boolean}


def make_frame(rows: Sequence[tuple[object, ...]], columns: str) -> pl.DataFrame:
    return pl.DataFrame(rows, {column: TYPES[column] for column in columns.split()}, orient="row")


def make_uses(rows: Sequence[tuple[int, int, float, bool, bool]]) -> pl.DataFrame:
    """Rows of user, item, hours after the start, whether it is use, whether it is liking."""
    timed = [(user, item, at(hours), *kinds) for user, item, hours, *kinds in rows]
    return make_frame(timed, "user_ix item_ix timestamp is_use is_like")


def make_shown(rows: Sequence[tuple[int, int, float]], propensity: float = 0.5) -> pl.DataFrame:
    """Rows of user, item, hours after the start; each is in the first place."""
    timed = [(user, item, at(hours), None, 1, propensity, "explore", False, None) for user, item, hours in rows]
    return make_frame(timed, "user_ix item_ix timestamp list_id position propensity policy is_used used_at")


def make_assigned(variants: list[str], hours: list[float] | None = None) -> pl.DataFrame:
    """One user for each variant, all assigned at the start unless hours say when."""
    times = [at(hour) for hour in (hours or [0.0] * len(variants))]
    return pl.DataFrame(
        {
            "user_ix": pl.Series(range(len(variants)), dtype=pl.Int32),
            "user_id": [f"u{n}" for n in range(len(variants))],
            "variant": variants,
            "assigned_at": pl.Series(times, dtype=UTC_MICROSECONDS),
            "cohort": [time.strftime("%G-W%V") for time in times],
        }
    )


USES = [
    (0, 1, 1, True, False),  # shown before: counts
    (0, 2, 30, True, True),  # on the second day, liked
    (1, 1, -2, True, False),  # before the assignment: known before
    (1, 1, 2, True, False),  # used an hour before it is shown
    (2, 3, 5, False, True),  # a signal that is liking and no use
    (3, 1, 200, True, False),  # after nine days
]
SHOWN = [(0, 1, 0.5), (0, 2, 0.5), (0, 2, 40), (1, 1, 3), (2, 3, 1), (2, 9, 1)]
VARIANTS = ["control", "treatment", "control", "treatment", "control"]


def five_users(*, shown: bool = True, until_hours: float = 24 * 10) -> ExperimentTables:
    assigned = make_assigned(VARIANTS)
    return ExperimentTables(
        name="onboarding",
        dataset="made",
        assigned=assigned,
        uses=make_uses(USES),
        shown=make_shown(SHOWN if shown else []),
        values=pl.DataFrame(schema=VALUE_TYPES),
        until=at(until_hours),
    )


def many_users(n: int = 1200, share_of_control: float = 0.5) -> ExperimentTables:
    """Users who are shown ten items each and use 0, 1 or 2 of them; the treatment uses 0, 2 or 4."""
    variants = ["control" if user < share_of_control * n else "treatment" for user in range(n)]
    hours = [24 * 14 * (user * 7 % n) / n for user in range(n)]
    uses = [
        (user, (user + place) % 10, hours[user] + 2, True, bool(place % 2))
        for user, variant in enumerate(variants)
        for place in range(user % 3 * (1 if variant == "control" else 2))
    ]
    shown = [(user, item, hours[user] + 1) for user in range(n) for item in range(10)]
    return ExperimentTables(
        name="onboarding",
        dataset="made",
        assigned=make_assigned(variants, hours),
        uses=make_uses(uses),
        shown=make_shown(shown, 0.1),
        values=pl.DataFrame(schema=VALUE_TYPES),
        until=at(24 * 40),
    )


def make_slow(lag: timedelta) -> dict[str, pl.DataFrame]:
    """Make users who are shown four items each, and use and like one of them; the treatment's clock lags."""
    users = [f"u{n}" for n in range(N_USERS)]
    rows: list[tuple[object, ...]] = []
    shown_at = START + timedelta(seconds=1)
    for n, user in enumerate(users):
        used_at = shown_at + USED_AFTER - n % 2 * lag
        rows += [(user, f"i{place}", "shown", shown_at, f"l{n}", place + 1, 1.0) for place in range(4)]
        rows.append((user, "i2", "stream", used_at, f"l{n}", None, None))
        rows.append((user, "i2", "favorite", used_at + timedelta(seconds=1), None, None, None))
    rows.append((users[0], "i9", "stream", START + timedelta(days=12), None, None, None))
    columns = ["user_id", "item_id", "signal", "timestamp", "list_id", "position", "propensity"]
    return {
        "interactions": pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None),
        "users": pl.DataFrame({"user_id": users, "registered_at": START}),
        "assignments": pl.DataFrame(
            {"user_id": users, "variant": ["control", "treatment"] * (N_USERS // 2)}
        ).with_columns(experiment=pl.lit("onboarding"), assigned_at=START),
    }
