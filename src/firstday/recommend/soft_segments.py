"""`soft_segments`: predicted vector, several near segments, weighted, what their users use."""

from __future__ import annotations

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.query import Answer, Query, rank_scores, route_where
from firstday.segment.segments import weigh_segments

TIE_BREAK = 1e-6
"""What popularity counts beside segments: it orders items that none of them ranks."""


def recommend_soft_segments(query: Query) -> Answer:
    """Mix what several near segments use, each by its nearness; needs a signal or a profile value."""
    items, values = rank_scores(query, lambda rows: score_soft_segments(query, rows))
    return Answer(items, values, route_where(query.known, "soft_segments"))


def score_soft_segments(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return weighted shares of the segments near to the predicted vectors, float32, shape (n_rows, n_items)."""
    return mix_segments(query.model, query.predicted[rows])


def mix_segments(model: TrainedModel, vectors: np.ndarray) -> np.ndarray:
    """Return the share of people near to each vector who use each item, float32, shape (n_vectors, n_items)."""
    tops, shares = model.segments.top_items, model.smoothed_shares
    nearest, weights = weigh_segments(vectors, model.segments, model.mixing)
    items = tops[nearest]  # (n, m, n_top)
    values = weights[:, :, None] * shares[nearest]
    cells = np.arange(len(vectors))[:, None, None] * model.n_items + items
    known = items >= 0
    mixed = np.bincount(cells[known], values[known], minlength=len(vectors) * model.n_items)
    return mixed.reshape(len(vectors), model.n_items).astype(np.float32) + TIE_BREAK * model.popularity
