"""Choosing on validation users how `soft_segments`, `neighbors`, `friends` and `blend` weigh what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeVar

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE, Blending
from firstday.embed.kept_users import Neighborhood
from firstday.metrics import measure
from firstday.ranking import rank_scores
from firstday.recommend.blend import COMPONENTS, EVERY_ITEM, Items, components_of, have_friends
from firstday.recommend.neighbors import score_friends, score_neighbors
from firstday.recommend.query import Query
from firstday.recommend.soft_segments import mix_segments
from firstday.segment.segments import Mixing, smooth_shares
from firstday.training.selection import ENOUGH_USERS, take_class
from firstday.training.validation import Fold, head

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


def choose_weights(folds: Sequence[Fold]) -> tuple[list[Fold], dict[str, Any]]:
    """Choose how `soft_segments`, `neighbors`, `friends` and `blend` weigh what they rest on.

    Parameters
    ----------
    folds
        Validation users, asking trained models.

    Returns
    -------
    folds : list of Fold
        The same users, asking models with these settings.
    settings : dict
        Fields of `TrainedModel`.
    """
    settings: dict[str, Any] = {"mixing": choose_mixing(folds)}
    with_mixing = [fold.with_settings(**settings) for fold in folds]
    settings["neighborhood"] = choose_neighborhood(with_mixing)
    with_neighbors = [fold.with_settings(**settings) for fold in folds]
    settings["blending"] = choose_blending(with_neighbors)
    return [fold.with_settings(**settings) for fold in folds], settings


def choose_mixing(folds: Sequence[Fold]) -> Mixing:
    """Return the mixing of `soft_segments` whose lists are best; among equals the first."""
    mixings = [Mixing(*values) for values in product(SEGMENT_TEMPERATURES, SEGMENT_SMOOTHINGS)]

    def score(mixing: Mixing, query: Query) -> Score:
        shares = smooth_shares(query.model.segments, query.model.popularity, mixing)
        return lambda rows: mix_segments(query.model, query.predicted[rows], mixing, shares)

    return _best(mixings, score, head(folds, MOST_MIXED), lambda query: query.known)


def choose_neighborhood(folds: Sequence[Fold]) -> Neighborhood:
    """Return the settings of `neighbors`, then of `friends`, whose lists are best; among equals the first."""
    if folds[0].query.model.warm is None:
        return folds[0].query.model.neighborhood
    folds = head(folds, MOST_USERS)
    trials = [Neighborhood(*values) for values in product(NEIGHBOR_TEMPERATURES, NEIGHBOR_SMOOTHINGS)]
    chosen = _best(
        trials, lambda trial, query: lambda rows: score_neighbors(query, rows, trial), folds, lambda query: query.known
    )
    if folds[0].query.model.knows_friends:
        trials = [replace(chosen, friend_smoothing=smoothing) for smoothing in FRIEND_SMOOTHINGS]
        chosen = _best(trials, lambda trial, query: lambda rows: score_friends(query, rows, trial), folds, have_friends)
    return chosen


def _best(
    trials: Sequence[T],
    score: Callable[[T, Query], Score],
    folds: Sequence[Fold],
    answered: Callable[[Query], np.ndarray],
) -> T:
    """Return the trial by whose scores lists are best for the users whom the strategy answers; among equals the first.

    All other users get the same lists by every trial.
    """
    parts = [fold.take(rows) for fold in folds if len(rows := np.flatnonzero(answered(fold.query)))]
    if not parts:
        return trials[0]

    def precision(trial: T) -> float:
        of_parts = []
        for part in parts:
            lists, _ = rank_scores(score(trial, part.query), part.query.excluded, part.query.k)
            of_parts.append(measure(lists, part.truth).precision)
        return float(np.concatenate(of_parts).mean())

    return max(trials, key=precision)


def choose_blending(folds: Sequence[Fold]) -> Blending:
    """Return weights for each class of users: first those of all, then of each class that enough users stand for.

    One weight after the other is set to what brings the best precision, twice over, beginning with `START`; where
    nothing is better by `LEAST_ERRORS`, it stays.
    """
    model = folds[0].query.model
    components = components_of(model)
    begin = START if model.ranker is not None else {components[0]: 1.0}
    start = np.array([begin.get(name, 0.0) for name in components], dtype=np.float32)
    first = head(folds, MOST_BLENDED)
    knowledge = np.concatenate([fold.query.knowledge for fold in first])
    of_all = _collect(first, components)
    overall = ascend(of_all.precision, start)
    chosen = []
    for number in range(len(KNOWLEDGE)):
        weights, candidates = overall, of_all.take(np.flatnonzero(knowledge == number))
        if number and len(candidates.n_relevant) < ENOUGH_USERS:
            members, source = take_class(folds, number)
            if source == "away" and sum(fold.query.n_users for fold in members) >= ENOUGH_USERS:
                candidates = _collect(head(members, MOST_USERS), components)
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


def _collect(folds: Sequence[Fold], components: tuple[str, ...]) -> _Candidates:
    """Score the candidates of each user by each strategy; where there is a ranker, of the items that it ranks."""
    folds = [fold for fold in folds if fold.query.n_users]
    models = [fold.query.model for fold in folds]
    n_items = min(model.n_items if model.ranker is None else len(model.ranker.items) for model in models)
    parts = [_collect_fold(fold, components, min(CANDIDATES, n_items)) for fold in folds]
    return _Candidates(
        np.concatenate([part.scores for part in parts], axis=1),
        np.concatenate([part.is_relevant for part in parts]),
        np.concatenate([part.n_relevant for part in parts]),
        folds[0].query.k,
    )


def _collect_fold(fold: Fold, components: tuple[str, ...], n_each: int) -> _Candidates:
    """Score the candidates of the users of one fold, so many of each strategy."""
    query, truth = fold.query, fold.truth
    ranker = query.model.ranker
    items: Items = EVERY_ITEM if ranker is None else ranker.items
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
