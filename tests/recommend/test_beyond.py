"""Strategies beyond the paper: what each ranks by, compared with a plain computation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.artifact.trained_model import Blending
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.embed.kept_users import keep_warm_users
from firstday.errors import ConfigError
from firstday.evaluate.run import evaluate_strategies
from firstday.features.signals import SignalBatch, Signals
from firstday.metrics import measure
from firstday.recommend.answer import answer_all
from firstday.recommend.blend import COMPONENTS, components_of
from firstday.recommend.direct import score_direct
from firstday.recommend.neighbors import score_friends, score_neighbors
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategies_of
from firstday.recommend.soft_segments import mix_segments
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from firstday.training.weights import START, choose_blending, choose_neighborhood
from tests.synthetic import small_config, taste_of_users

K = 20


@pytest.fixture
def query(recommender: Recommender, world_days: SignalBatch) -> Query:
    return Query(recommender.model, world_days, K)


def test_neighbors_share_what_they_use(query: Query) -> None:
    model = query.model
    assert model.warm is not None
    settings = replace(model.neighborhood, temperature=0.1, smoothing=0.5)
    scores = score_neighbors(replace(query, model=replace(model, neighborhood=settings)), np.arange(5))
    used = np.zeros((len(model.warm), model.n_items))
    used[model.warm.uses.row_of_entry(), model.warm.uses.columns] = 1
    for row in range(5):
        closeness = model.warm.vectors @ query.predicted[row]
        nearest = np.argsort(-closeness)[:200]
        weights = np.exp(closeness[nearest] / 0.1)
        expected = weights @ used[nearest] / weights.sum() + 0.5 * model.popularity
        np.testing.assert_allclose(scores[row], expected, rtol=1e-4, atol=1e-6)


def test_friends_share_what_they_use(query: Query) -> None:
    model, friends = query.model, query.signals.friends
    assert friends is not None
    assert model.warm is not None
    rows = np.flatnonzero(friends.lengths() >= 2)[:5]
    lean = model.neighborhood.friend_smoothing
    scores = score_friends(query, rows)
    for place, row in enumerate(rows.tolist()):
        named = friends.row(row)
        counts = np.zeros(model.n_items)
        for friend in named.tolist():
            counts[model.warm.uses.row(friend)] += 1
        near = mix_segments(model, model.warm.vectors[named].mean(axis=0, keepdims=True))[0]
        np.testing.assert_allclose(scores[place], (counts + lean * near) / (len(named) + lean), rtol=1e-4, atol=1e-6)


def test_the_ranker_gives_a_distribution_over_what_is_used(query: Query) -> None:
    ranker = query.model.ranker
    assert ranker is not None
    scores = score_direct(query, np.arange(query.n_users))
    unused = np.flatnonzero(query.model.popularity == 0)
    assert len(unused)
    assert np.isneginf(scores[:, unused]).all()
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-4)


def test_day_one_and_friends_point_the_ranker_and_the_cold_model_to_the_taste(
    world: Dataset, split: Split, recommender: Recommender
) -> None:
    """Users of whom friends alone are known get lists of their friends' taste."""
    tastes, warm = taste_of_users(), split.warm
    for taste in range(4):
        ids = world.users.take(warm[tastes[warm] == taste][:8]).to_list()
        for strategy in ("segment", "direct", "blend", "neighbors", "friends"):
            answer = recommender.recommend(Signals(friends=ids), K, strategy)
            assert answer.route == strategy
            clusters = [int(item.item_id[1:]) % 4 for item in answer.items]
            assert clusters.count(taste) >= 0.6 * K, (strategy, taste)  # chance: a quarter


def test_strangers_are_named_and_change_nothing(recommender: Recommender) -> None:
    plain = recommender.recommend(Signals(age=24), K, "blend")
    strange = recommender.recommend(Signals(age=24, friends=["nobody", "no one"]), K, "blend")
    assert strange.items == plain.items
    assert strange.ignored == ("2 of 2 friends are unknown",)


