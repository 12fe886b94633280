"""`fold_in`: the user vector solved from the day's items with items fixed, nearest items."""

from __future__ import annotations

from firstday.recommend.query import Answer, Query, rank_scores, route_where


def recommend_fold_in(query: Query) -> Answer:
    """Rank items by the folded-in vector; needs at least one liked item."""
    vectors = query.model.encoder.fold_in.solve(query.liked)
    items, values = rank_scores(query, lambda rows: vectors[rows] @ query.model.scoring_vectors.T)
    return Answer(items, values, route_where(query.liked.lengths() > 0, "fold_in"))
