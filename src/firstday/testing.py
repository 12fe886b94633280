"""Conformance test of strategies, built-in and third-party: call `check_strategy` in a test of your method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from firstday.data.events import ITEM
from firstday.features.signals import Signals
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.component import Component
from firstday.recommend.plugin_checks import check_answer
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import Rules, compile_rules
from firstday.recommend.support import find_supported

N_USERS = 30
"""Number of users with signals or profile values in `make_users`."""


def check_strategy(
    recommender: Recommender, strategy: str, users: Sequence[Signals] | None = None, *, k: int = 10, seed: int = 0
) -> None:
    """Check that a strategy meets the contract of all strategies.

    Every user gets k distinct items, or all available ones if there are fewer, best first. None of them is used, banned
    or unlisted. Lists are deterministic, and depend neither on other users of the query nor on k. Users of whom the
    strategy knows nothing are left unanswered: no list has only scores of 0, neither without features nor, if the
    learned value has a method `score` (`LearnedScores`), for a user who likes only the least used item. Scores of a
    component of `blend` are finite and do not depend on other users.

    Parameters
    ----------
    recommender
        A model that supports the strategy; training on a few hundred users is enough.
    strategy
        Name of the strategy, which must be registered: see `firstday.register`.
    users
        Users to recommend to. Defaults to random users: some without signals, some with many, and some with signals
        that the model does not know.
    k
        Length of the lists.
    seed
        Seed of the random users.

    Raises
    ------
    AssertionError
        The strategy violates the contract.
    ConfigError
        The strategy is not registered, or the model lacks what it needs.
    FirstdayError
        The strategy raises an exception or returns an invalid `Answer`.

    Examples
    --------
    A strategy that learns must be named in `methods`:

    >>> fd.register(MY_STRATEGY)  # doctest: +SKIP
    >>> recommender = fd.train(dataset, config.override("methods", ["my_strategy"]))  # doctest: +SKIP
    >>> check_strategy(recommender, "my_strategy")  # doctest: +SKIP
    """
    model = recommender.model
    signals, _ = model.read_signals(make_users(model, seed) if users is None else users)
    query = Query(model, signals, min(k, model.n_items))
    spec = find_supported(strategy, model)
    ranked = check_answer(spec.label, spec.recommend(query), query)
    is_unknown = ~query.has_features | hasattr(model.learned.get(strategy), "score")
    is_blind = is_unknown & (ranked.routes != "") & (ranked.items[:, 0] >= 0) & ~ranked.scores.any(axis=1)
    _demand(not is_blind.any(), "gives a list of scores of 0 to users of whom it knows nothing; leave them unanswered")

    def ask(query: Query) -> Answer:
        answer = answer_query(query, strategy)
        _check_lists(query, answer)
        return answer

    answer, again = ask(query), ask(replace(query))
    is_same = np.array_equal(again.items, answer.items) and np.array_equal(again.scores, answer.scores)
    _demand(is_same, "returns different lists for the same query")
    complete = replace(query, k=model.n_items)
    _demand(np.array_equal(ask(complete).items[:, : query.k], answer.items), "begins a longer list differently")
    ask(replace(complete, keep_used=True))
    popular = model.catalogue.items.take(model.popular_items[:2]).to_list()
    ask(query.ask(rules=compile_rules(model, [Rules(deny=popular)], {})))
    for row in range(query.n_users):
        single = ask(query.take(np.array([row])))
        is_same = np.allclose(single.scores[0], answer.scores[row], rtol=1e-4, atol=1e-5)
        _demand(
            single.routes[0] == answer.routes[row] and is_same,
            f"answers user {row} differently alone and among others",
        )
    if spec.component is not None:
        _check_component(query, spec.component)
    nobody = ask(query.take(np.zeros(0, dtype=np.int64)))
    _demand(nobody.items.shape == (0, query.k), "returns lists for an empty query")


def _check_component(query: Query, component: Component) -> None:
    """Check that scores of items are finite, and depend on no other users of the query."""
    rows = np.flatnonzero(query.has_features)
    items = np.tile(np.arange(query.model.n_items), (len(rows), 1))
    scores = component(query, rows).at(items)
    _demand(bool(np.isfinite(scores).all()), "has a component with scores that are not finite")
    for position, row in enumerate(rows):
        single = component(query.take(np.array([row])), np.zeros(1, dtype=np.int64)).at(items[:1])
        is_same = np.allclose(single[0], scores[position], rtol=1e-3, atol=1e-4)
        _demand(is_same, f"has a component that scores differently for user {row} alone and among others")


def make_users(model: TrainedModel, seed: int = 0) -> list[Signals]:
    """Return random users: without signals, with many, with unknown ones, and with the least used item alone."""
    rng = np.random.default_rng(seed)
    catalogue = model.catalogue
    items = catalogue.items

    def draw_items(n_max: int) -> list[str | int]:
        return [items[int(ix)] for ix in rng.permutation(len(items))[: rng.integers(n_max + 1)]]

    users = [Signals(), Signals(interactions=[("no such signal", ITEM, items[0])], no_such_column="x")]
    for number in range(N_USERS):
        targets = [(ITEM, item) for item in draw_items(n_max=12)]
        targets += [(entity, ids[int(rng.integers(len(ids)))]) for entity, ids in catalogue.entities.items()]
        people = catalogue.people
        profile = {name: str(rng.choice(values)) for name, values in catalogue.groups.items()}
        known = {
            "age": int(rng.integers(15, 90)) if catalogue.has_ages else None,
            "interactions": [(str(rng.choice(catalogue.signals)), *target) for target in targets],
            "friends": [people[int(rng.integers(len(people)))]] if people else [],
            "shown": draw_items(n_max=4),
            **profile,
        }
        kept: dict[str, Any] = {name: value for name, value in known.items() if rng.random() >= 0.5}
        users.append(Signals(user_id=f"user {number}", **kept))
    rarest = items[int(model.popular_items[-1])]
    return [*users, Signals(interactions=[(model.config.signals.use[0], ITEM, rarest)])]


def _check_lists(query: Query, answer: Answer) -> None:
    """Check that each user has a route and a list of distinct permitted items, as long as possible, best first."""
    excluded = query.always_excluded
    n_ranked = answer.n_ranked
    for row, (items, route) in enumerate(zip(answer.items, answer.routes, strict=True)):
        available = np.setdiff1d(query.item_rules.items, excluded.row(row))
        n = min(query.k, len(available))
        n_listed = (items >= 0).sum()
        is_full = len(np.intersect1d(items, available)) == n_listed == n
        whose = f"fails for user {row} (route {route!r}): the"
        _demand(route != "" and is_full, f"{whose} list must have {n} distinct items that may be listed")
        scores = answer.scores[row, : n_ranked[row]]
        is_drawn = (answer.propensities[row] < 1).any()  # drawn items are in drawing order
        falls = is_drawn or (np.diff(scores) <= 0).all()
        _demand(bool(np.isfinite(scores).all() and falls), f"{whose} scores must be finite and not rise along the list")


def _demand(holds: bool, fault: str) -> None:
    """Raise AssertionError with a message unless a condition holds; `assert` is disabled by python -O."""
    if not holds:
        raise AssertionError(f"the strategy {fault}.")
