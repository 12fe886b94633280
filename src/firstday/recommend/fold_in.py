"""`fold_in`: the user vector solved from the day's items with items fixed, nearest items."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_vectors, route_where


def recommend_fold_in(query: Query) -> Answer:
    """Rank items by the folded-in vector; needs a liked item that warm users have too."""
    vectors = query.model.encoder.fold_in.solve(query.liked)
    items, values = rank_vectors(query, vectors)
    return Answer(items, values, route_where(np.asarray(vectors.any(axis=1)), "fold_in"))
