"""Choosing on validation users how `soft_segments`, `neighbors`, `friends` and `blend` weigh what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE, Blending, TrainedModel
from firstday.embed.kept_users import Neighborhood
from firstday.metrics import measure
from firstday.ranking import rank_scores
from firstday.recommend.blend import COMPONENTS, EVERY_ITEM, Items, components_of
from firstday.recommend.neighbors import score_friends, score_neighbors
from firstday.recommend.query import Query
from firstday.recommend.soft_segments import mix_segments
from firstday.segment.segments import Mixing, smooth_shares
from firstday.sparse import SparseRows
from firstday.training.selection import ENOUGH_USERS, take_class

T = TypeVar("T")
Score = Callable[[np.ndarray], np.ndarray]

SEGMENT_TEMPERATURES = (0.01, 0.02, 0.04, 0.08, 0.16)
SEGMENT_SMOOTHINGS = (0.0, 20.0, 100.0)
MOST_MIXED = 2_000
"""Validation users that are looked at for these, at most."""
NEIGHBOR_TEMPERATURES = (0.03, 0.05, 0.08, 0.12)
NEIGHBOR_SMOOTHINGS = (0.02, 0.1)
FRIEND_SMOOTHINGS = (1.0, 3.0, 10.0, 30.0)
MOST_USERS = 1_000
"""Validation users that are looked at for these, at most."""
MOST_BLENDED = 3_000
"""Validation users that are looked at for the weights of `blend`, at most."""

WEIGHTS = (0.0, 0.15, 0.3, 0.6, 1.2, 2.4)
"""What a strategy may weigh beside the first one, which weighs 1."""
CANDIDATES = 150
"""Best items of each strategy among which `blend` is judged."""
USERS_AT_ONCE = 100
START = {"direct": 1.0, "personal": 0.15, "neighbors": 0.3}
"""Weights to begin with, near to what the many validation users of Deezer Europe choose beginning with `direct` alone;
where there is no ranker, the first strategy alone."""
LEAST_ERRORS = 2.0
"""Standard errors by which a weight has to be better than the one before it, so that chance seldom sets one."""


def choose_weights(query: Query, truth: SparseRows) -> TrainedModel:
    """Return the model of a query with the weights of `soft_segments`, `neighbors`, `friends` and `blend` chosen.

    Parameters
    ----------
    query
        Validation users, asking a trained model.
    truth
        What they used afterwards, shape (n_users, n_items).
    """
    mixing = choose_mixing(query, truth)
    neighborhood = choose_neighborhood(replace(query, model=replace(query.model, mixing=mixing)), truth)
    model = replace(query.model, mixing=mixing, neighborhood=neighborhood)
    return replace(model, blending=choose_blending(replace(query, model=model), truth))


def choose_mixing(query: Query, truth: SparseRows) -> Mixing:
    """Return the mixing of `soft_segments` whose lists are best for the given users; among equals the first.

    Parameters
    ----------
    query, truth
        See `choose_weights`.
    """
    rows = np.arange(min(query.n_users, MOST_MIXED))
    query, truth = query.take(rows), truth.take(rows)
    mixings = [Mixing(*values) for values in product(SEGMENT_TEMPERATURES, SEGMENT_SMOOTHINGS)]

    def score(mixing: Mixing) -> Score:
        shares = smooth_shares(query.model.segments, query.model.popularity, mixing)
        return lambda rows: mix_segments(query.model, query.predicted[rows], mixing, shares)

    return _best(mixings, score, query, truth, query.known)


def choose_neighborhood(query: Query, truth: SparseRows) -> Neighborhood:
    """Return the settings of `neighbors`, then of `friends`, whose lists are best; among equals the first.

    Parameters
    ----------
    query, truth
        See `choose_weights`.
    """
    if query.model.warm is None:
        return query.model.neighborhood
    rows = np.arange(min(query.n_users, MOST_USERS))
    query, truth = query.take(rows), truth.take(rows)
    trials = [Neighborhood(*values) for values in product(NEIGHBOR_TEMPERATURES, NEIGHBOR_SMOOTHINGS)]
    chosen = _best(trials, lambda trial: lambda rows: score_neighbors(query, rows, trial), query, truth, query.known)
    if query.model.knows_friends:
        friends = query.signals.friends
        trials = [replace(chosen, friend_smoothing=smoothing) for smoothing in FRIEND_SMOOTHINGS]
        has_friends = np.zeros(len(rows), bool) if friends is None else np.asarray(friends.lengths() > 0)
        chosen = _best(trials, lambda trial: lambda rows: score_friends(query, rows, trial), query, truth, has_friends)
    return chosen


def _best(trials: Sequence[T], score: Callable[[T], Score], query: Query, truth: SparseRows, answered: np.ndarray) -> T:
    """Return the trial by whose scores lists are best for the users whom the strategy answers; among equals the first.

    All other users get the same lists by every trial.
    """
    rows = np.flatnonzero(answered)
    if not len(rows):
        return trials[0]
    excluded, truth = query.excluded.take(rows), truth.take(rows)

    def precision(trial: T) -> float:
        score_rows = score(trial)
        lists, _ = rank_scores(lambda at: score_rows(rows[at]), excluded, query.k)
        return float(measure(lists, truth).precision.mean())

    return max(trials, key=precision)


def choose_blending(query: Query, truth: SparseRows) -> Blending:
    """Return weights for each class of users: first those of all, then of each class that enough users stand for.

    One weight after the other is set to what brings the best precision, twice over, beginning with `START`; where
    nothing is better by `LEAST_ERRORS`, it stays.

    Parameters
    ----------
    query, truth
        See `choose_weights`.
    """
    components = components_of(query.model)
    begin = START if query.model.ranker is not None else {components[0]: 1.0}
    start = np.array([begin.get(name, 0.0) for name in components], dtype=np.float32)
    rows = np.arange(min(query.n_users, MOST_BLENDED))
    knowledge = query.knowledge[rows]
    of_all = _collect(query.take(rows), truth.take(rows), components)
    overall = ascend(of_all.precision, start)
    chosen = []
    for number in range(len(KNOWLEDGE)):
        weights, candidates = overall, of_all.take(np.flatnonzero(knowledge == number))
        if number and len(candidates.n_relevant) < ENOUGH_USERS:
            members, used, source = take_class(query, truth, number)
            if source == "away" and members.n_users >= ENOUGH_USERS:
                first = np.arange(min(members.n_users, MOST_USERS))
                candidates = _collect(members.take(first), used.take(first), components)
        if number and len(candidates.n_relevant) >= ENOUGH_USERS:
            weights = ascend(candidates.precision, overall)
        chosen.append({name: round(float(w), 4) for name, w in zip(components, weights, strict=True) if w})
    return Blending(tuple(chosen))


def ascend(precision: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> np.ndarray:
    """Set one weight after the other to the best of those better beyond chance, user by user; the first one stays."""
    weights, best = start, precision(start)
    for _ in range(2):
        for at in range(1, len(weights)):
            better: list[tuple[float, np.ndarray, np.ndarray]] = []
            for value in WEIGHTS:
                if value == weights[at]:
                    continue
                trial = weights.copy()
                trial[at] = value
                of_users = precision(trial)
                gain = of_users - best
                if gain.mean() > LEAST_ERRORS * gain.std() / np.sqrt(len(gain)):
                    better.append((float(gain.mean()), trial, of_users))
            if better:
                _, weights, best = max(better, key=lambda trial: trial[0])
    return weights


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The best items of each user by each strategy.

    Parameters
    ----------
    scores
        float32, shape (n_components, n_users, n_candidates), minus infinity for what may not be in the list.
    is_relevant
        Whether the user used the candidate afterwards, bool, shape (n_users, n_candidates).
    n_relevant
        Items used afterwards, shape (n_users,).
    k
        Length of the lists.
    """

    scores: np.ndarray
    is_relevant: np.ndarray
    n_relevant: np.ndarray
    k: int

    def take(self, users: np.ndarray) -> _Candidates:
        return _Candidates(self.scores[:, users], self.is_relevant[users], self.n_relevant[users], self.k)

    def precision(self, weights: np.ndarray) -> np.ndarray:
        """Return the precision of each user's list by the weighted sums."""
        total = np.tensordot(weights, self.scores, axes=1)  # (n, n_candidates)
        k = min(self.k, total.shape[1])
        top = np.argpartition(-total, k - 1, axis=1)[:, :k]
        hits = np.take_along_axis(self.is_relevant, top, axis=1).sum(axis=1)
        of_each: np.ndarray = hits / np.clip(self.n_relevant, 1, self.k)
        return of_each


