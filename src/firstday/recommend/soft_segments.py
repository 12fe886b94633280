"""`soft_segments`: predicted vector, several near segments, weighted, what their users use."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query, rank_scores, route_where
from firstday.segment.mixing import weigh_segments

TIE_BREAK = 1e-6
"""What popularity counts beside segments: it orders items that none of them ranks."""


def recommend_soft_segments(query: Query) -> Answer:
    """Mix what several near segments use, each by its nearness; needs a signal or a profile value."""
    model = query.model
    tops, shares = model.segments.top_items, model.smoothed_shares

    def score(rows: np.ndarray) -> np.ndarray:
        nearest, weights = weigh_segments(query.predicted[rows], model.segments, model.mixing)
        items = tops[nearest]  # (n, m, n_top)
        values = weights[:, :, None] * shares[nearest]
        cells = np.arange(len(rows))[:, None, None] * model.n_items + items
        known = items >= 0
        mixed = np.bincount(cells[known], values[known], minlength=len(rows) * model.n_items)
        return mixed.reshape(len(rows), model.n_items).astype(np.float32) + TIE_BREAK * model.popularity

    items, values = rank_scores(query, score)
    return Answer(items, values, route_where(query.known, "soft_segments"))
