"""`blend`: several strategies at once, weighted by how much is known of the user (not in the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.direct import score_direct
from firstday.recommend.neighbors import score_friends, score_neighbors
from firstday.recommend.popularity import score_group
from firstday.recommend.query import Answer, Query
from firstday.recommend.soft_segments import score_soft_segments
from firstday.recommend.spec import PROBABILITY, Part, StrategySpec, near_taste

LEAST_SHARE, LEAST_LOG = 1e-6, -20.0
"""What an item has that nobody of those asked uses, and one that the ranker does not rank."""


def recommend_blend(query: Query) -> Answer:
    """Rank items by a weighted sum of other strategies' scores; needs a signal or a profile value."""
    return query.rank_scores(lambda rows: _score(query, rows), "blend", query.known)


def components_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the strategies that a model's `blend` may weigh; `direct` first where there is a ranker."""
    lacking = {"direct": model.ranker is None, "neighbors": model.warm is None}
    lacking["friends"] = model.warm is None or not model.knows_friends
    lacking["group"] = not model.profile_groups
    return tuple(name for name in COMPONENTS if not lacking.get(name))


def _score(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the weighted sums, float32, shape (n_rows, n_items)."""
    blending = query.model.blending
    classes = blending.class_of(query.liked.lengths()[rows])
    scores = np.zeros((len(rows), query.model.n_items), dtype=np.float32)
    for number in np.unique(classes).tolist():
        members = np.flatnonzero(classes == number)
        for name, weight in blending.weights[number].items():
            scores[members] += np.float32(weight) * COMPONENTS[name](query, rows[members])
    return scores


def _direct(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return log-probabilities of the ranker."""
    logs: np.ndarray = np.maximum(score_direct(query, rows), np.float32(LEAST_LOG))
    return logs


def _neighbors(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return logarithms of shares of neighbours."""
    return np.log(score_neighbors(query, rows) + np.float32(LEAST_SHARE))


def _soft_segments(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return logarithms of shares of near segments."""
    return np.log(score_soft_segments(query, rows) + np.float32(LEAST_SHARE))


def _group(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return logarithms of shares of profile groups; of everyone where no profile value is known."""
    return np.log(score_group(query, rows) + np.float32(LEAST_SHARE))


def _friends(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return logarithms of shares of friends; zeros for users without any."""
    scores = np.zeros((len(rows), query.model.n_items), dtype=np.float32)
    friends = query.signals.friends
    having = np.flatnonzero(friends.lengths()[rows]) if friends is not None else np.zeros(0, dtype=np.int64)
    if len(having):
        scores[having] = np.log(score_friends(query, rows[having]) + np.float32(LEAST_SHARE))
    return scores


def _personal(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return scores of items' vectors, in standard deviations over the items."""
    scores = query.predicted[rows] @ query.model.scoring_vectors.T
    scaled: np.ndarray = scores / np.maximum(scores.std(axis=1, keepdims=True), np.float32(1e-9))
    return scaled


COMPONENTS: Mapping[str, Callable[[Query, np.ndarray], np.ndarray]] = {
    "direct": _direct,
    "personal": _personal,
    "neighbors": _neighbors,
    "soft_segments": _soft_segments,
    "friends": _friends,
    "group": _group,
}
"""What may be blended: scores of users' positions, float32, shape (n_rows, n_items)."""


def _reads(model: TrainedModel) -> tuple[Part, ...]:
    """Return what `blend` reads beside the features: how many items are liked, and what `group` and `friends` read."""
    weighed = {name for weights in model.blending.weights for name in weights}
    parts: tuple[Part, ...] = ("liked", "profile")
    return (*parts, "friends") if "friends" in weighed else parts


BLEND = StrategySpec(
    name="blend",
    recommend=recommend_blend,
    describe="Rank items by several strategies at once, weighted by how much is known of the user.",
    explain="Several ways of ranking at once, weighted by how much is known of the user.",
    reason=near_taste,
    reads=_reads,
    scale=PROBABILITY,
)