def _collect(query: Query, truth: SparseRows, components: tuple[str, ...]) -> _Candidates:
    """Score the candidates of each user by each strategy; where there is a ranker, of the items that it ranks."""
    ranker = query.model.ranker
    items: Items = EVERY_ITEM if ranker is None else ranker.items
    n_items = query.model.n_items if ranker is None else len(ranker.items)
    n_each = min(CANDIDATES, n_items)
    scores = np.full((len(components), query.n_users, n_each * len(components)), -np.inf, dtype=np.float32)
    is_relevant = np.zeros(scores.shape[1:], dtype=bool)
    for at in range(0, query.n_users, USERS_AT_ONCE):
        rows = np.arange(at, min(at + USERS_AT_ONCE, query.n_users))
        score_rows = [COMPONENTS[name](query, rows, items) for name in components]
        closed = query.excluded.take(rows).has_entries()[:, items]
        for scores_of in score_rows:
            scores_of[closed] = -np.inf
        best = [np.argpartition(-scores_of, n_each - 1, axis=1)[:, :n_each] for scores_of in score_rows]
        candidates = np.sort(np.concatenate(best, axis=1), axis=1)  # (n_rows, n_candidates)
        repeated = np.zeros(candidates.shape, dtype=bool)
        repeated[:, 1:] = candidates[:, 1:] == candidates[:, :-1]
        for number, scores_of in enumerate(score_rows):
            scores[number, rows] = np.where(repeated, -np.inf, np.take_along_axis(scores_of, candidates, axis=1))
        relevant = truth.take(rows).has_entries()[:, items]
        is_relevant[rows] = np.take_along_axis(relevant, candidates, axis=1) & ~repeated
    scores[0][np.isneginf(scores).any(axis=0)] = -np.inf
    scores[1:][np.isneginf(scores[1:])] = 0  # 0 x infinity is no number; the first, which always weighs 1, rules out
    return _Candidates(scores, is_relevant, truth.lengths(), query.k)
