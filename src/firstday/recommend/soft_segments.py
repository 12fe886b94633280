"""`soft_segments`: predicted vector, several near segments, weighted, what their users use."""

from __future__ import annotations

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import Reason, StrategySpec, reading, times_everyone
from firstday.segment.segments import Mixing, weigh_segments

TIE_BREAK = 1e-6
"""What popularity counts beside segments: it orders items that none of them ranks."""


def recommend_soft_segments(query: Query) -> Answer:
    """Mix what several near segments use, each by its nearness; needs a signal or a profile value."""
    return query.rank_scores(lambda rows: score_soft_segments(query, rows), "soft_segments", query.known)


def score_soft_segments(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return weighted shares of the segments near to the predicted vectors, float32, shape (n_rows, n_items)."""
    return mix_segments(query.model, query.predicted[rows])


def mix_segments(
    model: TrainedModel, vectors: np.ndarray, mixing: Mixing | None = None, shares: np.ndarray | None = None
) -> np.ndarray:
    """Return the share of people near to each vector who use each item, float32, shape (n_vectors, n_items).

    Parameters
    ----------
    model
        Whose segments.
    vectors
        float32, shape (n_vectors, d).
    mixing, shares
        How segments are weighed, and the shares of their top items that follow from it; those of the model if left out.
    """
    mixing = model.mixing if mixing is None else mixing
    shares = model.smoothed_shares if shares is None else shares
    tops = model.segments.top_items
    nearest, weights = weigh_segments(vectors, model.segments, mixing)
    mixed = np.empty((len(vectors), model.n_items), dtype=np.float32)
    for of_vector, near, weight in zip(mixed, nearest, weights, strict=True):
        items = np.maximum(tops[near], 0).ravel()  # the share of no item is 0
        of_vector[:] = np.bincount(items, (weight[:, None] * shares[near]).ravel(), minlength=model.n_items)
    mixed += TIE_BREAK * model.popularity
    return mixed


def _reason_by_segments(reason: Reason) -> str:
    share = f"{reason.score:.1%} of the people of the segments near to the user use it"
    return f"{share}{times_everyone(reason.score, reason)}."


SOFT_SEGMENTS = StrategySpec(
    name="soft_segments",
    recommend=recommend_soft_segments,
    describe="Mix what several near segments use, each by its nearness.",
    explain="What the people of several segments near the predicted taste use most, the nearer the more.",
    reason=_reason_by_segments,
    reads=reading(),
    scale="share of the near segments",
)
