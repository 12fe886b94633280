"""Every strategy answers for every kind of user."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.features.signal_batch import SignalBatch
from firstday.features.signals import Signals
from firstday.ranking import MAX_CELLS, rank_scores
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategy_names
from firstday.recommend.support import searched_names
from firstday.testing import check_strategy
from tests.tiny import N_ITEMS

K = 3
LIKES = [("stream", "item", "i1"), ("stream", "item", "i2")]

PEOPLE: dict[str, Signals] = {
    "nothing known": Signals(),
    "unknown values only": Signals(country="XX", planet="Mars", interactions=[("stream", "item", "no such")]),
    "only a ban": Signals(interactions=[("ban", "item", "i1")]),
    "only a skip": Signals(interactions=[("skip", "item", "i1")]),
    "only an artist": Signals(interactions=[("favorite", "artist", "a1")]),
    "only an item that nobody has": Signals(interactions=[("stream", "item", "i6")]),
    "only an age": Signals(age=30),
    "an age that nobody has": Signals(age=119),
    "only friends": Signals(friends=["u1", "u4"]),
    "only strangers": Signals(friends=["nobody", "no one"]),
    "profile": Signals(age=20, country="FR"),
    "items": Signals(interactions=LIKES),
    "profile and items": Signals(age=40, country="FR", interactions=[LIKES[0], ("ban", "item", "i4")]),
    "everything": Signals(age=40, interactions=[("stream", "item", f"i{ix}") for ix in range(1, 7)]),
}

OWN = None
"""The strategy's own route."""
ROUTES: dict[str, tuple[str | None, str | None, str | None]] = {
    # Of popular and group; of day_one and fold_in, which need items; of those that read features.
    "nothing known": ("popular", "popular", "popular"),
    "unknown values only": ("popular", "popular", "popular"),
    "only a ban": ("popular", "popular", OWN),
    "only a skip": ("popular", "popular", OWN),
    "only an artist": ("popular", "popular", OWN),
    "only an item that nobody has": ("popular", "popular", OWN),
    "only an age": ("group", "group", OWN),
    "an age that nobody has": ("popular", "popular", "popular"),
    "only friends": ("popular", "popular", OWN),
    "only strangers": ("popular", "popular", "popular"),
    "profile": ("group", "group", OWN),
    "items": ("popular", OWN, OWN),
    "profile and items": ("group", OWN, OWN),
    "everything": ("group", OWN, OWN),
}


@pytest.fixture(scope="module")
def everyone(tiny: Recommender) -> SignalBatch:
    return tiny.model.catalogue.read(list(PEOPLE.values()))[0]


@pytest.fixture(params=strategy_names())
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_keeps_what_strategies_promise(tiny: Recommender, strategy: str) -> None:
    check_strategy(tiny, strategy, list(PEOPLE.values()), k=K)


def test_the_route_of_every_kind_of_user(tiny: Recommender, everyone: SignalBatch, strategy: str) -> None:
    of_items = dict.fromkeys(("day_one", "fold_in", "edlae", *searched_names()), 1)
    column = {"popular": 0, "recent": 0, "group": 0, "friends": 0, **of_items}.get(strategy, 2)
    expected = [ROUTES[who][column] or strategy for who in PEOPLE]
    if strategy in ("edlae", *searched_names()):  # they rank nothing that warm users lack
        expected[list(PEOPLE).index("everything")] = "group"
    if strategy == "friends":
        expected[list(PEOPLE).index("only friends")] = "friends"
    expected = ["blend" if name == "auto" else name for name in expected]  # nothing was selected for this model
    if strategy in ("popular", "recent", "trending", "explore"):  # they need nothing of a user
        expected = [strategy] * len(PEOPLE)
    if strategy == "latest":  # of artists
        follow = ("only an artist", "items", "profile and items", "everything")
        expected = ["latest" if who in follow else "trending" for who in PEOPLE]
    routes = dict(zip(PEOPLE, answer_query(Query(tiny.model, everyone, K), strategy).routes.tolist(), strict=True))
    assert routes == dict(zip(PEOPLE, expected, strict=True))


def test_users_are_scored_a_part_at_a_time_with_the_same_result(
    tiny: Recommender, everyone: SignalBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert everyone.n_users * N_ITEMS < MAX_CELLS
    excluded = Query(tiny.model, everyone, K).excluded
    scores = np.random.default_rng(0).random((everyone.n_users, N_ITEMS)).astype(np.float32)
    whole = rank_scores(lambda rows: scores[rows].copy(), excluded, K)
    monkeypatch.setattr("firstday.ranking.MAX_CELLS", 4 * N_ITEMS)
    parts = rank_scores(lambda rows: scores[rows].copy(), excluded, K)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])
