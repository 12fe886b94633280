"""`blend`: a weighted sum of the components of other methods; weights depend on how much is known (not in the paper).

Items that the user was shown and passed over are evidence, together with the items used. It adds two terms, with
weights that are not fitted: the logarithm of the shares among the warm users that the user probably resembles
(`firstday.recommend.belief`), and scores by the vector folded in from all evidence, in standard deviations over all
items, times a weight that approaches 1 as evidence grows (`HALFWAY`; docs/bandit.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import is_

import numpy as np

from firstday.display import readable
from firstday.model.trained_model import TrainedModel
from firstday.ranking import NO_ITEM, greatest, multiply_rows, top_k
from firstday.recommend.belief import SMOOTHING, believe_people
from firstday.recommend.component import LEAST_SHARE, Lift, Part, Scores, Shares
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import components_of, find_strategy
from firstday.recommend.spec import PROBABILITY, StrategySpec, near_taste
from firstday.sparse import SparseRows, find_support

KNOTS = (0, 1, 20)
"""Numbers of interactions at which components have separate weights, interpolated between them."""
CANDIDATE_SOURCES = ("popular", "soft_segments")
"""Methods whose shares make items candidates whatever their weight."""
N_CANDIDATES = 600
"""Number of candidates per user: items used most by similar people or overall, or similar to the user's items."""
ALL_CANDIDATES = 2_000
"""If no more items than this may be listed, all of them are candidates."""
MIN_RANKED = 16_384
"""Minimum number of items kept of the order that is the same for all users."""
MAX_LIFT = 60.0
"""Maximum score of a `Lift` in choosing candidates; keeps the exponential finite."""
ROWS_AT_ONCE = 32
BELIEVED_AT_ONCE = 8
"""Number of users with items passed over whose shares of all items are in memory at a time."""
HALFWAY = 30
"""Number of items used or passed over at which their vector has half its weight, as it is unreliable on few items."""


@readable
@dataclass(frozen=True)
class Blending:
    """Weights fitted on validation users: of each component by method name, for each of the `KNOTS`.

    From one interaction on, weights are linear in the logarithm of the number of interactions.
    """

    weights: tuple[Mapping[str, float], ...] = ({"personal": 1.0},) * len(KNOTS)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components."""
        return tuple(self.weights[0])

    def at(self, n_known: np.ndarray) -> dict[str, np.ndarray]:
        """Return each component's weight for each user, given numbers of interactions: float32, shape (n_users,)."""
        shares = share_of_knots(n_known)
        return {
            name: shares @ np.array([weights_of_knot[name] for weights_of_knot in self.weights], dtype=np.float32)
            for name in self.names
        }


@dataclass(frozen=True, eq=False)
class Background:
    """Items in the order of the promise that they have for everybody, int64, and this promise, float32.

    It follows from the components' `backgrounds` and the rules; both arrays end after the first items.
    """

    backgrounds: tuple[np.ndarray, ...]
    order: np.ndarray
    promise: np.ndarray

    def is_of(self, backgrounds: tuple[np.ndarray, ...]) -> bool:
        """Whether these are the same arrays."""
        return len(backgrounds) == len(self.backgrounds) and all(map(is_, backgrounds, self.backgrounds))


def share_of_knots(n_known: np.ndarray) -> np.ndarray:
    """Return the interpolation weights of `KNOTS` for each user, float32, shape (n_users, n_knots)."""
    to_many = np.minimum(np.log(np.maximum(n_known, 1)) / np.log(KNOTS[-1]), 1)
    has_any = n_known > 0
    return np.stack([~has_any, has_any * (1 - to_many), has_any * to_many], axis=1).astype(np.float32)


def recommend_blend(query: Query) -> Answer:
    """Rank items by a weighted sum of components; needs a signal, a profile value or an item passed over."""
    answered = (query.has_features | (query.passed_over.lengths() > 0)) & (query.item_rules.n_allowed > 0)
    items = np.full((query.n_users, query.k), NO_ITEM, dtype=np.int32)
    scores = np.zeros((query.n_users, query.k), dtype=np.float32)
    levels = np.zeros(query.n_users, dtype=np.float32)
    for rows in batches(np.flatnonzero(answered)):
        chosen, values, levels[rows] = score_blend(query, rows)
        best, scores[rows] = top_k(values, query.k)
        items[rows] = np.where(best >= 0, np.take_along_axis(chosen, np.maximum(best, 0), axis=1), NO_ITEM)
    return Answer.from_lists(answered, "blend", items, scores, levels)


