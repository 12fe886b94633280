"""`direct`: day-one features, network, items, without a vector or a segment in between (not in the paper)."""

from __future__ import annotations

import numpy as np

from firstday.ranking import spread_scores
from firstday.recommend.query import Answer, Query, rank_scores, route_where


def recommend_direct(query: Query) -> Answer:
    """Rank items by the ranker; needs a signal or a profile value."""
    items, values = rank_scores(query, lambda rows: score_direct(query, rows))
    return Answer(items, values, route_where(query.known, "direct"))


def score_direct(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return log-probabilities, minus infinity for items that are not ranked, float32, shape (n_rows, n_items)."""
    ranker = query.model.ranker
    assert ranker is not None
    return spread_scores(ranker.score(query.ranker_hidden[rows]), ranker.items, query.model.n_items)
