"""Weights of the components of `blend`, fitted on validation users, and what each further component earns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from firstday.methods.blend import KNOTS, Blending, batches, find_candidates, score_components, share_of_knots
from firstday.model.trained_model import KNOWLEDGE
from firstday.ranking import greatest
from firstday.recommend.fold import Fold, head, measure_folds
from firstday.recommend.registry import components_of
from firstday.recommend.spec import BASE_COMPONENTS

MAX_BLEND_USERS = 3_000
"""Maximum number of validation users for the weights."""
ENOUGH_USERS = 200
"""Number of validation users with only a profile or friends below which others, with their interactions hidden, are
added."""
RIDGE = 0.05
"""L2 penalty on the weights."""
KNOT_SMOOTHING = 2.0
"""Penalty on the differences between weights at adjacent `KNOTS`, as a multiple of `RIDGE`: a knot without validation
users gets about the weights of its neighbour."""
N_BEST = 150
"""Candidates per user for the second fit: the best by the first fit, as lower ones rarely reach a list."""
MIN_WEIGHT = 0.01
"""A component is dropped if its weight is below this at every knot."""
MEASURED_LENGTHS = (10, 50)
"""Lengths of the lists by which the gain of a component is measured."""
NORMAL_95 = 1.96
"""Half-width of a 95 % interval, in standard errors."""


@dataclass(frozen=True, eq=False)
class Gain:
    """What a component earns: points of precision of `blend` over `blend` refitted without it.

    Weights and precision are from different validation users. `differences` has the points of each user by length of
    the list, float64, shape (n_lengths, n_users).
    """

    differences: np.ndarray

    @property
    def is_earned(self) -> bool:
        """Whether the mean over all lengths exceeds its standard error."""
        mean, error = _mean_and_error(self.differences.mean(axis=0))
        return mean > error

    def to_json(self) -> dict[str, Any]:
        """Return the gain and its 95 % interval by length, in points of precision, as JSON values."""
        gains = {}
        for k, of_length in zip(MEASURED_LENGTHS, self.differences, strict=True):
            mean, error = _mean_and_error(of_length)
            ends = (mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error)
            gains[str(k)] = [round(end, 4) for end in ends]
        return {"users": self.differences.shape[1], "gain": gains}


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(values.mean()), float(values.std()) / len(values) ** 0.5


def choose_blending(folds: Sequence[Fold]) -> tuple[Blending, dict[str, Gain]]:
    """Fit the weights of `blend` to validation users' later use; return them, and the gains of further components.

    A component that is not one of `BASE_COMPONENTS` is left out unless it earns something in addition to those before
    it that did, and those after it. If few validation users have only a profile or friends, users with interactions
    hidden are added.
    """
    names = components_of(folds[0].model)
    gains = {}
    for name in names:
        if name not in BASE_COMPONENTS:
            gains[name] = measure_gain(folds, names, name)
            if not gains[name].is_earned:
                names = tuple(other for other in names if other != name)
    return fit_blending(folds, names), gains


def measure_gain(folds: Sequence[Fold], names: tuple[str, ...], name: str) -> Gain:
    """Measure what a component adds to the others; weights are fitted on each half of the users for the other half."""
    halves = [[fold.take(np.arange(start, fold.query.n_users, 2)) for fold in folds] for start in (0, 1)]
    others = tuple(other for other in names if other != name)
    parts = []
    for fitted, judged in (halves, halves[::-1]):
        with_it = _measure_lengths(judged, fit_blending(fitted, names))
        without_it = _measure_lengths(judged, fit_blending(fitted, others))
        parts.append(100 * (with_it - without_it))
    return Gain(np.concatenate(parts, axis=1))


def _measure_lengths(folds: Sequence[Fold], blending: Blending) -> np.ndarray:
    """Return the precision of each user's lists under some weights, shape (n_lengths, n_users)."""
    weighted = [fold.with_learned(blend=blending) for fold in folds]
    return np.stack([measure_folds([fold.with_length(k) for fold in weighted], "blend") for k in MEASURED_LENGTHS])


def fit_blending(folds: Sequence[Fold], names: tuple[str, ...]) -> Blending:
    """Fit the weights of components, then refit them on each user's best candidates."""
    sample = head(folds, MAX_BLEND_USERS)
    for name in ("profile", "friends"):
        if added := _hide_interactions(folds, name):
            sample += head(added, ENOUGH_USERS)
    candidates = [batch for fold in sample for batch in collect_candidates(fold, names)]
    weights = fit_weights(candidates, len(names))
    weights = fit_weights([batch.keep_best(weights) for batch in candidates], len(names))
    chosen = np.flatnonzero(weights.max(axis=0) >= MIN_WEIGHT)
    if not len(chosen):
        return Blending()
    return Blending(tuple({names[i]: round(float(knot[i]), 4) for i in chosen} for knot in weights))


