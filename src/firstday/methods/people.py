"""`neighbors` and `friends`: items used by the nearest warm users, and by friends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from firstday.methods.segments import mix_segments
from firstday.model.trained_model import TrainedModel
from firstday.ranking import weigh_nearest
from firstday.recommend.belief import find_members
from firstday.recommend.component import log_share_component
from firstday.recommend.query import Query
from firstday.recommend.spec import KEPT_USERS, OptionSearch, StrategySpec
from firstday.sparse import SparseRows

N_NEIGHBORS = 200
"""Maximum number of neighbours per cold user."""
N_SEARCHED = 2_500
"""Minimum number of warm users to search; whole segments are added, nearest first."""
MAX_SEARCH_USERS = 1_000
"""Maximum number of validation users on whom settings are chosen."""


@dataclass(frozen=True)
class Neighborhood:
    """Weighting of the nearest stored users, chosen on validation users.

    `temperature` is that of the softmax over cosines of a neighbour's vector and the predicted one; `smoothing` is the
    weight of popularity, relative to a total of 1 for the neighbours.
    """

    temperature: float = 0.05
    smoothing: float = 0.02


@dataclass(frozen=True)
class FriendWeights:
    """Weight of the segments nearest to the friends' mean vector, in pseudo-friends, chosen on validation users."""

    smoothing: float = 10.0


def score_neighbors(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the share of neighbours who use each item, smoothed towards popularity, float32, shape (n_rows, n_items).

    A neighbour's weight falls by a factor of e per `temperature` of cosine distance to the predicted vector.
    """
    model = query.model
    warm = query.model.warm
    assert warm is not None
    settings: Neighborhood = query.learned("neighbors")
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


def score_friends(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the share of friends who use each item, float32, shape (n_rows, n_items).

    Few users have many friends, so the share is smoothed towards that of the segments near the friends' mean vector,
    with the weight of `FriendWeights.smoothing` friends.
    """
    model = query.model
    friends = query.friends.take(rows)
    assert model.warm is not None
    scores = friends.times(model.warm.uses)
    smoothing = np.float32(query.learned("friends").smoothing)
    scores += smoothing * mix_segments(model, friends.mean_vectors(model.warm.vectors)).dense
    scores /= (friends.lengths() + smoothing)[:, None]
    return scores


NEIGHBORS = StrategySpec(
    name="neighbors",
    recommend=lambda query: query.rank_scores(partial(score_neighbors, query), "neighbors", query.has_features),
    describe="Rank items by the share of the nearest warm users who use them, weighted by similarity.",
    explain="The most used items of the people nearest to the predicted taste, weighted by similarity.",
    needs=(KEPT_USERS,),
    value=Neighborhood,
    always_trained=True,
    search=OptionSearch(
        grid={"temperature": (0.03, 0.05, 0.08, 0.12), "smoothing": (0.02, 0.1)}, max_users=MAX_SEARCH_USERS
    ),
    component=log_share_component(score_neighbors),
    scale="share of the nearest people",
)
FRIENDS = StrategySpec(
    name="friends",
    recommend=lambda query: query.rank_scores(partial(score_friends, query), "friends", query.friends.lengths() > 0),
    describe="Rank items by the share of friends who use them.",
    explain="Items that the user's friends, and people similar to them, use.",
    needs=(KEPT_USERS,),
    value=FriendWeights,
    always_trained=True,
    search=OptionSearch(grid={"smoothing": (1.0, 3.0, 10.0, 30.0)}, max_users=MAX_SEARCH_USERS),
    component=log_share_component(score_friends),
    scale="share of friends and people like them",
)
