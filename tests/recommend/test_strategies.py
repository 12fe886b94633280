"""Every strategy answers for every kind of user; lists are recomputed in the plainest way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import ITEM, Dataset
from firstday.data.rows import SparseRows
from firstday.data.split import Split
from firstday.embed.affinity import compute_affinity, select_uses
from firstday.embed.als import fit_als
from firstday.errors import ConfigError
from firstday.features.signals import SignalBatch, Signals
from firstday.ranking import unit_rows
from firstday.recommend.query import CELLS_AT_ONCE, Query, rank_scores
from firstday.recommend.recommender import STRATEGIES, Recommender, answer_all, find_strategy
from firstday.segment.segments import Segments
from tests.synthetic import N_CLUSTERS, N_ITEMS, UNUSED_ITEM, cluster_of_items

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
    "profile": ("group", "group", OWN),
    "items": ("popular", OWN, OWN),
    "profile and items": ("group", OWN, OWN),
    "everything": ("group", OWN, OWN),
}


@pytest.fixture(scope="module")
def everyone(recommender: Recommender) -> SignalBatch:
    return recommender.model.catalogue.read(list(PEOPLE.values()))[0]


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_strategies_of_the_contract_are_there() -> None:
    contract = {"popular", "group", "day_one", "input_clusters", "fold_in", "personal", "segment"}
    assert contract <= set(STRATEGIES)


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
    column = {"popular": 0, "group": 0, "day_one": 1, "fold_in": 1}.get(strategy, 2)
    expected = [ROUTES[who][column] or strategy for who in PEOPLE]
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
    whole = rank_scores(query, lambda rows: scores[rows].copy())
    monkeypatch.setattr("firstday.recommend.query.CELLS_AT_ONCE", 7 * N_ITEMS)
    parts = rank_scores(query, lambda rows: scores[rows].copy())
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])


# --- The lists themselves, recomputed -------------------------------------------------------------------------------


def assert_best(items: np.ndarray, values: np.ndarray, scores: np.ndarray, closed: np.ndarray) -> None:
    """Check that a list holds the best open items by scores computed apart, up to rounding."""
    room = 1e-4 * max(1.0, float(np.abs(scores).max()))
    np.testing.assert_allclose(values, scores[items], atol=room)
    assert (np.diff(scores[items]) <= room).all()
    rest = np.setdiff1d(np.arange(len(scores)), np.concatenate([items, closed]))
    assert scores[rest].max() <= scores[items].min() + room


def rows_answered(
    recommender: Recommender, batch: SignalBatch, strategy: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    answer = recommender.recommend_batch(batch, K, strategy)
    rows = np.flatnonzero(answer.routes == strategy)
    assert len(rows) > 40
    return rows, answer.items, answer.scores


@pytest.fixture(scope="module")
def warm_uses(world: Dataset, split: Split) -> np.ndarray:
    """Return which warm user uses what, dense, straight from the events."""
    uses = np.zeros((len(world.users), N_ITEMS))
    for user, signal, entity, item in world.events.select("user_ix", "signal", "entity", "target_ix").rows():
        if entity == ITEM and signal in ("stream", "favorite"):
            uses[user, item] = 1
    warm: np.ndarray = uses[split.warm]
    return warm


def test_popular_counts_warm_users(
    recommender: Recommender, world_days: SignalBatch, warm_uses: np.ndarray, config: Config
) -> None:
    share = warm_uses.mean(axis=0)
    closed = world_days.closed_items(config.signals)
    answer = recommender.recommend_batch(world_days, K, "popular")
    for row in range(world_days.n_users):
        ranked = sorted(set(range(N_ITEMS)) - set(closed.row(row).tolist()), key=lambda item: (-share[item], item))
        assert answer.items[row].tolist() == ranked[:K]
        np.testing.assert_allclose(answer.scores[row], share[ranked[:K]], rtol=1e-6)


def test_group_averages_smoothed_shares(
    recommender: Recommender,
    world: Dataset,
    split: Split,
    world_days: SignalBatch,
    warm_uses: np.ndarray,
    config: Config,
) -> None:
    smoothing, overall = config.recommend.group_smoothing, warm_uses.mean(axis=0)
    assert world.ages is not None
    columns = {**{name: group.codes for name, group in world.groups.items()}, "age": world.ages}
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, "group")
    for row in rows:
        shares = []
        for codes in columns.values():
            code = codes[split.cold.users[row]]
            if code >= 0:
                members = warm_uses[codes[split.warm] == code]
                shares.append((members.sum(axis=0) + smoothing * overall) / (len(members) + smoothing))
        assert_best(items[row], values[row], np.mean(shares, axis=0), closed.row(row))


def liked_items(day: SignalBatch, row: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return a user's items of positive affinity, and the affinities."""
    affinity = np.zeros(N_ITEMS)
    for (signal, entity), rows in day.actions.items():
        if entity == ITEM:
            affinity[rows.row(row)] += config.signals.affinity[signal] * np.log2(1 + rows.row_weights(row))
    liked = np.flatnonzero(affinity > 1e-6)
    return liked, affinity[liked]