def batches(rows: np.ndarray, size: int = ROWS_AT_ONCE) -> Iterator[np.ndarray]:
    """Split rows into batches of at most a size."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def score_blend(query: Query, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each user's candidates, ascending, their weighted scores, and the user's level (`Answer.levels`).

    The first two have shape (n_rows, n_candidates), the last (n_rows,). Excluded items score minus infinity. Components
    of methods that are not registered are left out.
    """
    blending: Blending = query.learned("blend")
    available = query.model.derive(components_of)
    if not set(blending.names).intersection(available):
        blending = Blending()
    names = tuple(name for name in blending.names if name in available)
    parts, chosen, offsets = find_candidates(query, rows, names)
    weights = blending.at(query.n_known[rows])
    reference = np.tile(query.model.reference_items, (len(rows), 1))
    scores = score_components(query.model, parts, names, np.concatenate([chosen, reference], axis=1))
    total = reduce(np.add, [weights[name][:, None] * of_component for name, of_component in scores.items()])
    of_chosen, of_reference = np.split(total, [chosen.shape[1]], axis=1)
    return chosen, of_chosen + offsets, of_reference.mean(axis=1)


def score_components(
    model: TrainedModel, parts: Mapping[str, Part], names: tuple[str, ...], items: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the scores of items by each of the named components, float32, shape of `items`, (n_rows, n_chosen)."""
    terms = np.float32(0) if model.clock_terms is None else model.clock_terms[items]
    return {name: _score(parts[name], items, terms) for name in names}


def find_candidates(
    query: Query, rows: np.ndarray, names: tuple[str, ...]
) -> tuple[dict[str, Part], np.ndarray, np.ndarray]:
    """Return components by name, each user's candidates, and a term of the score whose weight is not fitted.

    Candidates are ascending, int64, and both arrays have shape (n_rows, n_chosen). The term, float32, has the evidence
    of items passed over, and is minus infinity for excluded items.
    """
    parts = {name: _once(query, rows, name) for name in dict.fromkeys((*CANDIDATE_SOURCES, *names))}
    excluded = query.excluded.take(rows)
    rules = query.item_rules
    ranks_all = rules.n_allowed <= ALL_CANDIDATES
    chosen = np.tile(rules.items, (len(rows), 1)) if ranks_all else _choose_candidates(query, parts, excluded)
    evidence = np.zeros(chosen.shape, dtype=np.float32)
    for group in batches(np.flatnonzero(query.passed_over.take(rows).lengths()), BELIEVED_AT_ONCE):
        believed = _share_by_belief(query, rows[group])
        if not ranks_all:
            chosen[group] = _choose_believed(query, believed, parts, group, excluded.take(group))
        of_chosen = np.take_along_axis(believed, chosen[group], axis=1)
        evidence[group] = _score_evidence(query, rows[group], chosen[group], of_chosen)
    offsets = np.where(excluded.has(chosen), np.float32(-np.inf), evidence)
    return parts, chosen, offsets


def _choose_candidates(query: Query, parts: Mapping[str, Part], excluded: SparseRows) -> np.ndarray:
    """Return the most promising items that may be listed, ascending, int64, shape (n_rows, n_chosen).

    An item's promise is the sum of its shares, lifted, times the clock's and the rules' factors. It is the same for all
    users but for the items of a few entries per user, so only the first items of one order compete with these.
    Candidates depend on the user and the rules, not on the length of the list.
    """
    n_chosen = _count_candidates(query)
    shares = [part for part in parts.values() if isinstance(part, Shares)]
    backgrounds = tuple(part.background for part in shares)
    lifts = [part.rows for part in parts.values() if isinstance(part, Lift)]
    entries, positions = find_support([*(part.rows for part in shares), *lifts, excluded])
    promise = np.full(entries.n_entries, LEAST_SHARE, dtype=np.float32)
    for part, position in zip(shares, positions, strict=False):
        of_part = part.background[entries.columns]
        of_part[position] += part.rows.weights
        promise += of_part
    promise = _weigh(query, promise, entries.columns)
    for lift, position in zip(lifts, positions[len(shares) :], strict=False):
        promise[position] *= np.exp(np.minimum(lift.weights, MAX_LIFT))
    promise = _boost(query, promise, entries.columns)
    promise[positions[-1]] = -1
    # Shares only raise the promise, so among the first items of the order, this many suffice, and entries below the
    # last of these cannot become candidates.
    n_first = n_chosen + sum((rows.lengths() for rows in (*lifts, excluded)), np.zeros(entries.n_rows, np.int64))
    order, values = _rank_background(query, backgrounds, int(n_first.max(initial=0)))
    is_near = promise >= values[np.minimum(n_first, len(values)) - 1][entries.row_of_entry()]
    is_near[np.concatenate(positions[len(shares) :])] = True
    near = replace(entries, weights=promise).keep(is_near)
    chosen = np.empty((near.n_rows, n_chosen), dtype=np.int64)
    is_entry = np.zeros(query.model.n_items, dtype=bool)
    for row, n in enumerate(n_first.tolist()):
        columns = near.row(row)
        is_entry[columns] = True
        others = np.flatnonzero(~is_entry[order[:n]])
        is_entry[columns] = False
        items = np.concatenate([columns, order[others]])
        chosen[row] = _take_greatest(items, np.concatenate([near.row_weights(row), values[others]]), n_chosen)
    return chosen


def _take_greatest(items: np.ndarray, promises: np.ndarray, n: int) -> np.ndarray:
    """Return the n items with the greatest promises, ascending; the lower item wins ties."""
    least = np.partition(promises, len(promises) - n)[len(promises) - n]
    above = items[promises > least]
    tied = np.sort(items[promises == least])
    return np.sort(np.concatenate([above, tied[: n - len(above)]]))


def _rank_background(query: Query, backgrounds: tuple[np.ndarray, ...], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first n items or more by the promise that they have for everybody, and these promises.

    They are kept with the rules for the last backgrounds, and found again if more are needed.
    """
    kept: Background | None = query.item_rules.derived.get("blend")
    if kept is None or len(kept.order) < min(n, query.model.n_items) or not kept.is_of(backgrounds):
        promise = np.full(query.model.n_items, LEAST_SHARE, dtype=np.float32)
        for background in backgrounds:
            promise += background
        everything = slice(None)
        promise = _boost(query, _weigh(query, promise, everything), everything)
        order = np.argsort(-promise, kind="stable")[: max(2 * n, MIN_RANKED)].copy()  # not a view of all
        kept = Background(backgrounds, order, promise[order])
        query.item_rules.derived["blend"] = kept
    return kept.order, kept.promise


def _choose_believed(
    query: Query, believed: np.ndarray, parts: Mapping[str, Part], rows: np.ndarray, excluded: SparseRows
) -> np.ndarray:
    """Choose candidates by the shares among people whom users with items passed over may resemble.

    These shares, of shape (n_rows, n_items), are those of all items, so this scans the catalogue.
    """
    everything = slice(None)
    promise = _weigh(query, believed + np.float32(LEAST_SHARE), everything)
    for part in parts.values():
        if isinstance(part, Lift):
            lift = part.rows.take(rows)
            promise[lift.row_of_entry(), lift.columns] *= np.exp(np.minimum(lift.weights, MAX_LIFT))
    promise = _boost(query, promise, everything)
    promise[excluded.row_of_entry(), excluded.columns] = -1
    return greatest(promise, _count_candidates(query))


def _count_candidates(query: Query) -> int:
    """Return `N_CANDIDATES` or, if the rules allow less than a quarter of all items, `ALL_CANDIDATES`.

    In a small part of the catalogue, the promise separates the items less well.
    """
    is_narrow = 4 * query.item_rules.n_allowed < query.model.n_items
    return ALL_CANDIDATES if is_narrow else N_CANDIDATES


def _weigh(query: Query, promise: np.ndarray, items: np.ndarray | slice) -> np.ndarray:
    """Multiply the promise of items by the clock's factors; it becomes 0 if the rules do not allow them."""
    if query.model.clock_terms is not None:
        promise = promise * query.model.clock_factors[items]
    return np.asarray(promise * query.item_rules.allowed[items])


def _boost(query: Query, promise: np.ndarray, items: np.ndarray | slice) -> np.ndarray:
    """Multiply the promise of items by the factors of the rules."""
    factors = query.item_rules.factors
    return promise if factors is None else np.asarray(promise * factors[items])


def _score(part: Part, chosen: np.ndarray, terms: np.ndarray | np.float32) -> np.ndarray:
    """Return a component's scores of the candidates, with the terms of the clock, float32, shape of `chosen`."""
    scores = part.at(chosen)
    if isinstance(part, Shares):
        return np.log(scores + np.float32(LEAST_SHARE)) + terms
    return scores + terms if isinstance(part, Scores) and part.are_logs else scores


def _once(query: Query, rows: np.ndarray, name: str) -> Part:
    """Return a method's component, cached if `rows` are all users, up to `ROWS_AT_ONCE`."""
    component = find_strategy(name).component
    assert component is not None
    if query.n_users > ROWS_AT_ONCE or len(rows) < query.n_users:
        return component(query, rows)
    return query.derive(component, rows)


def _share_by_belief(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the posterior share of warm users who use each item, float32, shape (n_rows, n_items).

    Shares are smoothed towards popularity. Without stored warm users, return the shares in near segments, which do not
    reflect items passed over.
    """
    model = query.model
    if model.warm is None:
        near = _once(query, rows, "soft_segments")
        assert isinstance(near, Shares)
        return near.dense
    shares = believe_people(query, rows).times(model.warm.uses)
    return (shares + np.float32(SMOOTHING) * model.popularity) / np.float32(1 + SMOOTHING)


def _score_evidence(query: Query, rows: np.ndarray, chosen: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the evidence term, float32, shape (n_rows, n_chosen).

    `rows` are users with items passed over; `chosen` are their candidates, and `shares` the `_share_by_belief` of
    these, both of shape (n_rows, n_chosen).
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


BLEND = StrategySpec(
    name="blend",
    recommend=recommend_blend,
    describe="Rank items by a weighted sum of strategies; the weights depend on how much is known about the user.",
    explain="Several ways of ranking combined, with weights that depend on how much is known about the user.",
    reason=near_taste,
    value=Blending,
    reads=("liked", "shown"),
    scale=PROBABILITY,
)
