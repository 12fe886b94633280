"""Choice of the weights and smoothing of strategies on validation users: segments, neighbours, friends and `blend`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeVar

import numpy as np

from firstday.artifact.trained_model import KNOTS, KNOWLEDGE, Blending, share_of_knots
from firstday.embed.kept_users import Neighborhood
from firstday.ranking import greatest
from firstday.recommend.strategies.blend import batches, components_of, score_components
from firstday.segment.segments import Mixing
from firstday.training.selection import ENOUGH_USERS, take_class
from firstday.training.validation import Fold, head, measure_folds

T = TypeVar("T")

LIST_SMOOTHINGS = (0.0, 20.0, 100.0, 400.0, 1600.0)
SEGMENT_TEMPERATURES = (0.01, 0.02, 0.04, 0.08, 0.16)
SEGMENT_SMOOTHINGS = (0.0, 20.0, 100.0)
MOST_MIXED = 2_000
"""Maximum number of validation users for segment settings."""
NEIGHBOR_TEMPERATURES = (0.03, 0.05, 0.08, 0.12)
NEIGHBOR_SMOOTHINGS = (0.02, 0.1)
FRIEND_SMOOTHINGS = (1.0, 3.0, 10.0, 30.0)
MOST_USERS = 1_000
"""Maximum number of validation users for neighbour and friend settings."""
MOST_BLENDED = 3_000
"""Maximum number of validation users for the weights of `blend`."""

RIDGE, TIE = 0.05, 2.0
"""L2 penalty on the weights of `blend`, and its multiple on differences between adjacent knots: a knot without
validation users gets about the weights of its neighbour."""
N_BEST = 150
"""Candidates by the first fit of `blend` that the second fit is restricted to, since lists consist of the best ones."""
LEAST_WEIGHT = 0.01
"""Minimum weight of a component; smaller ones are dropped."""


def choose_weights(folds: Sequence[Fold]) -> tuple[list[Fold], dict[str, Any]]:
    """Choose the weights of `segment`, `soft_segments`, `neighbors`, `friends` and `blend`.

    Parameters
    ----------
    folds
        Validation users, querying trained models.

    Returns
    -------
    folds : list of Fold
        The same users, querying models with these settings.
    settings : dict
        Fields of `TrainedModel`.
    """
    settings: dict[str, Any] = {}
    for name, choose in (
        ("segment_smoothing", choose_smoothing),
        ("mixing", choose_mixing),
        ("neighborhood", choose_neighborhood),
        ("blending", choose_blending),
    ):
        settings[name] = choose(folds)
        folds = [fold.with_settings(**settings) for fold in folds]
    return list(folds), settings


def choose_smoothing(folds: Sequence[Fold]) -> float:
    """Return the best smoothing of `segment`; ties go to the first."""
    given = folds[0].query.model.config.segments.smoothing
    return _best(folds, MOST_MIXED, "segment", "segment_smoothing", LIST_SMOOTHINGS) if given is None else given


def choose_mixing(folds: Sequence[Fold]) -> Mixing:
    """Return the best mixing of `soft_segments`; ties go to the first."""
    mixings = [Mixing(*values) for values in product(SEGMENT_TEMPERATURES, SEGMENT_SMOOTHINGS)]
    return _best(folds, MOST_MIXED, "soft_segments", "mixing", mixings)


def choose_neighborhood(folds: Sequence[Fold]) -> Neighborhood:
    """Return the best settings of `neighbors`, then of `friends`; ties go to the first."""
    model = folds[0].query.model
    if model.warm is None:
        return model.neighborhood
    trials = [Neighborhood(*values) for values in product(NEIGHBOR_TEMPERATURES, NEIGHBOR_SMOOTHINGS)]
    chosen = _best(folds, MOST_USERS, "neighbors", "neighborhood", trials)
    if not model.knows_friends:
        return chosen
    trials = [replace(chosen, friend_smoothing=smoothing) for smoothing in FRIEND_SMOOTHINGS]
    return _best(folds, MOST_USERS, "friends", "neighborhood", trials)


def _best(folds: Sequence[Fold], most: int, strategy: str, setting: str, trials: Sequence[T]) -> T:
    """Return the value of a model's setting with the best lists of a strategy for at most `most` users."""
    some = head(folds, most)

    def precision(trial: T) -> float:
        return float(measure_folds([fold.with_settings(**{setting: trial}) for fold in some], strategy).mean())

    return max(trials, key=precision)


