"""`neighbors` and `friends`: items used by the nearest warm users, and by friends."""

from __future__ import annotations

from functools import partial

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.ranking import weigh_nearest
from firstday.recommend.query import Query
from firstday.recommend.spec import KEPT_USERS, StrategySpec
from firstday.recommend.strategies.segments import mix_segments
from firstday.sparse import SparseRows

N_NEIGHBORS = 200
"""Maximum number of neighbours per cold user."""
N_SEARCHED = 2_500
"""Minimum number of warm users to search; whole segments are added, nearest first."""


def score_neighbors(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the share of neighbours who use each item, smoothed towards popularity, float32, shape (n_rows, n_items).

    A neighbour's weight falls by a factor of e per `temperature` of cosine distance to the predicted vector. Popularity
    has the weight `smoothing`, relative to a total of 1 for the neighbours.
    """
    model = query.model
    warm = query.model.warm
    assert warm is not None
    settings = model.neighborhood
    nearest, weights = find_neighbors(model, query.predicted[rows], settings.temperature, query.closeness[rows])
    ends = nearest.shape[1] * np.arange(len(rows) + 1)
    shares = SparseRows(ends, nearest.ravel(), weights.ravel(), len(warm)).times(warm.uses)
    shares += np.float32(settings.smoothing) * model.popularity
    shares /= np.float32(1 + settings.smoothing)
    return shares


def find_neighbors(
    model: TrainedModel, vectors: np.ndarray, temperature: float, closeness: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the kept users nearest to each vector, and their weights; see `weigh_nearest`.

    `vectors` are unit vectors, float32, shape (n, d); `closeness` has the closeness of each segment to each of them,
    shape (n, n_segments). In large models, only users in the segments nearest to the vector are searched
    (`N_SEARCHED`): an inverted file whose lists are the segments (H. Jegou, M. Douze, C. Schmid, "Product Quantization
    for Nearest Neighbor Search", TPAMI 2011, section 4, without the quantization).
    """
    assert model.warm is not None
    people = model.warm.vectors
    if len(people) <= N_SEARCHED or not len(vectors):
        return weigh_nearest(vectors @ people.T, N_NEIGHBORS, temperature)
    nearest = []
    weights = []
    for vector, near in zip(vectors, closeness, strict=True):
        members = find_members(model, near, N_SEARCHED)
        columns, of_vector = weigh_nearest((people[members] @ vector)[None], N_NEIGHBORS, temperature)
        nearest.append(members[columns[0]])
        weights.append(of_vector[0])
    return np.stack(nearest), np.stack(weights)


def find_members(model: TrainedModel, closeness: np.ndarray, n_users: int) -> np.ndarray:
    """Return the rows of at least `n_users` kept users, by whole segments, closest first.

    `closeness` has the closeness of each segment to the vector, shape (n_segments,).
    """
    kept = model.kept_by_segment
    nearest = np.argsort(-closeness)
    n_segments = int(np.searchsorted(kept.lengths()[nearest].cumsum(), n_users)) + 1
    return kept.take(nearest[:n_segments]).columns


def score_friends(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the share of friends who use each item, float32, shape (n_rows, n_items).

    Few users have many friends, so the share is smoothed towards that of the segments near the friends' mean vector,
    with the weight of `friend_smoothing` friends.
    """
    model = query.model
    friends = query.friends.take(rows)
    assert model.warm is not None
    scores = friends.times(model.warm.uses)
    smoothing = np.float32(model.neighborhood.friend_smoothing)
    scores += smoothing * mix_segments(model, friends.mean_vectors(model.warm.vectors))
    scores /= (friends.lengths() + smoothing)[:, None]
    return scores


NEIGHBORS = StrategySpec(
    name="neighbors",
    recommend=lambda query: query.rank_scores(partial(score_neighbors, query), "neighbors", query.has_features),
    describe="Rank items by the share of the nearest warm users who use them, weighted by similarity.",
    explain="The most used items of the people nearest to the predicted taste, weighted by similarity.",
    needs=(KEPT_USERS,),
    reads=(),
    scale="share of the nearest people",
)
FRIENDS = StrategySpec(
    name="friends",
    recommend=lambda query: query.rank_scores(partial(score_friends, query), "friends", query.friends.lengths() > 0),
    describe="Rank items by the share of friends who use them.",
    explain="Items that the user's friends, and people similar to them, use.",
    needs=(KEPT_USERS,),
    reads=("friends",),
    scale="share of friends and people like them",
)
