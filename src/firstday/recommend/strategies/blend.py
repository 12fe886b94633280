"""`blend`: weighted combination of several strategies; weights depend on how much is known (not in the paper)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from typing import TypeVar

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.ranking import NO_ITEM, greatest, multiply_rows, top_k
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY, StrategySpec, near_taste
from firstday.recommend.strategies.evidence import LEAST_SHARE, score_evidence, share_by_belief
from firstday.recommend.strategies.segments import score_soft_segments
from firstday.sparse import SparseRows

LEAST_LOG = -20.0
"""Lower bound of the ranker's log-probabilities relative to the most likely candidate, and value of items it lacks."""
N_CANDIDATES = 600
"""Number of candidates per user: items used most by similar people or overall, or similar to the user's items."""
ALL_CANDIDATES = 2_000
"""If no more items than this may be listed, all of them are candidates."""
T = TypeVar("T")
COMPONENTS = ("direct", "personal", "soft_segments", "popular", "ease")
"""Strategies to combine. `personal` and `ease` score in standard deviations, the others in logarithms."""
MOST_PROMISING = 60.0
"""Cap of the `ease` score in choosing candidates, in standard deviations; keeps the exponential finite."""
ROWS_AT_ONCE = 8


def recommend_blend(query: Query) -> Answer:
    """Rank items by a weighted sum of strategies' scores; needs a signal, a profile value or an item passed over."""
    answered = (query.has_features | (query.passed_over.lengths() > 0)) & (len(query.item_rules.items) > 0)
    items = np.full((query.n_users, query.k), NO_ITEM, dtype=np.int32)
    scores = np.zeros((query.n_users, query.k), dtype=np.float32)
    for rows in batches(np.flatnonzero(answered)):
        chosen, values = score_blend(query, rows)
        best, scores[rows] = top_k(values, query.k)
        items[rows] = np.where(best >= 0, np.take_along_axis(chosen, np.maximum(best, 0), axis=1), NO_ITEM)
    return Answer.where(answered, "blend", items, scores)


def batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Split rows into batches of at most `ROWS_AT_ONCE`."""
    return (rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE))


def score_blend(query: Query, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each user's candidates, ascending, and weighted scores, shape (n_rows, n_candidates).

    Excluded items score minus infinity.
    """
    weights = query.model.blending.at(query.n_known[rows])
    chosen, components, shown = score_components(query, rows, tuple(weights))
    values = reduce(np.add, (weights[name][:, None] * scores for name, scores in components.items())) + shown
    return chosen, values


