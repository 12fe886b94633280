"""`blend`: several strategies at once, weighted by how much is known of the user (not in the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import log

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE, TrainedModel
from firstday.cold.ranker import Ranker
from firstday.ranking import NO_ITEM, multiply_rows, top_k
from firstday.recommend.evidence import LEAST_SHARE, score_evidence, share_by_belief
from firstday.recommend.neighbors import score_friends, score_neighbors
from firstday.recommend.popularity import score_group
from firstday.recommend.query import Answer, Query
from firstday.recommend.soft_segments import score_soft_segments
from firstday.recommend.spec import PROBABILITY, Part, StrategySpec, near_taste

LEAST_LOG = -20.0
"""What the ranker gives an item at least, and one that it does not rank, beside 0 for the most likely one."""
N_CANDIDATES = 600
"""Items whose vectors are looked at for a user, about: those that people near to the user use most."""
SAMPLED = 8
"""One item of so many is looked at to say how promising the candidates must be."""
BIAS_COUNTS = 0.3
"""What the ranker's bias, which is about how popular an item is, counts in that beside the logarithm of the share."""
N_BY_EVIDENCE = 1_000
"""The same for users who passed something over, beside those that may not be listed."""
USERS_AT_ONCE = 64
Items = np.ndarray | slice
EVERY_ITEM = slice(None)


