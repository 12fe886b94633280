"""Evidence in `blend`: items that the user was shown and passed over, together with the items used.

Users with items passed over get two further components: shares among the warm users they probably resemble
(`firstday.recommend.belief`), and scores by the vector folded in from all evidence
(`firstday.embed.embeddings.FoldIn.solve`). Shares are added as logarithms. Scores are added in standard deviations
over all items, times a weight that approaches 1 as evidence grows (`HALFWAY`; docs/bandit.md).
"""

from __future__ import annotations

import numpy as np

from firstday.ranking import multiply_rows
from firstday.recommend.belief import SMOOTHING, believe_people
from firstday.recommend.query import Query
from firstday.recommend.strategies.segments import score_soft_segments

HALFWAY = 30
"""Number of items used or passed over at which the vector has half its weight, as it is unreliable on few items."""
LEAST_SHARE = 1e-6
"""Added to shares before taking logarithms, so that items nobody uses have a finite score."""


def share_by_belief(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the posterior share of warm users who use each item, float32, shape (n_rows, n_items).

    Shares are smoothed towards popularity.

    Without kept warm users, return the shares in near segments, which do not reflect items passed over.
    """
    model = query.model
    if model.warm is None:
        return score_soft_segments(query, rows)
    shares = believe_people(query, rows).times(model.warm.uses)
    return (shares + np.float32(SMOOTHING) * model.popularity) / np.float32(1 + SMOOTHING)


def score_evidence(query: Query, rows: np.ndarray, chosen: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the evidence term of the `blend` scores, float32, shape (n_rows, n_chosen).

    `rows` are users with items passed over; `chosen` are their candidates, and `shares` the `share_by_belief` of these,
    both of shape (n_rows, n_chosen).
    """
    model = query.model
    liked = query.liked.take(rows)
    passed_over = query.passed_over.take(rows)
    n_evidence = liked.lengths() + passed_over.lengths()
    vectors = model.fold_in.solve(liked, passed_over)
    variance = ((vectors @ model.vector_covariance) * vectors).sum(axis=1)
    weights = n_evidence / (n_evidence + HALFWAY) / np.sqrt(np.maximum(variance, 1e-18))
    scores = multiply_rows(model.scoring_vectors, chosen, vectors * weights[:, None].astype(np.float32))
    if model.warm is not None:
        scores += np.log(shares + np.float32(LEAST_SHARE))
    return scores
