"""Who would be warm, and what is counted of a part, against the splits themselves."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset, PrecomputedVectors
from firstday.data.events import Events
from firstday.data.splits.registration import Log, are_complete, find_registrations, split_registration
from firstday.data.splits.roles import Protocol, RoleCounts, count_roles, find_warm
from firstday.data.splits.sampled import split_sampled
from firstday.data.splits.split import Actions
from firstday.errors import ConfigError, DataError
from tests.data.test_splits_by_hand import ACTS, EVERYTHING, JUDGED, LOG, REGISTERED, make_dataset, write_out
from tests.engine.parts import divide
from tests.timed import make_log

BY_HAND = parse_config(
    {
        "registration": {"cold_days": 2, "target_days": 3, "min_items": 2, "validation": 0.7, "held_out": 0.5},
        "sampled": {"min_items": 2, "sizes": [1], "probabilities": [1.0]},
    }
)


def configure(**registration: Any) -> Config:
    rules = {"cold_days": 10, "target_days": 5, "min_items": 12, "validation": 0.5, **registration}
    return parse_config({"registration": rules, "sampled": {"min_items": 16}})


def some_vectors(dataset: Dataset) -> Dataset:
    """Give every other user a vector."""
    users = np.ones((len(dataset.users), 2), np.float32)
    users[::2] = np.nan
    return replace(dataset, precomputed=PrecomputedVectors(users, np.ones((len(dataset.items), 2), np.float32)))


def same_actions(one: Actions, other: Actions) -> None:
    assert list(one) == list(other)
    for pair, rows in one.items():
        np.testing.assert_array_equal(rows.starts, other[pair].starts)
        np.testing.assert_array_equal(rows.columns, other[pair].columns)
        np.testing.assert_array_equal(rows.weights, other[pair].weights)


def test_five_users_by_hand() -> None:
    dataset = make_dataset(ACTS)
    warm, actions = find_warm(dataset, BY_HAND, "sampled", None)
    assert {f"u{user}": write_out(actions, row) for row, user in enumerate(warm)} == EVERYTHING
    strict = BY_HAND.override("sampled.min_items", 3)
    assert find_warm(dataset, strict, "sampled", None)[0].tolist() == []
    assert count_roles(dataset, BY_HAND, "sampled", None) == RoleCounts(5, 17, 12, used=5, eligible=5, warm=5)
    assert count_roles(dataset, strict, "sampled", None).light == 5


def test_five_users_with_a_clock_by_hand() -> None:
    """The log is of 1 to 10 May and the cut-off 5 May, by when u0 and u1 used two items; u3 never does.

    u1 registered before the log begins; for the others it has three days from registration on, with something new.
    """
    dataset, log = make_dataset(LOG, REGISTERED), Log.of(make_dataset(LOG).events)
    warm, actions = find_warm(dataset, BY_HAND, "registration", log)
    assert {f"u{user}": write_out(actions, row) for row, user in enumerate(warm)} == {
        "u0": "favorite i1, stream i0 x 2, stream i2, stream i3",
        "u1": "stream i0, stream i1",
        "u2": "favorite i4, stream i0, stream i1 x 2, stream i2, stream i3, stream i5",
        "u4": "ban i3, stream a1, stream i0, stream i1",
    }
    counts = count_roles(dataset, BY_HAND, "registration", log)
    assert counts == RoleCounts(
        users=5,
        interactions=20,
        uses=18,
        used=5,
        eligible=4,
        warm=4,
        complete=4,
        complete_warm=3,
        complete_judged=4,
        early_warm=2,
        cold=len(JUDGED),
        idle=0,
    )
    assert counts.light == 1


@pytest.mark.parametrize("with_vectors", [False, True])
def test_sampled_warm_users_are_those_of_a_split_and_those_held_out(world: Dataset, *, with_vectors: bool) -> None:
    config = parse_config({"sampled": {"min_items": 17, "day_ones": 1}})
    dataset = some_vectors(world) if with_vectors else world
    warm, actions = find_warm(dataset, config, "sampled", None)
    split = split_sampled(dataset, config.signals, config.sampled, seed=5, with_cold=False)
    held_out = split.validation.users
    if with_vectors:
        held_out = held_out[held_out % 2 == 1]
    assert 0 < len(warm) < len(world.users)
    assert warm.tolist() == sorted([*split.warm, *held_out])
    order = np.searchsorted(warm, split.warm)
    same_actions({pair: rows.take(order) for pair, rows in actions.items()}, split.warm_actions)
    counts = count_roles(dataset, config, "sampled", None)
    assert (counts.warm, counts.users, counts.interactions) == (len(warm), 400, len(world.events))
    assert counts.eligible == (len(find_warm(world, config, "sampled", None)[0]))


@pytest.mark.parametrize("with_vectors", [False, True])
@pytest.mark.parametrize("rules", [{}, {"day_one": "calendar-day", "time_zone": "Asia/Tokyo"}, {"early_hours": 30}])
def test_dated_warm_users_are_those_of_a_split_but_for_whom_it_judges(
    rules: dict[str, Any], *, with_vectors: bool
) -> None:
    config, dataset = configure(**rules), make_log()
    dataset = some_vectors(dataset) if with_vectors else dataset
    log = Log.of(dataset.events)
    warm, actions = find_warm(dataset, config, "registration", log)
    arguments = dataset, config.signals, config.registration, config.sampled
    training = split_registration(*arguments, seed=3, with_cold=False)
    lost = np.setdiff1d(warm, training.warm)
    order = np.searchsorted(warm, training.warm)
    assert warm[order].tolist() == training.warm.tolist()
    same_actions({pair: rows.take(order) for pair, rows in actions.items()}, training.warm_actions)
    complete = are_complete(find_registrations(dataset, config.registration), log, config.registration)
    assert complete[lost].all()
    assert set(training.validation.users.tolist()) & set(warm.tolist()) <= set(lost.tolist())

    counts = count_roles(dataset, config, "registration", log)
    assert (counts.warm, counts.complete) == (len(warm), complete.sum())
    assert counts.complete_warm == complete[warm].sum()
    everyone_judged = config.override("registration.held_out", 0.999999)
    judged = split_registration(
        dataset, config.signals, everyone_judged.registration, config.sampled, seed=3, with_cold=False
    )
    assert counts.complete_judged == len(judged.validation)
    evaluation = split_registration(*arguments, seed=3)
    assert counts.early_warm == len(evaluation.warm)
    assert counts.cold == len(evaluation.validation) + len(evaluation.cold)
    assert f"{counts.idle:,} more used nothing new" in " ".join(evaluation.notes)
    assert counts.light + counts.eligible == counts.used < counts.users


@pytest.mark.parametrize("protocol", ["sampled", "registration"])
@pytest.mark.parametrize("n_parts", [1, 3, 7])
def test_parts_together_are_everyone(protocol: Protocol, n_parts: int) -> None:
    config, dataset = configure(), make_log()
    log = Log.of(dataset.events)
    warm, actions = find_warm(dataset, config, protocol, log)
    whole = count_roles(dataset, config, protocol, log)
    place = {int(user): row for row, user in enumerate(warm)}
    seen: list[int] = []
    counts = []
    for part, users in divide(dataset, n_parts):
        own_warm, own_actions = find_warm(part, config, protocol, log)
        rows = np.array([place[int(user)] for user in users[own_warm]], dtype=np.int64)
        same_actions(own_actions, {pair: actions[pair].take(rows) for pair in own_actions})
        seen += users[own_warm].tolist()
        counts.append(count_roles(part, config, protocol, log))
    assert sorted(seen) == warm.tolist()
    assert reduce(add, counts, RoleCounts()) == whole


def test_interactions_in_several_parts_are_counted_as_in_one() -> None:
    config, dataset = configure(), make_log()
    log, frame = Log.of(dataset.events), dataset.events.parts[0]
    assert isinstance(frame, pl.DataFrame)
    cut = int(np.searchsorted(frame["user_ix"].to_numpy(), 130))
    pieces = (frame[:cut], frame[cut:])
    in_two = replace(dataset, events=replace(dataset.events, parts=pieces))
    for protocol in ("sampled", "registration"):
        assert count_roles(in_two, config, protocol, log) == count_roles(dataset, config, protocol, log)


def test_a_part_without_uses_or_interactions_counts_its_users() -> None:
    dataset = make_dataset(LOG, REGISTERED)
    log = Log.of(dataset.events)
    idle = replace(dataset, events=Events.of(dataset.events.whole().clear()))
    counts = count_roles(idle, BY_HAND, "registration", log)
    assert counts == RoleCounts(users=5, complete=4, idle=3)
    assert find_warm(idle, BY_HAND, "registration", log)[0].tolist() == []
    assert find_warm(idle, BY_HAND, "sampled", None)[0].tolist() == []
    assert count_roles(idle, BY_HAND, "sampled", None) == RoleCounts(users=5)
    assert count_roles(replace(idle, registered_at=None), BY_HAND, "registration", log).undated == 5


def test_a_log_has_two_ends() -> None:
    dataset = make_dataset(LOG)
    assert Log.of(dataset.events) == Log(dataset.events.first or 0, (dataset.events.last or 0) + 1)
    with pytest.raises(DataError, match=r"^interactions.timestamp: no interaction has a time, which the protocol"):
        Log.of(make_dataset(ACTS).events)
    with pytest.raises(DataError, match=r"^interactions: no row is left to learn from \(rows in the future are left"):
        Log.of(make_dataset([]).events)


def test_a_cut_off_for_which_there_is_no_room_leaves_evaluation_empty() -> None:
    dataset = make_log()
    counts = count_roles(dataset, configure(cold_days=60), "registration", Log.of(dataset.events))
    assert (counts.early_warm, counts.cold, counts.idle) == (0, 0, 0)
    assert counts.warm == count_roles(dataset, configure(), "registration", Log.of(dataset.events)).warm
    with pytest.raises(ConfigError, match="no time zone"):
        count_roles(
            dataset, configure(day_one="calendar-day", time_zone="Mars"), "registration", Log.of(dataset.events)
        )
