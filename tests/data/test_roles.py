"""Who would be warm, for validation or cold: by hand, in parts, and as the splits have it."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import Protocol, read_histories
from firstday.data.splits.holdout import log_of, split_for_training
from firstday.data.splits.roles import ENOUGH_VALIDATION, MOST_VALIDATION, assign_roles, find_warm, require_enough_users
from firstday.data.splits.split import take_actions
from firstday.data.user_rows import NEVER, UserRows
from firstday.errors import DataError
from tests.data.same import assert_same
from tests.data.test_cut_offs import make_histories
from tests.data.test_splits_by_hand import ACTS, EVERYTHING, LOG, REGISTERED, make_dataset, may, write_out
from tests.engine.parts import divide
from tests.timed import make_log

BY_HAND = parse_config(
    {
        "registration": {"target_days": 3},
        "sampled": {"min_items": 2, "sizes": [1], "probabilities": [1.0]},
    }
)


def configure(**registration: Any) -> Config:
    rules = {"target_days": 5, **registration}
    return parse_config({"registration": rules, "sampled": {"min_items": 16}})


def some_vectors(dataset: Dataset) -> Dataset:
    """Give every other user a vector."""
    users = np.ones((len(dataset.users), 2), np.float32)
    users[::2] = np.nan
    return replace(dataset, user_vectors=users, item_vectors=np.ones((len(dataset.items), 2), np.float32))


def test_five_users_by_hand() -> None:
    dataset = make_dataset(ACTS)
    warm, actions, window = find_warm(dataset, BY_HAND, None)
    assert {f"u{user}": write_out(actions, user) for user in warm} == EVERYTHING
    assert window is None
    histories = read_histories(dataset, BY_HAND, None)
    assert len(histories) == 5
    assert histories.n_used.min() == 2


def test_five_users_with_a_clock_by_hand() -> None:
    """The log is of 1 to 10 May. u1 registered before it begins and u3 used one item."""
    dataset = make_dataset(LOG, REGISTERED)
    log = log_of(dataset, BY_HAND)
    warm, actions, _ = find_warm(dataset, BY_HAND, log)
    assert {f"u{user}": write_out(actions, user) for user in warm} == {
        "u0": "favorite i1, stream i0 x 2, stream i2, stream i3",
        "u1": "stream i0, stream i1",
        "u2": "favorite i4, stream i0, stream i1 x 2, stream i2, stream i3, stream i5",
        "u3": "stream i2",
        "u4": "ban i3, stream a1, stream i0, stream i1",
    }
    histories = read_histories(dataset, BY_HAND, log)
    assert histories.n_used.tolist() == [4, 2, 6, 1, 2]
    returned = [may(4, 10), may(1), may(6, 6), may(7, 12), may(8, 1)]
    assert histories.returned_us.tolist() == [int(at.timestamp() * 1e6) for at in returned]
    assert replace(histories, target_days=3).can_be_evaluated.tolist() == [True, False, True, True, True]
    assert replace(histories, target_days=2).can_be_evaluated.tolist() == [False, False, True, True, True]
    histories = choose_target_days(histories, BY_HAND)
    roles = assign_roles(histories, BY_HAND)
    assert (roles.warm.tolist(), roles.validation.tolist()) == ([0, 1, 2, 3, 4], [0, 2, 3, 4])
    assert sorted(np.concatenate(roles.folds).tolist()) == [0, 1, 2, 3]
    out = np.array([False, False, True, False, False])
    roles = assign_roles(histories, BY_HAND, held_out=out)
    assert (roles.warm.tolist(), roles.validation.tolist(), roles.cold.tolist()) == ([0, 1, 3, 4], [0, 3, 4], [2])


@pytest.mark.parametrize(
    ("n_judged", "n_validation", "n_folds"),
    [(40, 40, 5), (700, 560, 4), (2_000, 800, 2), (4_900, 980, 1), (5_000, 500, 0), (90_000, MOST_VALIDATION, 0)],
)
def test_as_few_folds_as_bring_enough_users_or_a_tenth(n_judged: int, n_validation: int, n_folds: int) -> None:
    histories = make_histories(np.linspace(0, 100, n_judged), n_days=200)
    roles = assign_roles(choose_target_days(histories, configure()), configure())
    assert (len(roles.validation), len(roles.folds)) == (n_validation, n_folds)
    assert len(roles.warm) == n_judged - (0 if n_folds else n_validation)
    assert n_judged < ENOUGH_VALIDATION or len(roles.validation) >= ENOUGH_VALIDATION


@pytest.mark.parametrize("protocol", ["sampled", "registration"])
@pytest.mark.parametrize("with_vectors", [False, True])
def test_warm_users_are_those_of_a_split_and_those_held_out(protocol: Protocol, *, with_vectors: bool) -> None:
    dataset = some_vectors(make_log()) if with_vectors else make_log()
    config = configure().override("protocol", protocol)
    warm, actions, _ = find_warm(dataset, config, log_of(dataset, config))
    split = split_for_training(dataset, config, 5)
    rows = np.flatnonzero(np.isin(split.warm, warm))
    assert len(rows) == len(split.warm)
    assert_same(take_actions(actions, split.warm), split.warm_actions)
    assert set(warm) - set(split.warm) <= set(split.validation.users)


@pytest.mark.parametrize("protocol", ["sampled", "registration"])
@pytest.mark.parametrize("n_parts", [1, 3, 7])
def test_parts_together_are_everyone(protocol: Protocol, n_parts: int) -> None:
    config = configure().override("protocol", protocol)
    dataset = make_log()
    log = log_of(dataset, config)
    whole = read_histories(dataset, config, log)
    parts, users = zip(*divide(dataset, n_parts), strict=True)
    joined = reduce(add, [read_histories(part, config, log) for part in parts])
    order = np.argsort(np.concatenate(users))
    arrays: dict[str, Any] = {
        name: value[order] for name, value in vars(joined).items() if isinstance(value, np.ndarray)
    }
    assert_same(replace(joined, **arrays), whole)


def test_interactions_in_several_parts_are_counted_as_in_one() -> None:
    config = configure()
    dataset = make_log()
    frame = next(dataset.events.frames())
    cut = int(np.searchsorted(frame["user_ix"].to_numpy(), 130))
    in_two = replace(dataset, events=replace(dataset.events, rows=UserRows((frame[:cut], frame[cut:]))))
    for log in (None, log_of(dataset, config)):
        assert_same(read_histories(in_two, config, log), read_histories(dataset, config, log))


def test_a_part_without_interactions_has_its_users() -> None:
    dataset = make_dataset(LOG, REGISTERED)
    log = log_of(dataset, BY_HAND)
    idle = replace(dataset, events=Events.of(dataset.events.whole().clear()))
    histories = read_histories(idle, BY_HAND, log)
    assert histories.n_used.tolist() == [0] * 5
    assert histories.returned_us.tolist() == [NEVER] * 5
    assert find_warm(idle, BY_HAND, log)[0].tolist() == []
    assert read_histories(replace(idle, registered_at=None), BY_HAND, log).registered_us.tolist() == [-1] * 5


def test_who_is_validated_on_in_a_fold_is_not_there_to_learn_from() -> None:
    histories = make_histories(np.arange(10.0))
    config = parse_config({"registration": {"target_days": 3}})
    enough = choose_target_days(histories, config)
    roles = assign_roles(enough, config)
    assert (len(roles.warm), len(roles.folds)) == (10, 5)
    require_enough_users(roles, enough, config)
    few = replace(enough, n_used=np.where(np.arange(10) < 2, 2, 1))
    with pytest.raises(DataError, match=r"^users: 0 can be trained on"):
        require_enough_users(roles, few, config)