def test_day_one_is_the_mean_of_the_liked_items(
    recommender: Recommender, world_days: SignalBatch, config: Config
) -> None:
    vectors = recommender.model.encoder.fold_in.item_vectors.astype(np.float64)
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, "day_one")
    for row in rows:
        liked, _ = liked_items(world_days, row, config)
        assert_best(items[row], values[row], vectors @ vectors[liked].mean(axis=0), closed.row(row))


def test_fold_in_is_the_least_squares_vector(recommender: Recommender, world_days: SignalBatch, config: Config) -> None:
    y = recommender.model.encoder.fold_in.item_vectors.astype(np.float64)
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, "fold_in")
    for row in rows:
        liked, affinity = liked_items(world_days, row, config)
        confidence = np.zeros(N_ITEMS)
        confidence[liked] = config.embedding.als_confidence * affinity
        weights = np.where(confidence > 0, confidence, 1)
        a = (y.T * weights) @ y + config.embedding.als_regularization * np.eye(y.shape[1])
        user = np.linalg.solve(a, y.T @ confidence)
        assert_best(items[row], values[row], y @ user, closed.row(row))


def test_personal_ranks_all_items_by_the_predicted_vector(
    recommender: Recommender, world_days: SignalBatch, config: Config
) -> None:
    model = recommender.model
    predicted = model.cold.predict(model.encoder.encode(world_days))
    scores = predicted.astype(np.float64) @ model.encoder.fold_in.item_vectors.T
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, "personal")
    for row in rows:
        assert_best(items[row], values[row], scores[row], closed.row(row))


def test_personal_by_cosine_minds_no_lengths(recommender: Recommender, world_days: SignalBatch) -> None:
    model = replace(recommender.model, similarity="cosine")
    answer = answer_all(Query(model, world_days, K, keep_used=True), "personal")
    predicted = model.cold.predict(model.encoder.encode(world_days))
    vectors = model.encoder.fold_in.item_vectors[:UNUSED_ITEM].astype(np.float64)
    cosine = predicted @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
    nothing = np.array([], dtype=np.int64)
    for row in range(world_days.n_users):
        assert_best(answer.items[row], answer.scores[row], cosine[row], nothing)


