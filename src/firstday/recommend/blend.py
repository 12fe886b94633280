"""`blend`: several strategies at once, weighted by how much is known of the user (not in the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import log

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.ranking import NO_ITEM, rank_scores
from firstday.recommend.neighbors import score_friends, score_neighbors
from firstday.recommend.popularity import score_group
from firstday.recommend.query import Answer, Query
from firstday.recommend.soft_segments import score_soft_segments
from firstday.recommend.spec import StrategySpec, near_taste

LEAST_SHARE = 1e-6
"""What an item has that nobody of those asked uses."""
LEAST_LOG = -20.0
"""What the ranker gives an item at least, and one that it does not rank, beside 0 for the most likely one."""
N_CANDIDATES = 1_500
"""For few users, items whose vectors are looked at for each."""
FEW_USERS = 4
"""For so many users candidates are sought; for more, one multiplication for all of them is quicker."""
SHARES = ("neighbors", "soft_segments", "friends", "group")
"""Components that are shares of people, which are cheap to know of every item; the others need the item's vector."""
Items = np.ndarray | slice
EVERY_ITEM = slice(None)


def recommend_blend(query: Query) -> Answer:
    """Rank items by a weighted sum of other strategies' scores; needs a signal or a profile value.

    Where there is a ranker, only the items that it ranks are scored, if no other item can reach the last place of the
    list (`_bound_outside`); for a few users only those of them that are used most by people near to the user.
    """
    model = query.model
    if model.ranker is None or not all(weights.get("direct") for weights in model.blending.weights):
        return query.rank_scores(lambda rows: score_blend(query, rows), "blend", query.known)
    ranked = model.ranker.items
    if query.n_users <= FEW_USERS and len(ranked) > N_CANDIDATES >= query.k:
        items, scores = _rank_candidates(query)
    else:
        items, scores = rank_scores(lambda rows: score_blend(query, rows, ranked), query.excluded, query.k, ranked)
    if len(ranked) < model.n_items:
        is_proven = (items[:, -1] >= 0) & (scores[:, -1] > _bound_outside(query))
        rows = np.flatnonzero(~is_proven & query.known)
        if len(rows):
            part = query.take(rows)
            items[rows], scores[rows] = rank_scores(lambda at: score_blend(part, at), part.excluded, query.k)
    return Answer.where(query.known, "blend", items, scores)