def test_friends_that_move_no_prediction_are_named(world: Dataset, split: Split) -> None:
    """Trained without friendships, a model still lists what friends use, and says that nothing else heeds them."""
    config = small_config(cold_model={"epochs": 2}, sampled={"day_ones": 1}, ranker={"enabled": False})
    lonely = fit(replace(world, friends=None), split, config)
    assert "friends" not in lonely.model.encoder.blocks()
    ids = world.users.take(split.warm[:5]).to_list()
    answer = lonely.recommend(Signals(friends=ids), K, "friends")
    assert answer.route == "friends"
    assert answer.ignored == ("no warm user has friends, so friends do not move the prediction",)
    assert lonely.recommend(Signals(friends=ids), K, "segment").route == "popular"


def test_blend_is_the_weighted_sum_for_each_class_of_users(query: Query) -> None:
    weights = ({"direct": 1.0}, {"direct": 1.0, "personal": 0.5}, {"neighbors": 2.0})
    mixed = replace(query, model=replace(query.model, blending=Blending(weights)), keep_used=True)
    answer = answer_all(mixed, "blend")
    n_liked = query.liked.lengths()
    for low, high, mine in ((0, 0, weights[0]), (1, 3, weights[1]), (4, 99, weights[2])):
        rows = np.flatnonzero((n_liked >= low) & (n_liked <= high) & query.known)[:4]
        assert len(rows)
        scores = sum(weight * COMPONENTS[name](query, rows) for name, weight in mine.items())
        best = -np.sort(-np.asarray(scores), axis=1)[:, :K]
        np.testing.assert_allclose(answer.scores[rows], best, rtol=1e-5)


def test_weights_follow_validation_users_alone(
    world: Dataset, split: Split, recommender: Recommender, query: Query
) -> None:
    """Truth that `group` answers best moves the weights to what serves it better than those to begin with."""
    model = recommender.model
    batch, _ = model.catalogue.translate(world, split.validation.users, split.validation.day_one)
    asked, truth = Query(model, batch, K), split.validation.truth
    chosen = choose_blending(asked, truth)
    assert chosen == model.blending
    assert all(weights["direct"] == 1 for weights in chosen.weights)
    assert choose_neighborhood(asked, truth) == model.neighborhood
    grouped = np.sort(answer_all(asked, "group").items, axis=1).tolist()
    turned = SparseRows.from_lists(grouped, model.n_items)
    other, begun = choose_blending(asked, turned), Blending((START,) * 3)
    assert all(weights["group"] > 0 for weights in other.weights)

    def precision(blending: Blending) -> float:
        trial = replace(asked, model=replace(model, blending=blending))
        return float(measure(answer_all(trial, "blend").items, turned).precision.mean())

    assert precision(other) > precision(begun)


def test_without_ranker_and_warm_users_the_others_answer(world: Dataset, split: Split) -> None:
    config = small_config(
        cold_model={"epochs": 2}, sampled={"day_ones": 1}, ranker={"enabled": False}, recommend={"warm_users": 0}
    )
    bare = fit(world, split, config)
    assert components_of(bare.model) == ("personal", "soft_segments", "group")
    assert not {"direct", "neighbors", "friends"} & set(strategies_of(bare.model))
    answer = bare.recommend(Signals(age=24, friends=["u000"]), K, "blend")
    assert answer.route == "blend"
    assert answer.ignored == ("friends are not used by this model",)
    for strategy, setting in (
        ("direct", "ranker.enabled = true"),
        ("neighbors", "recommend.warm_users above 0"),
        ("friends", "recommend.warm_users above 0"),
    ):
        with pytest.raises(ConfigError, match=f"{strategy} needs a model trained with {setting}"):
            bare.recommend(Signals(age=24), K, strategy)
        with pytest.raises(ConfigError, match=f"{strategy} needs a model trained with {setting}"):
            evaluate_strategies(world, config, strategies=[strategy])


def test_a_model_keeps_so_many_warm_users_and_no_more(recommender: Recommender) -> None:
    warm = recommender.model.warm
    assert warm is not None
    kept = keep_warm_users(warm.ids, warm.vectors, warm.uses, 50, seed=1)
    assert len(kept) == len(set(kept.ids.values.to_list())) == 50
    for place in (0, 17, 49):
        at = warm.ids.index_of(kept.ids.values[place])
        np.testing.assert_array_equal(kept.vectors[place], warm.vectors[at])
        np.testing.assert_array_equal(kept.uses.row(place), warm.uses.row(at))
    assert keep_warm_users(warm.ids, warm.vectors, warm.uses, len(warm), seed=1).ids is warm.ids
