"""The lists of the paper's strategies on a service of 400 users, recomputed in the plainest way."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.split import Split
from firstday.embed.als import fit_als
from firstday.embed.embeddings import compute_affinity
from firstday.features.signals import SignalBatch
from firstday.methods.auto import Guard
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_query
from firstday.segment.segments import Segments
from tests.synthetic import N_ITEMS
from tests.tiny import with_learned

K = 20


def rows_answered(
    recommender: Recommender, batch: SignalBatch, strategy: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    model = with_learned(recommender.model, auto=Guard())  # no list is left to a fallback
    answer = answer_query(Query(model, batch, K), strategy)  # scores as the strategy has them
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


def plain_cluster_list(
    segments: Segments, asked: np.ndarray, members: np.ndarray, warm_uses: np.ndarray, closed: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Return what the users of the nearest centroid use most, and the share of them."""
    number = int(((segments.centroids.astype(np.float64) - asked) ** 2).sum(axis=1).argmin())
    own = warm_uses[members == number]
    counts = own.sum(axis=0)
    popularity = warm_uses.sum(axis=0)
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
    clusters = model.segments
    features = model.encoder.encode(world_days)
    if strategy == "segment":
        affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), N_ITEMS)
        users = unit_rows(fit_als(affinity, config.embedding, seed=config.seed, threads=1).user_vectors)
        asked = model.cold.predict(features)
    else:
        clusters = model.learned["input_clusters"]
        warm_day, _ = model.catalogue.translate(world, split.warm, split.warm_day_one[0])
        users = unit_rows(model.encoder.encode(warm_day))
        asked = unit_rows(features)
    members = ((users[:, None].astype(np.float64) - clusters.centroids) ** 2).sum(axis=2).argmin(axis=1)
    closed = world_days.excluded_items(config.signals)
    rows, items, values = rows_answered(recommender, world_days, strategy)
    for row in rows:
        kept, shares = plain_cluster_list(clusters, asked[row], members, warm_uses, closed.row(row))
        assert items[row, : len(kept)].tolist() == kept
        np.testing.assert_allclose(values[row, : len(kept)], shares, rtol=1e-6)
