"""The guard of `auto`: `popular` where `blend` was worse beyond chance, for a class or, if it is small, for all."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.data.events import ITEM
from firstday.features.signals import Signals
from firstday.methods.auto import MIN_CLASS_USERS, Guard, choose_guard
from firstday.model.trained_model import KNOWLEDGE
from firstday.recommend.fold import Fold
from firstday.recommend.query import Query
from firstday.sparse import SparseRows
from tests.tiny import N_ITEMS, make_model

MANY = Signals(interactions=[("stream", ITEM, f"i{item}") for item in range(1, 5)])
USERS = {
    "nothing": Signals(),
    "profile": Signals(country="FR"),
    "friends": Signals(friends=["u4"]),
    "1-3": Signals(interactions=[("stream", ITEM, "i1")]),
    "4+": MANY,
}
WORSE = [-0.3] * 30
CHANCE = [0.5, -0.6] * 15
"""Worse by .05 in the mean, with a standard error of .1."""
BETTER = [0.8] * 40


def guard_of(differences: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch) -> Guard:
    """Choose the guard, given what the precision of `blend` is above that of `popular` for users of each class."""
    gains = np.array([gain for of_class in differences.values() for gain in of_class])
    precision = {"blend": 0.1 + np.maximum(gains, 0), "popular": 0.1 - np.minimum(gains, 0), "segment": gains * 0}
    monkeypatch.setattr("firstday.methods.auto.measure_folds", lambda _folds, name: precision[name])
    model = make_model()
    users = [USERS[name] for name, of_class in differences.items() for _ in of_class]
    query = Query(model, model.read_signals(users)[0], 2)
    return choose_guard([Fold(query, SparseRows.from_lists([[0]] * len(users), N_ITEMS))])


def strategies_of(guard: Guard) -> dict[str, str]:
    """Return the strategy of each class."""
    return {name: guard.strategy_of(number) for number, name in enumerate(KNOWLEDGE)}


def test_a_class_gets_popular_if_blend_was_worse_for_it_beyond_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all users together blend was better, which decides for the few of the last class."""
    few = [-1.0] * (MIN_CLASS_USERS - 1)
    differences = {"nothing": BETTER, "profile": WORSE, "friends": BETTER, "1-3": CHANCE, "4+": few}
    guard = guard_of(differences, monkeypatch)
    assert strategies_of(guard) == {
        "nothing": "popular",  # always
        "profile": "popular",
        "friends": "blend",
        "1-3": "blend",
        "4+": "blend",
    }
    evidence = guard.classes[KNOWLEDGE.index("profile")]
    assert evidence.n_users == len(WORSE)
    assert evidence.precision == {"blend": 10.0, "popular": 40.0, "segment": 0.0}
    assert evidence.intervals == {"blend": (10.0, 10.0), "popular": (40.0, 40.0), "segment": (0.0, 0.0)}


def test_where_a_class_tells_nothing_all_users_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    assert strategies_of(guard_of({"profile": WORSE * 3, "1-3": CHANCE, "4+": [1.0]}, monkeypatch)) == dict.fromkeys(
        KNOWLEDGE, "popular"
    )
    assert strategies_of(guard_of({"1-3": CHANCE}, monkeypatch)) == {
        **dict.fromkeys(KNOWLEDGE, "blend"),
        "nothing": "popular",
    }
