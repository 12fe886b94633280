"""`neighbors` and `friends`: what established people near to the user, or known to them, use."""

from __future__ import annotations

import numpy as np

from firstday.ranking import weigh_nearest
from firstday.recommend.query import Answer, Query, rank_scores, route_where
from firstday.recommend.soft_segments import mix_segments
from firstday.sparse import SparseRows

N_NEIGHBORS = 200
"""Warm users who speak for one cold user, at most."""


def recommend_neighbors(query: Query) -> Answer:
    """Rank items by how many of the nearest warm users use them, the nearer the more; needs a signal or a profile."""
    items, values = rank_scores(query, lambda rows: score_neighbors(query, rows))
    return Answer(items, values, route_where(query.known, "neighbors"))


def score_neighbors(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the share of neighbours who use each item, leaning on everyone's, float32, shape (n_rows, n_items).

    The weight of a neighbour falls by e for every `temperature` of the cosine to the vector predicted for this. The
    share with everyone counts as `smoothing` of the neighbours' weight.
    """
    model = query.model
    warm, settings = model.warm, model.neighborhood
    assert warm is not None
    closeness = query.predicted_for_neighbors[rows] @ warm.neighbor_vectors.T  # (n_rows, n_warm)
    nearest, weights = weigh_nearest(closeness, N_NEIGHBORS, settings.temperature)
    shares = add_up(warm.used_by_neighbors.take(nearest.ravel()), weights.ravel(), len(rows), model.n_items)
    return shares + np.float32(settings.smoothing) * model.popularity


def add_up(uses: SparseRows, weights: np.ndarray, n_users: int, n_items: int) -> np.ndarray:
    """Add the weights of the people who use each item.

    Parameters
    ----------
    uses
        Items of the people, as many for each user, a user's people one after the other, shape (n_people, n_items).
    weights
        One for each of the people, shape (n_people,).
    n_users, n_items
        Shape of the result, float32.
    """
    per_user = uses.n_rows // max(1, n_users)
    cells = uses.row_of_entry() // max(1, per_user) * n_items + uses.columns
    added = np.bincount(cells, np.repeat(weights, uses.lengths()), minlength=n_users * n_items)
    return added.reshape(n_users, n_items).astype(np.float32)


def recommend_friends(query: Query) -> Answer:
    """Rank items by the share of friends who use them; needs a friend whom the model keeps."""
    friends = query.signals.friends
    if friends is None or query.model.warm is None:
        nobody = np.zeros(query.n_users, dtype=bool)
        shape = (query.n_users, query.k)
        return Answer(np.full(shape, -1, np.int32), np.zeros(shape, np.float32), route_where(nobody, "friends"))
    items, values = rank_scores(query, lambda rows: score_friends(query, rows))
    return Answer(items, values, route_where(friends.lengths() > 0, "friends"))


def score_friends(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the share of friends who use each item, float32, shape (n_rows, n_items).

    People have few friends here, so the share leans on what people like them use: the segments near to the friends'
    mean vector count as `friend_smoothing` friends more.
    """
    model, friends = query.model, query.signals.friends
    assert friends is not None
    assert model.warm is not None
    mine = friends.take(rows)
    used = mine.through(model.warm.uses)
    scores = np.zeros((len(rows), model.n_items), dtype=np.float32)
    scores[used.row_of_entry(), used.columns] = used.weights
    lean = np.float32(model.neighborhood.friend_smoothing)
    scores += lean * mix_segments(model, mine.mean_vectors(model.warm.vectors))
    scores /= (mine.lengths() + lean)[:, None]
    return scores
