"""Conformance test of strategies, built-in and third-party: call `check_strategy` in a test of your method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from firstday.features.signals import Signals
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import Rules, compile_rules


def check_strategy(recommender: Recommender, strategy: str, users: Sequence[Signals], *, k: int = 10) -> None:
    """Check that a strategy meets the contract of all strategies.

    Every user gets k distinct items, or all available ones if there are fewer, best first. None of them is used, banned
    or unlisted. Lists are deterministic, and depend neither on other users of the query nor on k.

    Parameters
    ----------
    recommender
        A model that supports the strategy; one of a few users is enough.
    strategy
        Name of the strategy, which must be registered: see `firstday.register`.
    users
        Users to recommend to: some without signals, some with many, and some with signals that the model does not know.
    k
        Length of the lists.

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
    >>> check_strategy(recommender, "my_strategy", [fd.Signals(), fd.Signals(age=30)])  # doctest: +SKIP
    """
    model = recommender.model
    signals, _ = model.read_signals(users)
    query = Query(model, signals, min(k, model.n_items))

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
    nobody = ask(query.take(np.zeros(0, dtype=np.int64)))
    _demand(nobody.items.shape == (0, query.k), "returns lists for an empty query")


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