def score_components(
    query: Query, rows: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return each user's candidates, their scores by each component, and the term for items passed over.

    Candidates are ascending, int64, and all arrays have shape (n_rows, n_chosen). Scores are float32; the last term is
    minus infinity for excluded items. The candidates depend on the user and the rules, not on the length of the list.
    If at most `ALL_CANDIDATES` items may be listed, all are candidates; otherwise the most promising ones:
    `N_CANDIDATES` or, if the rules allow less than a quarter of all items, `ALL_CANDIDATES`.
    """
    model = query.model
    shares = _once(query, rows, score_soft_segments)
    ease = _once(query, rows, _score_ease) if "ease" in names else SparseRows.empty(len(rows), model.n_items)
    has_evidence = np.flatnonzero(query.passed_over.take(rows).lengths())
    if len(has_evidence):
        believed = share_by_belief(query, rows[has_evidence])
    rules = query.item_rules
    excluded = query.excluded.take(rows)
    if len(rules.items) <= ALL_CANDIDATES:
        chosen = np.tile(rules.items, (len(rows), 1))
    else:
        promise = _once(query, rows, _promise) * rules.allowed
        if len(has_evidence):
            of_shown = _with_trend(model, believed + np.float32(LEAST_SHARE))
            promise[has_evidence] = of_shown * rules.allowed
        promise[ease.row_of_entry(), ease.columns] *= np.exp(np.minimum(ease.weights, MOST_PROMISING))
        if rules.factors is not None:
            promise *= rules.factors
        promise[excluded.row_of_entry(), excluded.columns] = -1
        is_narrow = 4 * len(rules.items) < model.n_items  # `promise` then separates the items less well
        chosen = greatest(promise, ALL_CANDIDATES if is_narrow else N_CANDIDATES)
    shown = np.where(excluded.has(chosen), np.float32(-np.inf), np.float32(0))
    if len(has_evidence):
        of_chosen = np.take_along_axis(believed, chosen[has_evidence], axis=1)
        shown[has_evidence] += score_evidence(query, rows[has_evidence], chosen[has_evidence], of_chosen)
    trend = np.float32(0) if model.trend is None else model.trend[chosen]
    score: dict[str, Callable[[], np.ndarray]] = {
        "direct": lambda: _score_direct(query, rows, chosen) + trend,
        "personal": lambda: _score_personal(query, rows, chosen),
        "soft_segments": lambda: np.log(np.take_along_axis(shares, chosen, axis=1) + np.float32(LEAST_SHARE)) + trend,
        "popular": lambda: np.log(model.popularity[chosen] + np.float32(LEAST_SHARE)) + trend,
        "ease": lambda: ease.at(chosen),
    }
    return chosen, {name: score[name]() for name in names}, shown


def _promise(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return scores for choosing candidates, from use by similar users and all, float32, shape (n_rows, n_items)."""
    shares = _once(query, rows, score_soft_segments)
    return _with_trend(query.model, shares + (query.model.popularity + np.float32(LEAST_SHARE)))


def _with_trend(model: TrainedModel, shares: np.ndarray) -> np.ndarray:
    return shares if model.trend_factors is None else shares * model.trend_factors


def _once(query: Query, rows: np.ndarray, score: Callable[[Query, np.ndarray], T]) -> T:
    """Return `score(query, rows)`, cached if `rows` are all users, up to `ROWS_AT_ONCE`; `score` must not use rules."""
    if query.n_users > ROWS_AT_ONCE or len(rows) < query.n_users:
        return score(query, rows)
    if score not in query.scores:
        query.scores[score] = score(query, rows)
    found: T = query.scores[score]
    return found


def components_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the components that a model supports."""
    lacking = {"direct": model.ranker is None, "ease": model.item_weights is None}
    return tuple(name for name in COMPONENTS if not lacking.get(name))


def _score_direct(query: Query, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the ranker's log-probabilities relative to the most likely candidate, float32, shape of `chosen`."""
    ranker = query.model.ranker
    assert ranker is not None
    columns = query.model.ranker_columns[chosen]
    logits = multiply_rows(ranker.weights, np.maximum(columns, 0), query.ranker_hidden[rows]) + ranker.bias[columns]
    logits[columns < 0] = -np.inf
    best = logits.max(axis=1, keepdims=True)
    logits -= np.where(best > -np.inf, best, np.float32(0))
    below: np.ndarray = np.maximum(logits, np.float32(LEAST_LOG), out=logits)
    return below


def _score_personal(query: Query, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return scores by the predicted vector, in standard deviations over all items."""
    vectors = query.predicted[rows]
    variance = ((vectors @ query.model.vector_covariance) * vectors).sum(axis=1)
    deviation = np.sqrt(np.maximum(variance, np.float32(1e-18)))
    return multiply_rows(query.model.scoring_vectors, chosen, vectors / deviation[:, None])


def _score_ease(query: Query, rows: np.ndarray) -> SparseRows:
    """Return `ease` scores, in standard deviations over all items, shape (n_rows, n_items)."""
    assert query.model.item_weights is not None
    scores = query.liked.take(rows).ones().through(query.model.item_weights)
    row = scores.row_of_entry()
    n_items = query.model.n_items
    mean, square = (
        np.bincount(row, values, minlength=len(rows)) / n_items for values in (scores.weights, scores.weights**2)
    )
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-18))
    return replace(scores, weights=(scores.weights / deviation[row]).astype(np.float32))


BLEND = StrategySpec(
    name="blend",
    recommend=recommend_blend,
    describe="Rank items by a weighted sum of strategies; the weights depend on how much is known about the user.",
    explain="Several ways of ranking combined, with weights that depend on how much is known about the user.",
    reason=near_taste,
    reads=("liked", "shown"),
    scale=PROBABILITY,
)
