"""`friends`: what the user's friends among established users use, leaning on near segments (not in the paper)."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_scores, route_where
from firstday.recommend.soft_segments import mix_segments


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