def plain_cluster_list(
    segments: Segments, asked: np.ndarray, members: np.ndarray, warm_uses: np.ndarray, closed: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Return what the users of the nearest centroid use most, and the share of them."""
    number = int(((segments.centroids.astype(np.float64) - asked) ** 2).sum(axis=1).argmin())
    own = warm_uses[members == number]
    counts, popularity = own.sum(axis=0), warm_uses.sum(axis=0)
    used = np.flatnonzero(counts).tolist()
    ranked = sorted(used, key=lambda item: (-counts[item], -popularity[item], item))[: segments.top_items.shape[1]]
    kept = [item for item in ranked if item not in closed][:K]
    return kept, counts[kept] / len(own)


def test_segment_takes_what_the_users_of_the_nearest_segment_use_most(
    recommender: Recommender,
    split: Split,
    world: Dataset,
    world_days: SignalBatch,
    warm_uses: np.ndarray,
    config: Config,
) -> None:
    model = recommender.model
    affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), N_ITEMS)
    users = unit_rows(fit_als(affinity, config.embedding, seed=config.seed, threads=1).user_vectors)
    members = ((users[:, None].astype(np.float64) - model.segments.centroids) ** 2).sum(axis=2).argmin(axis=1)
    predicted = model.cold.predict(model.encoder.encode(world_days))
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, "segment")
    for row in rows:
        kept, shares = plain_cluster_list(model.segments, predicted[row], members, warm_uses, closed.row(row))
        assert items[row, : len(kept)].tolist() == kept
        np.testing.assert_allclose(values[row, : len(kept)], shares, rtol=1e-6)


def test_input_clusters_take_what_the_users_of_the_nearest_cluster_of_features_use_most(
    recommender: Recommender,
    split: Split,
    world: Dataset,
    world_days: SignalBatch,
    warm_uses: np.ndarray,
    config: Config,
) -> None:
    model = recommender.model

    def unit_features(batch: SignalBatch) -> np.ndarray:
        features = model.encoder.encode(batch).astype(np.float64)
        scaled: np.ndarray = features / np.linalg.norm(features, axis=1, keepdims=True)
        return scaled

    warm_day, _ = model.catalogue.translate(world, split.warm, split.warm_day_one[0])
    apart = unit_features(warm_day)[:, None] - model.input_clusters.centroids
    members = (apart**2).sum(axis=2).argmin(axis=1)
    asked = unit_features(world_days)
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, "input_clusters")
    for row in rows:
        kept, shares = plain_cluster_list(model.input_clusters, asked[row], members, warm_uses, closed.row(row))
        assert items[row, : len(kept)].tolist() == kept
        np.testing.assert_allclose(values[row, : len(kept)], shares, rtol=1e-6)


def test_tastes_are_recognised(recommender: Recommender) -> None:
    """Three items of one cluster, and the list is of that cluster."""
    clusters = cluster_of_items()
    for taste in range(N_CLUSTERS):
        likes = [("stream", "item", f"i{ix:03}") for ix in np.flatnonzero(clusters == taste)[[1, 3, 5]]]
        for strategy in ("day_one", "fold_in", "personal", "segment"):
            found = recommender.recommend(Signals(interactions=likes), 10, strategy)
            own = [clusters[int(item.item_id[1:])] == taste for item in found.items]
            assert sum(own) >= 9, (taste, strategy)


# --- One user -------------------------------------------------------------------------------------------------------


def test_an_answer_says_everything_about_itself(recommender: Recommender) -> None:
    user = Signals(
        country="XX",
        interactions=[
            ("stream", "item", "i003"),
            ("stream", "item", "zzz"),
            ("hum", "item", "i003"),
            ("ban", "label", 1),
        ],
    )
    found = recommender.recommend(user, k=7)
    assert (found.strategy, found.route) == ("segment", "segment")
    assert [item.title for item in found.items] == [f"Item {int(item.item_id[1:])}" for item in found.items]
    assert found.ignored == (
        "item 'zzz' is unknown",
        "signal 'hum' is unknown",
        "entity 'label' is unknown",
        "country 'XX' was never seen",
    )
    assert found.segment is not None
    assert found.segment_size == recommender.model.segments.items.sizes[found.segment]
    as_json = found.to_json()
    assert set(as_json) == {"items", "strategy", "route", "segment", "segment_size", "ignored"}
    assert set(as_json["items"][0]) == {"item_id", "title", "score"}
    assert len(as_json["items"]) == 7


def test_of_a_user_of_whom_nothing_is_known_there_is_no_segment(recommender: Recommender) -> None:
    found = recommender.recommend(Signals())
    assert (found.route, found.segment, found.segment_size, found.ignored) == ("popular", None, None, ())
    assert len(found.items) == 20  # the configured length


def test_the_configured_strategy_is_used_where_none_is_named(recommender: Recommender, config: Config) -> None:
    own = config.model_copy(update={"recommend": config.recommend.model_copy(update={"strategy": "fold_in", "k": 3})})
    other = Recommender(replace(recommender.model, config=own))
    found = other.recommend(Signals(interactions=LIKES))
    assert (found.strategy, found.route, len(found.items)) == ("fold_in", "fold_in", 3)


@pytest.mark.parametrize("k", [0, -3])
def test_a_list_has_at_least_one_item(recommender: Recommender, k: int) -> None:
    with pytest.raises(ConfigError, match=rf"^k: is {k}; give a whole number from 1\.$"):
        recommender.recommend(Signals(), k=k)


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        find_strategy("psychic")
    assert str(caught.value) == f"strategy: 'psychic' is unknown; choose of {', '.join(STRATEGIES)}."


def test_closing_items_of_a_dense_user_leaves_their_neighbours_alone(recommender: Recommender) -> None:
    """Keys of (user, item) must not run over into the next user."""
    n = 3
    last_and_first = SparseRows.from_lists([[N_ITEMS - 1], [0], []], N_ITEMS)
    batch = SignalBatch(n, N_ITEMS, {("ban", ITEM): last_and_first}, {}, None)
    lists = recommender.recommend_batch(batch, N_ITEMS, "popular").items
    assert [sorted(set(range(N_ITEMS)) - set(row.tolist())) for row in lists] == [[N_ITEMS - 1], [0], []]
    assert select_uses(batch.actions, recommender.model.config.signals, n, N_ITEMS).n_entries == 0
