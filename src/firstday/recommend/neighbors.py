"""`neighbors`: predicted vector, nearest warm users, what they use (u2u2i; not in the paper)."""

from __future__ import annotations

import numpy as np

from firstday.data.rows import SparseRows
from firstday.ranking import weigh_nearest
from firstday.recommend.query import Answer, Query, rank_scores, route_where

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
