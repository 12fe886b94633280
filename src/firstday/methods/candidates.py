"""Candidates of `blend`: the items of each user that are worth scoring, and the evidence of items passed over.

Items that the user was shown and passed over are evidence, together with the items used. It adds two terms, with
weights that are not fitted: the logarithm of the shares among the warm users that the user probably resembles
(`firstday.recommend.belief`), and scores by the vector folded in from all evidence, in standard deviations over all
items, times a weight that approaches 1 as evidence grows (`HALFWAY`; docs/bandit.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import is_

import numpy as np

from firstday.methods.clock import clock_factors, clock_terms
from firstday.ranking import greatest, multiply_rows
from firstday.recommend.belief import SMOOTHING, believe_people
from firstday.recommend.component import LEAST_SHARE, Lift, Part, Shares
from firstday.recommend.query import Query
from firstday.recommend.registry import find_strategy
from firstday.sparse import SparseRows, find_support

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


def batches(rows: np.ndarray, size: int = ROWS_AT_ONCE) -> Iterator[np.ndarray]:
    """Split rows into batches of at most a size."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


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
        evidence[group] = score_evidence(query, rows[group], query.model.scoring_vectors, chosen[group], of_chosen)
    offsets = np.where(excluded.has(chosen), np.float32(-np.inf), evidence)
    return parts, chosen, offsets


def _choose_candidates(query: Query, parts: Mapping[str, Part], excluded: SparseRows) -> np.ndarray:
    """Return the most promising items that may be listed, ascending, int64, shape (n_rows, n_chosen).

    An item's promise is the sum of its shares, lifted, times the clock's and the rules' factors. It is the same for all
    users but for the items of a few entries per user, so only the first items of one order compete with these.
    Candidates depend on the user and the rules, not on the length of the list.
    """
    shares = [part for part in parts.values() if isinstance(part, Shares)]
    lifts = [part.rows for part in parts.values() if isinstance(part, Lift)]
    entries, positions = find_support([*(part.rows for part in shares), *lifts, excluded])
    of_shares = positions[: len(shares)]
    of_others = positions[len(shares) :]
    promise = _promise(query, entries.columns, zip(shares, of_shares, strict=True), zip(lifts, of_others, strict=False))
    promise[of_others[-1]] = -1
    # Shares only raise the promise, so among the first items of the order, this many suffice, and entries below the
    # last of these cannot become candidates.
    n_chosen = _count_candidates(query)
    n_first = n_chosen + sum((rows.lengths() for rows in (*lifts, excluded)), np.zeros(entries.n_rows, np.int64))
    backgrounds = tuple(part.background for part in shares)
    order, values = _rank_background(query, backgrounds, int(n_first.max(initial=0)))
    is_near = promise >= values[np.minimum(n_first, len(values)) - 1][entries.row_of_entry()]
    is_near[np.concatenate(of_others)] = True
    near = replace(entries, weights=promise).keep(is_near)
    return _merge(near, n_first, order, values, n_chosen)


def _promise(
    query: Query,
    items: np.ndarray,
    shares: Iterable[tuple[Shares, np.ndarray]],
    lifts: Iterable[tuple[SparseRows, np.ndarray]],
) -> np.ndarray:
    """Return the promise of entries, given their items, and the parts with the positions of their entries among them.

    All have the shape (n_entries,).
    """
    promise = np.full(len(items), LEAST_SHARE, dtype=np.float32)
    for part, position in shares:
        of_part = part.background[items]
        of_part[position] += part.rows.weights
        promise += of_part
    promise = _weigh(query, promise, items)
    for lift, position in lifts:
        promise[position] *= np.exp(np.minimum(lift.weights, MAX_LIFT))
    return _boost(query, promise, items)


