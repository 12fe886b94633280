"""Choice of the weights and smoothing of strategies on validation users: segments, neighbours, friends and `blend`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from firstday.artifact.trained_model import KNOTS, KNOWLEDGE, Blending, share_of_knots
from firstday.embed.kept_users import Neighborhood
from firstday.ranking import greatest
from firstday.recommend.strategies.blend import batches, components_of, score_components
from firstday.segment.segments import Mixing
from firstday.training.selection import ENOUGH_USERS, take_class
from firstday.training.validation import Fold, head, measure_folds

LIST_SMOOTHINGS = (0.0, 20.0, 100.0, 400.0, 1600.0)
"""Smoothings of `segment` to try, in pseudo-users."""
SEGMENT_TEMPERATURES, SEGMENT_SMOOTHINGS = (0.01, 0.02, 0.04, 0.08, 0.16), (0.0, 20.0, 100.0)
"""Settings of `soft_segments` to try: temperatures in half squared distances, smoothings in pseudo-users."""
MAX_SEGMENT_USERS = 2_000
"""Maximum number of validation users for segment settings."""
NEIGHBOR_TEMPERATURES, NEIGHBOR_SMOOTHINGS = (0.03, 0.05, 0.08, 0.12), (0.02, 0.1)
"""Settings of `neighbors` to try: temperatures in cosines, smoothings relative to the sum of the weights."""
FRIEND_SMOOTHINGS = (1.0, 3.0, 10.0, 30.0)
"""Smoothings of `friends` to try, in pseudo-friends."""
MAX_NEIGHBOR_USERS = 1_000
"""Maximum number of validation users for neighbour and friend settings."""
MAX_BLEND_USERS = 3_000
"""Maximum number of validation users for the weights of `blend`."""

RIDGE = 0.05
"""L2 penalty on the weights of `blend`."""
KNOT_SMOOTHING = 2.0
"""Penalty on the differences between weights at adjacent `KNOTS`, as a multiple of `RIDGE`: a knot without validation
users gets about the weights of its neighbour."""
N_BEST = 150
"""Candidates per user for the second fit of `blend`: the best by the first fit, as lower ones rarely reach a list."""
MIN_WEIGHT = 0.01
"""A component of `blend` is dropped if its weight is below this at every knot."""


def choose_weights(folds: Sequence[Fold]) -> dict[str, Any]:
    """Choose the smoothing and temperature of segments, neighbours and friends, and the weights of `blend`.

    Return these settings of a `TrainedModel` by field.
    """
    model = folds[0].query.model
    settings = {}

    def choose(max_users: int, strategy: str, setting: str, values: Sequence[Any]) -> None:
        """Choose the value (ties: the first) at which a strategy is most precise on about `max_users` users."""
        sample = head(folds, max_users)
        settings[setting] = max(
            values,
            key=lambda value: measure_folds(
                [fold.with_settings(**{setting: value}) for fold in sample], strategy
            ).mean(),
        )

    configured = model.config.segments.smoothing
    smoothings = LIST_SMOOTHINGS if configured is None else (configured,)
    choose(MAX_SEGMENT_USERS, "segment", "segment_smoothing", smoothings)
    mixings = [Mixing(*values) for values in product(SEGMENT_TEMPERATURES, SEGMENT_SMOOTHINGS)]
    choose(MAX_SEGMENT_USERS, "soft_segments", "mixing", mixings)
    if model.warm is not None:
        neighborhoods = [Neighborhood(*values) for values in product(NEIGHBOR_TEMPERATURES, NEIGHBOR_SMOOTHINGS)]
        choose(MAX_NEIGHBOR_USERS, "neighbors", "neighborhood", neighborhoods)
        if model.knows_friends:
            chosen = settings["neighborhood"]
            neighborhoods = [replace(chosen, friend_smoothing=smoothing) for smoothing in FRIEND_SMOOTHINGS]
            choose(MAX_NEIGHBOR_USERS, "friends", "neighborhood", neighborhoods)
    return {**settings, "blending": choose_blending([fold.with_settings(**settings) for fold in folds])}


def choose_blending(folds: Sequence[Fold]) -> Blending:
    """Fit the weights of `blend` to validation users' later use, then refit them on each user's best candidates.

    If few validation users have only a profile or friends, users with interactions hidden are added (`take_class`).
    """
    sample = head(folds, MAX_BLEND_USERS)
    for name in ("profile", "friends"):
        members, source = take_class(folds, KNOWLEDGE.index(name))
        if source == "away":
            sample += head(members, ENOUGH_USERS)
    candidates = [batch for fold in sample for batch in collect_candidates(fold)]
    components = components_of(folds[0].query.model)
    weights = fit_weights(candidates, len(components))
    weights = fit_weights([batch.keep_best(weights) for batch in candidates], len(components))
    chosen = np.flatnonzero(weights.max(axis=0) >= MIN_WEIGHT)
    if not len(chosen):
        return Blending()
    return Blending(tuple({components[i]: round(float(knot[i]), 4) for i in chosen} for knot in weights))


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


def collect_candidates(fold: Fold) -> Iterator[Candidates]:
    """Score the candidates of users with any known signal who used at least one candidate."""
    query = fold.query
    names = components_of(fold.query.model)
    for rows in batches(np.flatnonzero(query.has_features)):
        chosen, components, offsets = score_components(query, rows, names)
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
