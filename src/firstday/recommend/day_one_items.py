"""`day_one` and `fold_in`: items near to a vector made of the day's items alone."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_vectors, route_where


def recommend_day_one(query: Query) -> Answer:
    """Rank items by the mean vector of the items that the user likes so far; needs one that warm users have too."""
    items, values = rank_vectors(query, query.liked_means)
    return Answer(items, values, route_where(np.asarray(query.liked_means.any(axis=1)), "day_one"))


def recommend_fold_in(query: Query) -> Answer:
    """Rank items by the folded-in vector; needs a liked item that warm users have too."""
    vectors = query.model.encoder.fold_in.solve(query.liked)
    items, values = rank_vectors(query, vectors)
    return Answer(items, values, route_where(np.asarray(vectors.any(axis=1)), "fold_in"))
