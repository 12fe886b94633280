"""Both protocols on five users: what each is known to have done on day one, and what they used afterwards, whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.config import Config, SampledProtocolConfig, parse_config
from firstday.data.dataset import Dataset, Entity
from firstday.data.events import UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of, split_for_training
from firstday.data.splits.registration import collect_newcomers, split_registration
from firstday.data.splits.roles import Roles
from firstday.data.splits.split import Actions, Cohort, Split
from firstday.sparse import SparseRows

Act = tuple[int, str, str, datetime | None]
"""User, signal, target (i3 is item 3, a0 artist 0), and when."""


def make_dataset(acts: list[Act], registered: list[datetime] | None = None) -> Dataset:
    """Make a dataset of five users, six items and two artists."""
    kinds = {"i": "item", "a": "artist"}
    rows = [(user, signal, kinds[target[0]], int(target[1:]), at, 1.0) for user, signal, target, at in acts]
    schema: dict[str, Any] = {
        "user_ix": pl.Int32,
        "signal": pl.String,
        "entity": pl.String,
        "target_ix": pl.Int32,
        "timestamp": UTC_MICROSECONDS,
        "weight": pl.Float32,
    }
    return Dataset(
        name="five users",
        users=Ids.of([f"u{ix}" for ix in range(5)]),
        items=Ids.of([f"i{ix}" for ix in range(6)]),
        events=Events.of(pl.DataFrame(rows, schema=schema, orient="row")),
        entities={"artist": Entity(Ids.of(["a0", "a1"]), SparseRows.from_lists([[0, 1, 2], [3, 4, 5]], 6))},
        registered_at=None if registered is None else np.array([int(at.timestamp() * 1e6) for at in registered]),
    )


def write_out(actions: Actions, row: int) -> str:
    """Write what a user did as text, in the order of the alphabet; weights other than 1 stand behind."""
    acts = []
    for (signal, entity), rows in actions.items():
        for target, weight in zip(rows.row(row).tolist(), rows.row_weights(row).tolist(), strict=True):
            acts.append(f"{signal} {entity[0]}{target}" + ("" if weight == 1 else f" x {weight:g}"))
    return ", ".join(sorted(acts))


def write_cohort(cohort: Cohort) -> dict[str, tuple[str, str, int]]:
    """Write day one, truth and day-one size of each user."""
    return {
        f"u{user}": (
            write_out(cohort.day_one, row),
            " ".join(f"i{item}" for item in cohort.truth.row(row).tolist()),
            int(cohort.day_one_size[row]),
        )
        for row, user in enumerate(cohort.users.tolist())
    }


ACTS: list[Act] = [
    (0, "stream", "i0", None), (0, "stream", "i0", None), (0, "favorite", "i0", None), (0, "stream", "i1", None),
    (0, "ban", "i2", None), (0, "onboarding", "a0", None),
    (1, "stream", "i1", None), (1, "skip", "i1", None), (1, "stream", "i2", None),
    (2, "stream", "i2", None), (2, "stream", "i3", None), (2, "search", "i3", None), (2, "stream", "a1", None),
    (3, "stream", "i3", None), (3, "favorite", "i4", None),
    (4, "stream", "i0", None), (4, "stream", "i4", None),
]  # fmt: skip
EVERYTHING = {
    "u0": "ban i2, favorite i0, onboarding a0, stream i0 x 2, stream i1",
    "u1": "skip i1, stream i1, stream i2",
    "u2": "search i3, stream a1, stream i2, stream i3",
    "u3": "favorite i4, stream i3",
    "u4": "stream i0, stream i4",
}
OUTCOMES = {
    # Of two used items one is drawn, with all that was done to it; what was done to an unused item or an artist comes
    # along in half of the cases, what was answered on registration always.
    "u0": {
        ("favorite i0, onboarding a0, stream i0", "i1", 1),
        ("ban i2, favorite i0, onboarding a0, stream i0", "i1", 1),
        ("onboarding a0, stream i1", "i0", 1),
        ("ban i2, onboarding a0, stream i1", "i0", 1),
    },
    "u1": {("skip i1, stream i1", "i2", 1), ("stream i2", "i1", 1)},
    "u2": {
        ("stream i2", "i3", 1),
        ("stream a1, stream i2", "i3", 1),
        ("search i3, stream i3", "i2", 1),
        ("search i3, stream a1, stream i3", "i2", 1),
    },
    "u3": {("stream i3", "i4", 1), ("favorite i4", "i3", 1)},
    "u4": {("stream i0", "i4", 1), ("stream i4", "i0", 1)},
}
NOTHING_BUT_REGISTRATION = {
    "u0": ("onboarding a0", "i0 i1", 0),
    "u1": ("", "i1 i2", 0),
    "u2": ("", "i2 i3", 0),
    "u3": ("", "i3 i4", 0),
    "u4": ("", "i0 i4", 0),
}


def split_by_chance(size: int, seed: int, day_ones: int = 1) -> Split:
    protocol = SampledProtocolConfig(
        min_items=2, warm=0.4, validation=0.4, sizes=(size,), probabilities=(1.0,), day_ones=day_ones
    )
    return split_for_training(make_dataset(ACTS), Config(sampled=protocol), seed, with_cold=True)


def test_the_sampled_protocol_draws_one_of_two_items() -> None:
    seen: dict[str, set[tuple[str, str, int]]] = {user: set() for user in OUTCOMES}
    roles: dict[str, set[str]] = {user: set() for user in OUTCOMES}
    for seed in range(60):
        split = split_by_chance(1, seed)
        cold = write_cohort(split.cold)
        validation = write_cohort(split.validation)
        warm = [f"u{user}" for user in split.warm.tolist()]
        assert (len(warm), len(validation), len(cold)) == (2, 2, 1)
        assert sorted([*warm, *validation, *cold]) == list(OUTCOMES)
        for role, users in (("warm", warm), ("validation", validation), ("cold", cold)):
            for user in users:
                roles[user].add(role)
        for user, outcome in (*cold.items(), *validation.items()):
            seen[user].add(outcome)
        for row, user in enumerate(warm):
            assert write_out(split.warm_actions, row) == EVERYTHING[user]
            assert write_out(split.warm_day_one[0], row) in {day for day, _, _ in OUTCOMES[user]}
    assert seen == OUTCOMES
    assert roles == {user: {"warm", "validation", "cold"} for user in OUTCOMES}


@pytest.mark.parametrize("seed", range(3))
def test_a_sampled_day_one_of_no_items_holds_what_was_answered_on_registration(seed: int) -> None:
    split = split_by_chance(0, seed, day_ones=2)
    judged = {**write_cohort(split.cold), **write_cohort(split.validation)}
    assert judged == {user: NOTHING_BUT_REGISTRATION[user] for user in judged}
    for day in split.warm_day_one:
        for row, user in enumerate(split.warm.tolist()):
            assert write_out(day, row) == NOTHING_BUT_REGISTRATION[f"u{user}"][0]


def may(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, 5, day, hour, minute, tzinfo=UTC)


REGISTERED = [may(2, 8), datetime(2024, 4, 20, tzinfo=UTC), may(5, 6), may(5, 20), may(6, 23)]
LOG: list[Act] = [
    (0, "stream", "i0", may(2, 9)),
    (0, "favorite", "i1", may(2, 20)),
    (0, "stream", "i2", may(4, 10)),
    (0, "stream", "i3", may(6, 10)),  # after the cut-off
    (0, "stream", "i0", may(10, 12)),  # the end of the log
    (1, "stream", "i0", may(1)),  # the beginning of the log
    (1, "stream", "i1", may(3)),
    (2, "stream", "i5", may(5, 4)),  # long before registration: left out
    (2, "stream", "i0", may(5, 5, 30)),  # half an hour before it: counts
    (2, "stream", "i1", may(5, 7)),
    (2, "stream", "i2", may(6, 5, 59)),
    (2, "stream", "i3", may(6, 6)),  # 24 hours after registration
    (2, "stream", "i1", may(7)),  # known from day one
    (2, "favorite", "i4", may(8, 5, 59)),
    (2, "stream", "i5", may(8, 6)),  # three days after registration
    (3, "stream", "i2", may(7, 12)),
    (4, "stream", "i0", may(6, 23, 30)),
    (4, "ban", "i3", may(6, 23, 40)),
    (4, "stream", "a1", may(7, 1)),
    (4, "stream", "i1", may(8, 1)),
]
JUDGED = {
    "u2": ("stream i0, stream i1, stream i2", "i3 i4", 3),
    "u3": ("", "i2", 0),
    "u4": ("ban i3, stream a1, stream i0", "i1", 1),
}


@pytest.mark.parametrize("seed", range(6))
def test_the_registration_protocol_reads_day_ones_from_the_log(seed: int) -> None:
    config = parse_config(
        {"seed": seed, "registration": {"target_days": 3}, "sampled": {"sizes": [1], "probabilities": [1.0]}}
    )
    dataset = make_dataset(LOG, REGISTERED)
    nobody = np.zeros(0, dtype=np.int64)
    roles = Roles(warm=np.array([0, 1]), validation=np.array([2, 3, 4]), cold=nobody)
    histories = choose_target_days(read_histories(dataset, config, log_of(dataset, config)), config)
    split = split_registration(dataset, config, histories, roles)
    assert [write_out(split.warm_actions, row) for row in range(2)] == [
        "favorite i1, stream i0 x 2, stream i2, stream i3",
        "stream i0, stream i1",
    ]
    (day,) = split.warm_day_one
    assert write_out(day, 0) == "favorite i1, stream i0"
    assert write_out(day, 1) in ("stream i0", "stream i1")  # registered before the log: drawn
    assert write_cohort(split.validation) == JUDGED
    assert split.validation.unavailable is not None
    assert [split.validation.unavailable.row(row).tolist() for row in range(3)] == [[], [], []]
    assert split.notes == (
        "2 of 5 users are warm: they used an item before 2024-05-10T12:00:00Z. 3 past newcomers with a target "
        "window of 3 days are held out.",
        "day one of 1 of 2 warm users is before the log, which begins 2024-05-01T00:00:00Z; it was sampled from all "
        "items of the user.",
        "interactions: 1 of 20 rows have no time, or are more than 1 h before their user's registration, and were left "
        "out.",
    )
    assert write_cohort(collect_newcomers(dataset, config, histories, np.array([2, 3, 4]))) == JUDGED
