"""Evidence in `blend`: what a user passed over, and used beside it, of what was shown.

Two components join the others for users who passed something over: what people use whom the user is believed to be like
(`firstday.recommend.belief`), and how near items are to the vector that is solved of all evidence
(`firstday.embed.embeddings.FoldIn.solve_evidence`). Their weights were chosen on validation users (docs/bandit.md).
"""

from __future__ import annotations

import numpy as np

from firstday.ranking import multiply_rows
from firstday.recommend.belief import believe_people
from firstday.recommend.query import Query
from firstday.recommend.strategies.segments import score_soft_segments

BELIEF, VECTOR = 1.0, 1.0
"""Weights of the logarithm of the shares, and of the solved vector's scores in standard deviations over all items."""
HALFWAY = 30
"""Items used or passed over after which the vector has half its weight: of few items it tells little."""
LEAST_SHARE = 1e-6
"""What an item has that nobody of those asked, or believed in, uses."""


def share_by_belief(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the share of the people believed in who use each item, float32, shape (n_rows, n_items).

    A model that keeps no warm users has near segments instead, which know nothing of what was passed over.

    Parameters
    ----------
    query
        The users.
    rows
        Positions of users who passed something over.
    """
    model = query.model
    if model.warm is None:
        return score_soft_segments(query, rows)
    return np.stack([believe_people(query, row).shares(model.popularity) for row in rows.tolist()])


def score_evidence(query: Query, rows: np.ndarray, chosen: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return what is added to the scores of `blend`, float32, shape (n_rows, n_chosen).

    Parameters
    ----------
    query
        The users.
    rows
        Positions of users who passed something over.
    chosen
        The items to score for each, integers, shape (n_rows, n_chosen).
    shares
        What `share_by_belief` gives for these items, shape (n_rows, n_chosen).
    """
    model = query.model
    liked, passed_over = query.liked.take(rows), query.passed_over.take(rows)
    n_told = liked.lengths() + passed_over.lengths()
    vectors = model.fold_in.solve_evidence(liked, passed_over)
    variance = ((vectors @ model.vector_covariance) * vectors).sum(axis=1)
    weights = VECTOR * n_told / (n_told + HALFWAY) / np.sqrt(np.maximum(variance, 1e-18))
    scores = multiply_rows(model.scoring_vectors, chosen, vectors * weights[:, None].astype(np.float32))
    if model.warm is not None:
        scores += np.float32(BELIEF) * np.log(shares + np.float32(LEAST_SHARE))
    return scores