def _hide_interactions(folds: Sequence[Fold], name: str) -> list[Fold]:
    """Return users of a class made by hiding interactions and, for ``profile``, friends; empty if it has enough users.

    Hidden items stay excluded from the users' lists, because they are not in the truth.
    """
    n_users = sum(fold.query.n_users for fold in _take_class(folds, name))
    if n_users >= ENOUGH_USERS or folds[0].query.computed is not None:
        return []
    views = []
    for fold in folds:
        query = fold.query
        friends = None if name == "profile" else query.signals.friends
        signals = replace(query.signals, actions={}, friends=friends)
        views.append(Fold(replace(query, signals=signals, excluded_override=query.excluded), fold.truth))
    return _take_class(views, name)


def _take_class(folds: Sequence[Fold], name: str) -> list[Fold]:
    number = KNOWLEDGE.index(name)
    return [fold.take(np.flatnonzero(fold.query.knowledge == number)) for fold in folds]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Component scores and relevance of the candidates of a batch of users.

    `scores`, float32, have shape (n_users, n_candidates, n_components). `offsets`, float32, shape
    (n_users, n_candidates), are added to the weighted sums; they are minus infinity for excluded items. `is_relevant`,
    of the same shape, tells whether the user went on to use the candidate. `knot_weights` are the interpolation weights
    of `share_of_knots`, float32, shape (n_users, n_knots).
    """

    scores: np.ndarray
    offsets: np.ndarray
    is_relevant: np.ndarray
    knot_weights: np.ndarray

    def weighted_sums(self, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sums, float32, shape (n_users, n_candidates), given the weights of `fit_weights`."""
        user_weights = self.knot_weights @ weights.astype(np.float32)
        return np.asarray(np.matmul(self.scores, user_weights[:, :, None])[:, :, 0] + self.offsets)

    def keep_best(self, weights: np.ndarray) -> Candidates:
        """Return each user's `N_BEST` candidates by weighted sum, for users who used at least one of them."""
        best = greatest(self.weighted_sums(weights), min(N_BEST, self.offsets.shape[1]))
        relevant = np.take_along_axis(self.is_relevant, best, axis=1)
        has_hit = relevant.any(axis=1)
        offsets = np.take_along_axis(self.offsets, best, axis=1)
        scores = np.take_along_axis(self.scores, best[:, :, None], axis=1)
        return Candidates(scores[has_hit], offsets[has_hit], relevant[has_hit], self.knot_weights[has_hit])


def collect_candidates(fold: Fold, names: tuple[str, ...]) -> Iterator[Candidates]:
    """Score the candidates of users with any known signal who used at least one candidate."""
    query = fold.query
    for rows in batches(np.flatnonzero(query.has_features)):
        parts, chosen, offsets = find_candidates(query, rows, names)
        components = score_components(query.model, parts, names, chosen)
        relevant = fold.truth.take(rows).has(chosen) & (offsets > -np.inf)
        has_hit = relevant.any(axis=1)
        scores = np.stack([components[name][has_hit] for name in names], axis=2)
        yield Candidates(scores, offsets[has_hit], relevant[has_hit], share_of_knots(query.n_known[rows][has_hit]))


def fit_weights(candidates: Sequence[Candidates], n_components: int) -> np.ndarray:
    """Fit non-negative component weights of a conditional logit model of the used candidates; each user has weight 1.

    Return the weights at each of `KNOTS`, float64, shape (n_knots, n_components).
    """
    from scipy.optimize import minimize

    n_users = max(1, sum(len(batch.knot_weights) for batch in candidates))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(len(KNOTS), n_components)
        differences = np.diff(weights, axis=0)
        value = RIDGE / 2 * float((weights**2).sum() + KNOT_SMOOTHING * (differences**2).sum())
        gradient = RIDGE * (weights - KNOT_SMOOTHING * np.diff(differences, axis=0, prepend=0, append=0))
        for batch in candidates:
            logits = batch.weighted_sums(weights)
            relevant = batch.is_relevant
            logits -= logits.max(axis=1, keepdims=True)
            odds = np.exp(logits)
            total = odds.sum(axis=1, keepdims=True)
            target = relevant / relevant.sum(axis=1, keepdims=True, dtype=np.float32)
            value -= float((logits - np.log(total))[relevant] @ target[relevant]) / n_users
            error = np.matmul((odds / total - target)[:, None], batch.scores)[:, 0]  # (n, n_components)
            gradient = gradient + batch.knot_weights.T @ error / n_users
        return value, gradient.ravel()

    start = np.full(len(KNOTS) * n_components, 1 / n_components)
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    return np.asarray(result.x.reshape(len(KNOTS), n_components))