def _rank_candidates(query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Rank, of the items that the ranker ranks, those that stand first by shares alone; for each user their own."""
    model = query.model
    ranker = model.ranker
    assert ranker is not None
    items = np.full((query.n_users, query.k), NO_ITEM, dtype=np.int32)
    values = np.zeros((query.n_users, query.k), dtype=np.float32)
    for user in np.flatnonzero(query.known):
        row = np.array([user])
        weights = model.blending.weights[query.knowledge[user]]
        shares = {name: weight for name, weight in weights.items() if name in SHARES}
        if not shares:
            by_shares, chosen = np.zeros((1, len(ranker.items)), np.float32), np.arange(len(ranker.items))
        else:
            by_shares = _weigh(query, row, ranker.items, shares)
            chosen = np.sort(np.argpartition(-by_shares[0], N_CANDIDATES)[:N_CANDIDATES])
        scores = by_shares[:, chosen]
        logits = query.ranker_hidden[row] @ ranker.weights[chosen].T + ranker.bias[chosen]
        scores += np.float32(weights["direct"]) * below_the_first(logits)
        if "personal" in weights:
            nearness = query.predicted[row] @ model.ranked_vectors[chosen].T
            scores += np.float32(weights["personal"]) * nearness / _deviation(query, row)[:, None]
        closed = query.excluded.take(row)
        items[row], values[row] = rank_scores(partial(np.take, scores, axis=0), closed, query.k, ranker.items[chosen])
    return items, values


def components_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the strategies that a model's `blend` may weigh; `direct` first where there is a ranker."""
    lacking = {"direct": model.ranker is None, "neighbors": model.warm is None}
    lacking["friends"] = model.warm is None or not model.knows_friends
    lacking["group"] = not model.profile_groups
    return tuple(name for name in COMPONENTS if not lacking.get(name))


def score_blend(query: Query, rows: np.ndarray, items: Items = EVERY_ITEM) -> np.ndarray:
    """Return the weighted sums of some items, for users' positions, float32, shape (n_rows, n_scored)."""
    classes, weights = query.knowledge[rows], query.model.blending.weights
    numbers = np.unique(classes).tolist()
    if len(numbers) <= 1:
        return _weigh(query, rows, items, weights[numbers[0] if numbers else 0])
    members = [np.flatnonzero(classes == number) for number in numbers]
    parts = [_weigh(query, rows[of], items, weights[number]) for number, of in zip(numbers, members, strict=True)]
    scores = np.empty((len(rows), parts[0].shape[1]), dtype=np.float32)
    for of, part in zip(members, parts, strict=True):
        scores[of] = part
    return scores


def _weigh(query: Query, rows: np.ndarray, items: Items, weights: Mapping[str, float]) -> np.ndarray:
    """Return weighted sums of components for users who share the weights."""
    (first, weight), *others = weights.items()
    scores = COMPONENTS[first](query, rows, items)
    scores *= np.float32(weight)
    for name, weight in others:
        component = COMPONENTS[name](query, rows, items)
        component *= np.float32(weight)
        scores += component
    return scores


def _bound_outside(query: Query) -> np.ndarray:
    """Return what no item that the ranker does not rank can exceed, float32, shape (n_users,).

    Shares are 1 at most; the dot product with a vector is the product of the lengths at most.
    """
    model = query.model
    bounds = np.zeros(query.n_users, dtype=np.float32)
    nearness = model.longest_unranked / _deviation(query, np.arange(query.n_users))
    nearness *= np.linalg.norm(query.predicted, axis=1)
    most = log(1 + model.neighborhood.smoothing + 2 * LEAST_SHARE)
    for number in np.unique(query.knowledge).tolist():
        members = query.knowledge == number
        for name, weight in model.blending.weights[number].items():
            largest = {"direct": LEAST_LOG, "personal": nearness[members]}.get(name, most)
            bounds[members] += np.float32(weight) * largest
    return bounds


def below_the_first(logits: np.ndarray) -> np.ndarray:
    """Return by how much each item is less likely than the most likely one, as a logarithm, shape (n, n_items)."""
    logits -= logits.max(axis=1, keepdims=True)
    below: np.ndarray = np.maximum(logits, np.float32(LEAST_LOG), out=logits)
    return below


def _direct(query: Query, rows: np.ndarray, items: Items) -> np.ndarray:
    """Return logarithms of the ranker's probabilities beside that of the most likely item."""
    ranker = query.model.ranker
    assert ranker is not None
    logs = below_the_first(query.ranker_hidden[rows] @ ranker.weights.T + ranker.bias)
    if items is ranker.items:
        return logs
    scores: np.ndarray = np.full((len(rows), query.model.n_items), LEAST_LOG, dtype=np.float32)
    scores[:, ranker.items] = logs
    return scores if isinstance(items, slice) else scores[:, items]


def _neighbors(query: Query, rows: np.ndarray, items: Items) -> np.ndarray:
    """Return logarithms of shares of neighbours."""
    return np.log(score_neighbors(query, rows)[:, items] + np.float32(LEAST_SHARE))


def _soft_segments(query: Query, rows: np.ndarray, items: Items) -> np.ndarray:
    """Return logarithms of shares of near segments."""
    return np.log(score_soft_segments(query, rows)[:, items] + np.float32(LEAST_SHARE))


def _group(query: Query, rows: np.ndarray, items: Items) -> np.ndarray:
    """Return logarithms of shares of profile groups; of everyone where no profile value is known."""
    return np.log(score_group(query, rows)[:, items] + np.float32(LEAST_SHARE))


def _friends(query: Query, rows: np.ndarray, items: Items) -> np.ndarray:
    """Return logarithms of shares of friends; zeros for users without any."""
    scores = np.zeros((len(rows), query.model.n_items), dtype=np.float32)[:, items]
    friends = query.signals.friends
    having = np.flatnonzero(friends.lengths()[rows]) if friends is not None else np.zeros(0, dtype=np.int64)
    if len(having):
        scores[having] = np.log(score_friends(query, rows[having])[:, items] + np.float32(LEAST_SHARE))
    return scores


def _personal(query: Query, rows: np.ndarray, items: Items) -> np.ndarray:
    """Return scores of items' vectors, in standard deviations over all items."""
    model = query.model
    ranker = model.ranker
    vectors = model.ranked_vectors if ranker is not None and items is ranker.items else model.scoring_vectors[items]
    scores: np.ndarray = query.predicted[rows] @ vectors.T
    scores /= _deviation(query, rows)[:, None]
    return scores


def _deviation(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the standard deviation over all items of the scores of users' vectors, float32, shape (n_rows,)."""
    vectors = query.predicted[rows]
    variance = ((vectors @ query.model.vector_covariance) * vectors).sum(axis=1)
    deviation: np.ndarray = np.sqrt(np.maximum(variance, np.float32(1e-18)))
    return deviation


COMPONENTS: Mapping[str, Callable[[Query, np.ndarray, Items], np.ndarray]] = {
    "direct": _direct,
    "personal": _personal,
    "neighbors": _neighbors,
    "soft_segments": _soft_segments,
    "friends": _friends,
    "group": _group,
}
"""What may be blended: scores of items for users' positions, a new array, float32, shape (n_rows, n_scored)."""

BLEND = StrategySpec(
    name="blend",
    recommend=recommend_blend,
    describe="Rank items by several strategies at once, weighted by how much is known of the user.",
    explain="Several ways of ranking at once, weighted by how much is known of the user.",
    reason=near_taste,
)