def choose_blending(folds: Sequence[Fold]) -> Blending:
    """Fit the weights of `blend` to validation users' later use, then refit them on each user's best candidates.

    If few validation users have only a profile or friends, users with actions are added with their actions hidden.
    """
    views = [view for name in ("profile", "friends") for view in _take_away(folds, KNOWLEDGE.index(name))]
    parts = [part for fold in (*head(folds, MOST_BLENDED), *views) for part in collect_candidates(fold)]
    components = components_of(folds[0].query.model)
    weights = fit_weights(parts, len(components))
    weights = fit_weights([part.keep_best(weights) for part in parts], len(components))
    kept = np.flatnonzero(weights.max(axis=0) >= LEAST_WEIGHT)
    if not len(kept):
        return Blending()
    return Blending(tuple({components[at]: round(float(of_knot[at]), 4) for at in kept} for of_knot in weights))


def _take_away(folds: Sequence[Fold], number: int) -> list[Fold]:
    """Return users with hidden actions, if a class has few validation users."""
    members, source = take_class(folds, number)
    return head(members, ENOUGH_USERS) if source == "away" else []


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of some users.

    Parameters
    ----------
    scores
        Score of each component, float32, shape (n_users, n_candidates, n_components).
    shown
        Added to the weighted sums; minus infinity for excluded items, float32, shape (n_users, n_candidates).
    is_relevant
        Whether the user went on to use the candidate, bool, shape (n_users, n_candidates).
    shares
        See `share_of_knots`, float32, shape (n_users, n_knots).
    """

    scores: np.ndarray
    shown: np.ndarray
    is_relevant: np.ndarray
    shares: np.ndarray

    def sum_up(self, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sums, float32, shape (n_users, n_candidates), given the weights of `fit_weights`."""
        of_users = self.shares @ weights.astype(np.float32)
        sums: np.ndarray = np.matmul(self.scores, of_users[:, :, None])[:, :, 0] + self.shown
        return sums

    def keep_best(self, weights: np.ndarray) -> Candidates:
        """Return each user's `N_BEST` candidates by weighted sum, for users who used at least one of them."""
        best = greatest(self.sum_up(weights), min(N_BEST, self.shown.shape[1]))
        relevant = np.take_along_axis(self.is_relevant, best, axis=1)
        judged, shown = relevant.any(axis=1), np.take_along_axis(self.shown, best, axis=1)
        scores = np.take_along_axis(self.scores, best[:, :, None], axis=1)
        return Candidates(scores[judged], shown[judged], relevant[judged], self.shares[judged])


def collect_candidates(fold: Fold) -> Iterator[Candidates]:
    """Score the candidates of users with any known signal who used at least one candidate."""
    query, names = fold.query, components_of(fold.query.model)
    for rows in batches(np.flatnonzero(query.known)):
        chosen, components, shown = score_components(query, rows, names)
        relevant = fold.truth.take(rows).has(chosen) & (shown > -np.inf)
        judged = relevant.any(axis=1)
        scores = np.stack([components[name][judged] for name in names], axis=2)
        yield Candidates(scores, shown[judged], relevant[judged], share_of_knots(query.n_known[rows][judged]))


def fit_weights(parts: Sequence[Candidates], n_components: int) -> np.ndarray:
    """Fit non-negative component weights by maximum likelihood of the items used among the candidates.

    Items are drawn from the softmax of the weighted sums. All users have equal weight.

    Returns
    -------
    numpy.ndarray
        Weights at each of `KNOTS`, float64, shape (n_knots, n_components).
    """
    from scipy.optimize import minimize

    n_users = max(1, sum(len(part.shares) for part in parts))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(len(KNOTS), n_components)
        apart = np.diff(weights, axis=0)
        value = RIDGE / 2 * float((weights**2).sum() + TIE * (apart**2).sum())
        slope = RIDGE * (weights - TIE * np.diff(apart, axis=0, prepend=0, append=0))
        for part in parts:
            logits = part.sum_up(weights)
            logits -= logits.max(axis=1, keepdims=True)
            likely = np.exp(logits)
            total = likely.sum(axis=1, keepdims=True)
            wanted = part.is_relevant / part.is_relevant.sum(axis=1, keepdims=True, dtype=np.float32)
            value -= float((logits - np.log(total))[part.is_relevant] @ wanted[part.is_relevant]) / n_users
            off = np.matmul((likely / total - wanted)[:, None], part.scores)[:, 0]  # (n, n_components)
            slope = slope + part.shares.T @ off / n_users
        return value, slope.ravel()

    start = np.full(len(KNOTS) * n_components, 1 / n_components)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    weights: np.ndarray = found.x.reshape(len(KNOTS), n_components)
    return weights
