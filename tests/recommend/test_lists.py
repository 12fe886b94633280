"""The lists of the paper's strategies on a service of 400 users, recomputed in the plainest way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.artifact.trained_model import Selection
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.split import Split
from firstday.embed.als import fit_als
from firstday.embed.embeddings import compute_affinity
from firstday.features.signals import SignalBatch
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_all
from firstday.segment.segments import Segments
from tests.synthetic import N_ITEMS, UNUSED_ITEM

K = 20


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
    model = replace(recommender.model, selection=Selection())  # no list is left to a fallback
    answer = answer_all(Query(model, batch, K), strategy)  # scores as the strategy has them
    rows = np.flatnonzero(answer.routes == strategy)
    assert len(rows)
    return rows, answer.items, answer.scores


@pytest.fixture(scope="module")
def warm_uses(world: Dataset, split: Split) -> np.ndarray:
    """Return which warm user uses what, dense, straight from the events."""
    uses = np.zeros((len(world.users), N_ITEMS))
    for user, signal, entity, item in world.events.whole().select("user_ix", "signal", "entity", "target_ix").rows():
        if entity == ITEM and signal in ("stream", "favorite"):
            uses[user, item] = 1
    warm: np.ndarray = uses[split.warm]
    return warm


def test_popular_counts_warm_users(
    recommender: Recommender, world_days: SignalBatch, warm_uses: np.ndarray, config: Config
) -> None:
    share = warm_uses.mean(axis=0)
    closed = world_days.closed_items(config.signals)
    answer = recommender.answer_batch(world_days, K, "popular")
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
    widths = recommender.model.encoder.age_widths
    assert widths is not None
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, "group")
    for row in rows:
        shares = []
        for name, codes in columns.items():
            code, warm_codes = codes[split.cold.users[row]], codes[split.warm].astype(np.float64)
            if code >= 0:
                width = widths[code] if name == "age" else 1
                weights = np.where(warm_codes >= 0, np.maximum(0, 1 - np.abs(warm_codes - code) / width), 0)
                shares.append((weights @ warm_uses + smoothing * overall) / (weights.sum() + smoothing))
        assert_best(items[row], values[row], np.mean(shares, axis=0), closed.row(row))


def liked_items(day: SignalBatch, row: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return a user's items of positive affinity, and the affinities."""
    affinity = np.zeros(N_ITEMS)
    for (signal, entity), rows in day.actions.items():
        if entity == ITEM:
            affinity[rows.row(row)] += config.signals.affinity[signal] * np.log2(1 + rows.row_weights(row))
    liked = np.flatnonzero(affinity > 1e-6)
    return liked, affinity[liked]


def test_fold_in_is_the_least_squares_vector(recommender: Recommender, world_days: SignalBatch, config: Config) -> None:
    y = recommender.model.fold_in.item_vectors.astype(np.float64)
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


def test_personal_by_cosine_minds_no_lengths(recommender: Recommender, world_days: SignalBatch) -> None:
    model = replace(recommender.model, similarity="cosine", selection=Selection())
    answer = answer_all(Query(model, world_days, K, keep_used=True), "personal")
    predicted = model.cold.predict(model.encoder.encode(world_days))
    vectors = model.fold_in.item_vectors[:UNUSED_ITEM].astype(np.float64)
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


@pytest.mark.parametrize("strategy", ["segment", "input_clusters"])
def test_lists_are_what_the_users_of_the_nearest_cluster_use_most(
    recommender: Recommender,
    split: Split,
    world: Dataset,
    world_days: SignalBatch,
    warm_uses: np.ndarray,
    config: Config,
    strategy: str,
) -> None:
    model = recommender.model
    clusters, features = model.segments, model.encoder.encode(world_days)
    if strategy == "segment":
        affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), N_ITEMS)
        users = unit_rows(fit_als(affinity, config.embedding, seed=config.seed, threads=1).user_vectors)
        asked = model.cold.predict(features)
    else:
        clusters = model.input_clusters
        warm_day, _ = model.catalogue.translate(world, split.warm, split.warm_day_one[0])
        users, asked = unit_rows(model.encoder.encode(warm_day)), unit_rows(features)
    members = ((users[:, None].astype(np.float64) - clusters.centroids) ** 2).sum(axis=2).argmin(axis=1)
    closed = world_days.closed_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, strategy)
    for row in rows:
        kept, shares = plain_cluster_list(clusters, asked[row], members, warm_uses, closed.row(row))
        assert items[row, : len(kept)].tolist() == kept
        np.testing.assert_allclose(values[row, : len(kept)], shares, rtol=1e-6)