def _merge(near: SparseRows, n_first: np.ndarray, order: np.ndarray, values: np.ndarray, n_chosen: int) -> np.ndarray:
    """Return the most promising of each row's entries and of the first items of an order, `n_first` for each row.

    `values` are the promises of the items in `order`. int64, ascending, shape (n_rows, n_chosen).
    """
    chosen = np.empty((near.n_rows, n_chosen), dtype=np.int64)
    is_entry = np.zeros(near.n_columns, dtype=bool)
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

    They are kept with the rules for the last backgrounds, and found again if more are needed. Rules that follow changes
    of items have the order of their base, but for these items.
    """
    rules = query.item_rules
    kept: Background | None = rules.derived.get("blend")
    if kept is None or not _suffices(query, kept, backgrounds, n):
        kept = None
        if rules.base is not None:
            base = replace(query, rules=rules.base, current_items=None)
            n_base = n + min(len(rules.changed), MIN_RANKED)
            kept = _follow_changes(query, *_rank_background(base, backgrounds, n_base), backgrounds)
        if kept is None or not _suffices(query, kept, backgrounds, n):
            promise = _promise_everybody(query, backgrounds, slice(None))
            order = np.argsort(-promise, kind="stable")[: max(2 * n, MIN_RANKED)].copy()  # not a view of all
            kept = Background(backgrounds, order, promise[order])
        rules.derived["blend"] = kept
    return kept.order, kept.promise


def _suffices(query: Query, kept: Background, backgrounds: tuple[np.ndarray, ...], n: int) -> bool:
    """Return whether an order is that of the backgrounds, and has enough items."""
    return len(kept.order) >= min(n, query.model.n_items) and kept.is_of(backgrounds)


def _promise_everybody(query: Query, backgrounds: tuple[np.ndarray, ...], items: np.ndarray | slice) -> np.ndarray:
    """Return the promise that items have for everybody, float32."""
    promise = np.full(query.model.n_items, LEAST_SHARE, dtype=np.float32)[items]
    for background in backgrounds:
        promise += background[items]
    return _boost(query, _weigh(query, promise, items), items)


def _follow_changes(
    query: Query, order: np.ndarray, promise: np.ndarray, backgrounds: tuple[np.ndarray, ...]
) -> Background:
    """Return the order of the base with the changed items where they belong now; it ends with the base's last item."""
    changed = query.item_rules.changed
    of_changed = _promise_everybody(query, backgrounds, changed)
    is_above = of_changed > promise[-1]
    is_same = ~np.isin(order, changed)
    items = np.append(order[is_same], changed[is_above])
    values = np.append(promise[is_same], of_changed[is_above])
    places = np.lexsort((items, -values))
    return Background(backgrounds, items[places], values[places])


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
    if clock_terms(query.model) is not None:
        promise = promise * query.model.derive(clock_factors)[items]
    return np.asarray(promise * query.item_rules.allowed[items])


def _boost(query: Query, promise: np.ndarray, items: np.ndarray | slice) -> np.ndarray:
    """Multiply the promise of items by the factors of the rules."""
    factors = query.item_rules.factors
    return promise if factors is None else np.asarray(promise * factors[items])


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


def score_evidence(
    query: Query, rows: np.ndarray, table: np.ndarray, chosen: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Return the evidence term, float32, shape (n_rows, n_chosen).

    `rows` are users with items passed over; `chosen` are their candidates, as rows of a `table` of vectors, and
    `shares` the `_share_by_belief` of these, both of shape (n_rows, n_chosen).
    """
    model = query.model
    liked = query.liked.take(rows)
    passed_over = query.passed_over.take(rows)
    n_evidence = liked.lengths() + passed_over.lengths()
    vectors = model.fold_in.solve(liked, passed_over)
    variance = ((vectors @ model.vector_covariance) * vectors).sum(axis=1)
    weights = n_evidence / (n_evidence + HALFWAY) / np.sqrt(np.maximum(variance, 1e-18))
    scores = multiply_rows(table, chosen, vectors * weights[:, None].astype(np.float32))
    if model.warm is not None:
        scores += np.log(shares + np.float32(LEAST_SHARE))
    return scores