def recommend_blend(query: Query) -> Answer:
    """Rank items by a weighted sum of other strategies' scores; needs a signal, a profile value, or something shown."""
    has_evidence = query.passed_over.lengths() > 0
    if not has_evidence.any():
        return _recommend_by_signals(query)
    shape = (query.n_users, query.k)
    items, scores = np.full(shape, NO_ITEM, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    for rows, recommend in (
        (np.flatnonzero(has_evidence), _recommend_by_evidence),
        (np.flatnonzero(~has_evidence), _recommend_by_signals),
    ):
        if len(rows):
            answer = recommend(query.take(rows))
            items[rows], scores[rows] = answer.items, answer.scores
    return Answer.where(has_evidence | query.known, "blend", items, scores)


def _recommend_by_evidence(query: Query) -> Answer:
    """Rank for users who passed something over: of all items those that people use most whom they may be like."""
    shape, width = (query.n_users, query.k), query.model.n_items
    items, scores = np.full(shape, NO_ITEM, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    for at in range(0, query.n_users, USERS_AT_ONCE):
        rows = np.arange(at, min(at + USERS_AT_ONCE, query.n_users))
        row = np.arange(len(rows))[:, None]
        shares = share_by_belief(query, rows)
        closed = query.excluded.take(rows).has_entries()
        closed[:, query.model.unlisted] = True
        n = min(width, max(N_BY_EVIDENCE, 2 * query.k) + int(closed.sum(axis=1).max()))
        chosen = np.tile(np.arange(width), (len(rows), 1))
        if n < width:
            chosen = np.sort(np.argpartition(-shares, n - 1, axis=1)[:, :n], axis=1)
        values = score_evidence(query, rows, chosen, shares[row, chosen]) + _score_chosen(query, rows, chosen)
        values[closed[row, chosen]] = -np.inf
        best, scores[rows] = top_k(values, query.k)
        items[rows] = np.where(best >= 0, chosen[row, np.maximum(best, 0)], NO_ITEM)
    return Answer.where(np.ones(query.n_users, dtype=bool), "blend", items, scores)


def _score_chosen(query: Query, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the weighted sums of items that are chosen for each user, float32, shape (n_rows, n_chosen).

    They are 0 for users of whom nothing is known.
    """
    model = query.model
    scores = np.zeros(chosen.shape, dtype=np.float32)
    classes = query.knowledge[rows]
    for number in np.unique(classes[classes > 0]).tolist():
        members = np.flatnonzero(classes == number)
        of_class, items, place = rows[members], chosen[members], np.arange(len(members))[:, None]
        for name, weight in model.blending.weights[number].items():
            if name == "direct":
                part = _direct_of_chosen(query, of_class, items)
            elif name == "personal":
                part = multiply_rows(model.scoring_vectors, items, query.predicted[of_class])
                part /= _deviation(query, of_class)[:, None]
            else:
                part = _log(query, of_class, name, SHARES[name](query, of_class)[place, items])
            scores[members] += np.float32(weight) * part
    return scores


def _direct_of_chosen(query: Query, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return what `_direct` gives of items that are chosen for each user, the most likely one of these as the first."""
    ranker = query.model.ranker
    assert ranker is not None
    places = query.model.place_of_ranked[chosen]
    logits = multiply_rows(ranker.weights, np.maximum(places, 0), query.ranker_hidden[rows]) + ranker.bias[places]
    logits[places < 0] = -np.inf
    return below_the_first(logits)


def _recommend_by_signals(query: Query) -> Answer:
    """Rank items by what users did and said alone.

    Where there is a ranker, `N_CANDIDATES` of the items that it ranks are scored for each user, if no item that it does
    not rank can reach the last place of the list (`_bound_outside`); else all items.
    """
    model = query.model
    if model.ranker is None or not all(weights.get("direct") for weights in model.blending.weights):
        return query.rank_scores(lambda rows: score_blend(query, rows), "blend", query.known)
    items = np.full((query.n_users, query.k), NO_ITEM, dtype=np.int32)
    scores = np.zeros((query.n_users, query.k), dtype=np.float32)
    outside = np.zeros(query.n_users, dtype=np.float32)
    for number in range(1, len(KNOWLEDGE)):  # of the first class nothing is known
        members = np.flatnonzero(query.knowledge == number)
        for at in range(0, len(members), USERS_AT_ONCE):
            rows, weights = members[at : at + USERS_AT_ONCE], model.blending.weights[number]
            items[rows], scores[rows], outside[rows] = _rank_candidates(query, rows, weights, model.ranker)
    if len(model.ranker.items) < model.n_items:
        rows = np.flatnonzero(query.known & ((items[:, -1] < 0) | (scores[:, -1] <= outside)))
        if len(rows):
            part = query.take(rows)
            answer = part.rank_scores(lambda at: score_blend(part, at), "blend", part.known)
            items[rows], scores[rows] = answer.items, answer.scores
    return Answer.where(query.known, "blend", items, scores)


def _rank_candidates(
    query: Query, rows: np.ndarray, weights: Mapping[str, float], ranker: Ranker
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rank for users who share the weights the items that people near to them use most, of those that are ranked.

    The third value is what no item that the ranker does not rank can exceed, shape (n_rows,).
    """
    model, of_ranked = query.model, query.of_ranked_items
    shares = {name: SHARES[name](of_ranked, rows) for name in weights if name in SHARES}
    of_people = reduce(np.add, shares.values()) if shares else score_soft_segments(of_ranked, rows)
    promise = np.log(of_people + np.float32(LEAST_SHARE)) + np.float32(BIAS_COUNTS) * ranker.bias
    excluded = query.excluded.take(rows)
    places = model.place_of_ranked[excluded.columns]
    is_ranked = places >= 0
    promise[excluded.row_of_entry()[is_ranked], places[is_ranked]] = -np.inf
    if len(model.unlisted):
        promise[:, np.isin(ranker.items, model.unlisted)] = -np.inf
    chosen, closed = _choose_candidates(promise, max(N_CANDIDATES, 2 * query.k))
    row = np.arange(len(rows))[:, None]
    scores = np.float32(weights["direct"]) * below_the_first(
        multiply_rows(ranker.weights, chosen, query.ranker_hidden[rows]) + ranker.bias[chosen]
    )
    deviation = _deviation(query, rows)
    if "personal" in weights:
        nearness = multiply_rows(model.ranked_vectors, chosen, query.predicted[rows])
        scores += np.float32(weights["personal"]) / deviation[:, None] * nearness
    for name, share in shares.items():
        scores += np.float32(weights[name]) * _log(query, rows, name, share[row, chosen])
    scores[closed] = -np.inf
    best, values = top_k(scores, query.k)
    listed = ranker.items[chosen[row, np.maximum(best, 0)]]
    return np.where(best >= 0, listed, NO_ITEM), values, _bound_outside(query, rows, weights, deviation)


def _choose_candidates(promise: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return about the n most promising places of each row, ascending, and which of them may not be listed.

    Shape (n_rows, n_chosen) both. A partition of a sample of the row says from which value on places are chosen, which
    costs a third of a partition of the row; where the sample misleads, or very many are equal, the row is partitioned.
    Rows with fewer places repeat the first one, which may then not be listed again.
    """
    n_rows, width = promise.shape
    if n * 2 < width:
        n_sampled = n // SAMPLED
        least = np.partition(promise[:, ::SAMPLED], -n_sampled, axis=1)[:, -n_sampled]
        is_chosen = promise >= least[:, None]
        counts = np.count_nonzero(is_chosen, axis=1)
        misled = np.flatnonzero((n > 2 * counts) | (counts > 2 * n))
        if len(misled):
            best = np.argpartition(promise[misled], -n, axis=1)[:, -n:]
            is_chosen[misled], counts[misled] = False, n
            is_chosen[misled[:, None], best] = True
        is_filled = np.arange(counts.max()) < counts[:, None]
        places = np.flatnonzero(is_chosen) % width
        chosen = np.repeat(places[counts.cumsum() - counts][:, None], counts.max(), axis=1)
        chosen[is_filled] = places
        return chosen, ~is_filled | (promise[np.arange(n_rows)[:, None], chosen] == -np.inf)
    n = min(n, width)
    chosen = np.sort(np.argpartition(promise, -n, axis=1)[:, -n:], axis=1)
    return chosen, promise[np.arange(n_rows)[:, None], chosen] == -np.inf


def components_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the strategies that a model's `blend` may weigh; `direct` first where there is a ranker."""
    lacking = {"direct": model.ranker is None, "neighbors": model.warm is None}
    lacking["friends"] = model.warm is None or not model.knows_friends
    lacking["group"] = not model.profile_groups
    return tuple(name for name in COMPONENTS if not lacking.get(name))


def score_blend(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the weighted sums of all items, for users' positions, float32, shape (n_rows, n_items)."""
    classes, weights = query.knowledge[rows], query.model.blending.weights
    numbers = np.unique(classes).tolist()
    if len(numbers) <= 1:
        return _weigh(query, rows, weights[numbers[0] if numbers else 0])
    members = [np.flatnonzero(classes == number) for number in numbers]
    parts = [_weigh(query, rows[of], weights[number]) for number, of in zip(numbers, members, strict=True)]
    scores = np.empty((len(rows), parts[0].shape[1]), dtype=np.float32)
    for of, part in zip(members, parts, strict=True):
        scores[of] = part
    return scores


def _weigh(query: Query, rows: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
    """Return weighted sums of components for users who share the weights."""
    (first, weight), *others = weights.items()
    scores = COMPONENTS[first](query, rows, EVERY_ITEM)
    scores *= np.float32(weight)
    for name, weight in others:
        component = COMPONENTS[name](query, rows, EVERY_ITEM)
        component *= np.float32(weight)
        scores += component
    return scores


def _bound_outside(query: Query, rows: np.ndarray, weights: Mapping[str, float], deviation: np.ndarray) -> np.ndarray:
    """Return what no item that the ranker does not rank can exceed, for users who share the weights, (n_rows,).

    Shares are 1 at most; the dot product with a vector is the product of the lengths at most. `deviation` is that of
    `_deviation`.
    """
    most = log(1 + query.model.neighborhood.smoothing + 2 * LEAST_SHARE)
    of_shares = sum(weight for name, weight in weights.items() if name in SHARES)
    lengths = np.linalg.norm(query.predicted[rows], axis=1) * query.model.longest_unranked
    bound: np.ndarray = weights.get("personal", 0.0) * lengths / deviation
    return bound + np.float32(weights["direct"] * LEAST_LOG + of_shares * most)


def below_the_first(logits: np.ndarray) -> np.ndarray:
    """Return by how much each item is less likely than the most likely one, as a logarithm, shape (n, n_items).

    Minus infinity stands for an item that is not ranked.
    """
    best = logits.max(axis=1, keepdims=True)
    logits -= np.where(best > -np.inf, best, np.float32(0))
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


def _log(query: Query, rows: np.ndarray, name: str, shares: np.ndarray) -> np.ndarray:
    """Return logarithms of shares of people; zeros for users without friends where the people are friends."""
    logs: np.ndarray = np.log(shares + np.float32(LEAST_SHARE))
    if name == "friends":
        logs[~have_friends(query)[rows]] = 0
    return logs


def have_friends(query: Query) -> np.ndarray:
    """Tell who has a friend whom the model keeps, bool, shape (n_users,)."""
    friends = query.signals.friends
    return np.zeros(query.n_users, dtype=bool) if friends is None else np.asarray(friends.lengths() > 0)


def _score_friends(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return shares of friends, zeros for users without any."""
    scores = np.zeros((len(rows), query.model.n_items), dtype=np.float32)
    having = np.flatnonzero(have_friends(query)[rows])
    if len(having):
        scores[having] = score_friends(query, rows[having])
    return scores


SHARES: Mapping[str, Callable[[Query, np.ndarray], np.ndarray]] = {
    "neighbors": score_neighbors,
    "soft_segments": score_soft_segments,
    "friends": _score_friends,
    "group": score_group,
}
"""Components that are shares of people, of all items at little cost: float32, shape (n_rows, n_items)."""


def _logs_of(name: str) -> Callable[[Query, np.ndarray, Items], np.ndarray]:
    """Return the component of some shares."""
    return lambda query, rows, items: _log(query, rows, name, SHARES[name](query, rows)[:, items])


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
    **{name: _logs_of(name) for name in SHARES},
}
"""What may be blended: scores of items for users' positions, a new array, float32, shape (n_rows, n_scored)."""


def _reads(model: TrainedModel) -> tuple[Part, ...]:
    """Return what `blend` reads beside the features: how many items are liked, and what `group` and `friends` read."""
    weighed = {name for weights in model.blending.weights for name in weights}
    parts: tuple[Part, ...] = ("liked", "profile", "shown")
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
