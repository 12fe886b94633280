"""Every strategy answers for every kind of user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.config import Config
from firstday.features.signals import SignalBatch, Signals
from firstday.recommend.answer import answer_all
from firstday.recommend.query import Query
from firstday.recommend.ranked_lists import CELLS_AT_ONCE, rank_scores
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategy_names
from tests.synthetic import N_ITEMS, UNUSED_ITEM

K = 20
LIKES = [("stream", "item", f"i{ix:03}") for ix in (0, 4, 8)]

PEOPLE: dict[str, Signals] = {
    "nothing known": Signals(),
    "unknown values only": Signals(country="XX", planet="Mars", interactions=[("stream", "item", "no such")]),
    "only a ban": Signals(interactions=[("ban", "item", "i000")]),
    "only a skip": Signals(interactions=[("skip", "item", "i000")]),
    "only an artist": Signals(interactions=[("favorite", "artist", "a00")]),
    "only an item that nobody has": Signals(interactions=[("stream", "item", f"i{UNUSED_ITEM:03}")]),
    "only an age": Signals(age=33),
    "an age that nobody has": Signals(age=119),
    "only friends": Signals(friends=[f"u{ix:03}" for ix in range(0, 40, 4)]),
    "only strangers": Signals(friends=["nobody", "no one"]),
    "profile": Signals(age=24, country="FR", gender="f"),
    "items": Signals(interactions=LIKES),
    "profile and items": Signals(age=24, country="FR", interactions=[*LIKES, ("ban", "item", "i012")]),
    "everything": Signals(age=40, interactions=[("stream", "item", f"i{ix:03}") for ix in range(N_ITEMS)]),
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
def everyone(recommender: Recommender) -> SignalBatch:
    return recommender.model.catalogue.read(list(PEOPLE.values()))[0]


@pytest.fixture(params=strategy_names())
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_strategies_of_the_contract_are_there() -> None:
    contract = {"popular", "group", "day_one", "input_clusters", "fold_in", "personal", "segment"}
    contract |= {"dropoutnet_personal", "dropoutnet_segment", "melu_personal", "melu_segment"}
    assert contract <= set(strategy_names())


def test_everyone_gets_k_distinct_items_that_are_not_closed(
    recommender: Recommender, everyone: SignalBatch, strategy: str, config: Config
) -> None:
    answer = recommender.recommend_batch(everyone, K, strategy)
    closed = everyone.closed_items(config.signals)
    assert answer.items.shape == answer.scores.shape == (len(PEOPLE), K)
    for row, who in enumerate(PEOPLE):
        items = answer.items[row].tolist()
        if who == "everything":
            assert items == [-1] * K
            continue
        assert len(set(items)) == K, who
        assert min(items) >= 0, who
        assert max(items) < N_ITEMS, who
        assert not set(items) & set(closed.row(row).tolist()), who


def test_used_and_banned_items_come_back_on_request(
    recommender: Recommender, everyone: SignalBatch, strategy: str
) -> None:
    answer = recommender.recommend_batch(everyone, K, strategy, keep_used=True)
    for row, who in enumerate(PEOPLE):
        assert len(set(answer.items[row].tolist())) == K, who
        assert answer.items[row].min() >= 0, who
    complete = recommender.recommend_batch(everyone, N_ITEMS, strategy, keep_used=True)
    np.testing.assert_array_equal(np.sort(complete.items, axis=1), np.tile(np.arange(N_ITEMS), (len(PEOPLE), 1)))


def test_a_list_longer_than_the_catalogue_has_every_open_item_once(
    recommender: Recommender, everyone: SignalBatch, strategy: str, config: Config
) -> None:
    answer = recommender.recommend_batch(everyone, N_ITEMS + 30, strategy)
    closed = everyone.closed_items(config.signals)
    for row, who in enumerate(PEOPLE):
        open_items = np.setdiff1d(np.arange(N_ITEMS), closed.row(row))
        found = answer.items[row, : len(open_items)]
        assert sorted(found.tolist()) == open_items.tolist(), who
        assert (answer.items[row, len(open_items) :] == -1).all(), who
        assert (answer.scores[row, len(open_items) :] == 0).all(), who


def test_the_route_of_every_kind_of_user(recommender: Recommender, everyone: SignalBatch, strategy: str) -> None:
    column = {"popular": 0, "group": 0, "day_one": 1, "fold_in": 1, "friends": 0}.get(strategy, 2)
    expected = [ROUTES[who][column] or strategy for who in PEOPLE]
    if strategy == "friends":
        expected[list(PEOPLE).index("only friends")] = "friends"
    if strategy == "popular":
        expected = ["popular"] * len(PEOPLE)
    routes = dict(zip(PEOPLE, recommender.recommend_batch(everyone, K, strategy).routes.tolist(), strict=True))
    assert routes == dict(zip(PEOPLE, expected, strict=True))


def test_a_fallback_gives_the_list_of_the_route_that_it_names(
    recommender: Recommender, everyone: SignalBatch, strategy: str
) -> None:
    answer = recommender.recommend_batch(everyone, K, strategy)
    for route in ("group", "popular"):
        rows = np.flatnonzero(answer.routes == route)
        other = recommender.recommend_batch(everyone, K, route)
        np.testing.assert_array_equal(answer.items[rows], other.items[rows])
        np.testing.assert_array_equal(answer.scores[rows], other.scores[rows])


def test_one_user_alone_gets_the_list_that_they_get_among_others(
    recommender: Recommender, everyone: SignalBatch, strategy: str
) -> None:
    together = recommender.recommend_batch(everyone, K, strategy)
    for row, (who, user) in enumerate(PEOPLE.items()):
        alone = recommender.recommend(user, K, strategy)
        assert [item.item_id for item in alone.items] == [
            f"i{ix:03}" for ix in together.items[row].tolist() if ix >= 0
        ], who
        assert alone.route == together.routes[row], who
        np.testing.assert_allclose(
            [item.score for item in alone.items], together.scores[row, : len(alone.items)], rtol=1e-4, atol=1e-5
        )


def test_lists_that_are_too_short_are_filled_up_with_popular_items(
    recommender: Recommender, everyone: SignalBatch
) -> None:
    short = replace(recommender.model.segments, top_items=recommender.model.segments.top_items[:, :5])
    model = replace(recommender.model, segments=short)
    answer = answer_all(Query(model, everyone, K), "segment")
    popular = recommender.recommend_batch(everyone, N_ITEMS, "popular").items
    full = answer_all(Query(recommender.model, everyone, K), "segment")
    for row, who in enumerate(PEOPLE):
        if answer.routes[row] == "segment" and who != "everything":
            n_own = int((answer.scores[row] > 0).sum())
            own = answer.items[row, :n_own].tolist()
            assert n_own <= 5
            assert own == full.items[row, :n_own].tolist()
            rest = [item for item in popular[row].tolist() if item >= 0 and item not in own][: K - n_own]
            assert answer.items[row, n_own:].tolist() == rest, who
            assert (answer.scores[row, n_own:] == 0).all()


def test_no_users_get_no_lists(recommender: Recommender, everyone: SignalBatch, strategy: str) -> None:
    answer = recommender.recommend_batch(everyone.take(np.array([], dtype=np.int64)), K, strategy)
    assert answer.items.shape == (0, K)
    assert answer.routes.shape == (0,)


def test_users_are_scored_a_part_at_a_time_with_the_same_result(
    recommender: Recommender, world_days: SignalBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world_days.n_users * N_ITEMS < CELLS_AT_ONCE
    query = Query(recommender.model, world_days, K)
    scores = np.random.default_rng(0).random((world_days.n_users, N_ITEMS)).astype(np.float32)
    whole = rank_scores(lambda rows: scores[rows].copy(), query.excluded, K)
    monkeypatch.setattr("firstday.recommend.ranked_lists.CELLS_AT_ONCE", 7 * N_ITEMS)
    parts = rank_scores(lambda rows: scores[rows].copy(), query.excluded, K)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])
