"""Evidence in `blend`: what a user passed over, and used beside it, of what was shown.

Two components join the others for users who passed something over: what people use whom the user is believed to be like
(`firstday.recommend.belief`), and how near items are to the vector that is solved of all evidence
(`firstday.embed.embeddings.FoldIn.solve_evidence`). Their weights were chosen on validation users (docs/bandit.md).
"""

from __future__ import annotations

import numpy as np

from firstday.recommend.belief import believe_people
from firstday.recommend.query import Query

BELIEF, VECTOR = 2.0, 2.0
"""Weights of the logarithm of the shares, and of the solved vector's scores in standard deviations over all items."""
HALFWAY = 30
"""Items used or passed over after which the vector has half its weight: of few items it tells little."""
LEAST_SHARE = 1e-6
"""What an item has that nobody of those believed in uses."""


def score_evidence(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return what is added to the scores of `blend`, for users' positions, float32, shape (n_rows, n_items).

    Parameters
    ----------
    query
        The users.
    rows
        Positions of users who passed something over.
    """
    model = query.model
    scores = np.zeros((len(rows), model.n_items), dtype=np.float32)
    if model.warm is not None:
        for place, row in enumerate(rows.tolist()):
            scores[place] = believe_people(query, row).shares(model.popularity)
        scores += np.float32(LEAST_SHARE)
        np.log(scores, out=scores)
        scores *= np.float32(BELIEF)
    liked, passed_over = query.liked.take(rows), query.passed_over.take(rows)
    n_told = liked.lengths() + passed_over.lengths()
    vectors = model.fold_in.solve_evidence(liked, passed_over)
    variance = ((vectors @ model.vector_covariance) * vectors).sum(axis=1)
    weights = VECTOR * n_told / (n_told + HALFWAY) / np.sqrt(np.maximum(variance, 1e-18))
    scores += (vectors * weights[:, None].astype(np.float32)) @ model.scoring_vectors.T
    return scores
