"""`blend`: a weighted sum of the components of other methods; weights depend on how much is known (not in the paper).

The weights are fitted on validation users, and components that are not part of every list are judged by what they earn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from firstday.display import readable
from firstday.methods.candidates import batches, find_candidates, score_evidence
from firstday.methods.clock import clock_terms
from firstday.methods.precision import MEASURED_LENGTHS, NORMAL_95, mean_and_error, measure_lengths
from firstday.model.order import Order
from firstday.model.trained_model import KNOWLEDGE, TrainedModel
from firstday.ranking import NO_ITEM, greatest, top_k
from firstday.recommend.component import LEAST_SHARE, Part, Scores, Shares
from firstday.recommend.fold import Fold, TrainingRun, head
from firstday.recommend.new_items.placement import find_new_candidates
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import PROBABILITY, Choice, StrategySpec, near_taste
from firstday.recommend.support import components_of, has_component

KNOTS = (0, 1, 20)
"""Numbers of interactions at which components have separate weights, interpolated between them."""
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


def share_of_knots(n_known: np.ndarray) -> np.ndarray:
    """Return the interpolation weights of `KNOTS` for each user, float32, shape (n_users, n_knots)."""
    to_many = np.minimum(np.log(np.maximum(n_known, 1)) / np.log(KNOTS[-1]), 1)
    has_any = n_known > 0
    return np.stack([~has_any, has_any * (1 - to_many), has_any * to_many], axis=1).astype(np.float32)


def recommend_blend(query: Query) -> Answer:
    """Rank items by a weighted sum of components; needs a signal, a profile value or an item passed over."""
    adds_new = query.new_items is not None and is_calibrated(query.model)
    rules = query.list_rules if adds_new else query.item_rules
    answered = (query.has_features | (query.passed_over.lengths() > 0)) & (rules.n_allowed > 0)
    items = np.full((query.n_users, query.k), NO_ITEM, dtype=np.int32)
    scores = np.zeros((query.n_users, query.k), dtype=np.float32)
    levels = np.zeros(query.n_users, dtype=np.float32)
    for rows in batches(np.flatnonzero(answered)):
        chosen, values, levels[rows] = score_blend(query, rows)
        if adds_new:
            chosen, values = add_new_items(query, rows, chosen, values, levels[rows])
        best, scores[rows] = top_k(values, query.k)
        items[rows] = np.where(best >= 0, np.take_along_axis(chosen, np.maximum(best, 0), axis=1), NO_ITEM)
    return Answer.from_lists(answered, "blend", items, scores, levels)


def is_calibrated(model: TrainedModel) -> bool:
    """Return whether scores are calibrated, so that new items can be ranked with the others."""
    return BLEND.name in model.calibrations


def add_new_items(
    query: Query, rows: np.ndarray, chosen: np.ndarray, values: np.ndarray, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add new items to candidates, with the scores that have their probabilities.

    Candidates and scores are as in `score_blend`; those of new items that the model knows are replaced.
    """
    new = query.new_items
    assert new is not None
    found, log_odds = find_new_candidates(query, new, rows)
    scores = query.model.calibrations[BLEND.name].find_scores(log_odds, levels, query.n_known[rows])
    for shown in batches(np.flatnonzero(query.passed_over.take(rows).lengths())):
        items = found[shown]
        scores[shown] += score_evidence(query, rows[shown], new.vectors, items, np.exp(new.log_use[items]))
    values = np.where(np.isin(chosen, new.index), np.float32(-np.inf), values)
    return np.append(chosen, new.index[found], axis=1), np.append(values, scores, axis=1)


def score_blend(query: Query, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each user's candidates, ascending, their weighted scores, and the user's level (`Answer.levels`).

    The first two have shape (n_rows, n_candidates), the last (n_rows,). Excluded items score minus infinity.
    """
    blending, names = query.model.derive(find_weights)
    parts, chosen, offsets = find_candidates(query, rows, names)
    weights = blending.at(query.n_known[rows])
    reference = np.tile(query.model.reference_items, (len(rows), 1))
    items = np.concatenate([chosen, reference], axis=1)
    scores = {name: score_part(parts[name], items) for name in names}
    of_clock = clock_terms(query.model)
    terms = np.float32(0) if of_clock is None else of_clock[items]
    of_time = {name: scores[name] + terms if is_log(parts[name]) else scores[name] for name in names}
    of_chosen, of_reference = np.split(add_up(weights, of_time), [chosen.shape[1]], axis=1)
    order: Order | None = query.model.learned.get("order")
    if order is not None and order.network is not None and order.components == names:
        scores = {name: scores[name][:, : chosen.shape[1]] for name in names}
        of_chosen = of_chosen + order.score(scores, add_up(weights, scores), query.n_known[rows])
    return chosen, of_chosen + offsets, of_reference.mean(axis=1)


def find_weights(model: TrainedModel) -> tuple[Blending, tuple[str, ...]]:
    """Return the weights of a model, and the components to combine; those of unregistered methods are left out."""
    blending: Blending = model.learned["blend"]
    names = tuple(name for name in blending.names if has_component(model, name))
    return (blending, names) if names else (Blending(), Blending().names)


def score_part(part: Part, chosen: np.ndarray) -> np.ndarray:
    """Return a component's scores of the candidates without the clock, float32, shape of `chosen`, (n_rows, n)."""
    scores = part.at(chosen)
    return np.log(scores + np.float32(LEAST_SHARE)) if isinstance(part, Shares) else scores


def is_log(part: Part) -> bool:
    """Return whether a component's scores are logarithms, to which the terms of the clock are added."""
    return isinstance(part, Shares) or (isinstance(part, Scores) and part.are_logs)


def add_up(weights: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the weighted sum of components' scores, float32, shape (n_rows, n_chosen)."""
    return reduce(np.add, [weights[name][:, None] * of_component for name, of_component in scores.items()])


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
        mean, error = mean_and_error(self.differences.mean(axis=0))
        return mean > error

    def to_json(self) -> dict[str, Any]:
        """Return the gain and its 95 % interval by length, in points of precision, as JSON values."""
        gains = {}
        for k, of_length in zip(MEASURED_LENGTHS, self.differences, strict=True):
            mean, error = mean_and_error(of_length)
            ends = (mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error)
            gains[str(k)] = [round(end, 4) for end in ends]
        return {"users": self.differences.shape[1], "gain": gains}


def learn_blending(run: TrainingRun) -> Choice:
    """Fit the weights, and report the gains of further components, and whether they are kept."""
    blending, gains = choose_blending(run.folds)
    figures = {name: {**gain.to_json(), "kept": name in blending.names} for name, gain in gains.items()}
    return blending, {"components": figures} if figures else {}


def choose_blending(folds: Sequence[Fold]) -> tuple[Blending, dict[str, Gain]]:
    """Fit the weights of `blend` to validation users' later use; return them, and the gains of further components.

    A component without a `position` is left out unless it earns something in addition to those before it that did, and
    those after it. If few validation users have only a profile or friends, users with interactions
    hidden are added.
    """
    names = components_of(folds[0].model)
    gains = {}
    for name in names:
        if find_strategy(name).position is None:
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
    return measure_lengths([fold.with_learned(blend=blending) for fold in folds], "blend")


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
        components = [score_part(parts[name], chosen) for name in names]
        relevant = fold.truth.take(rows).has(chosen) & (offsets > -np.inf)
        has_hit = relevant.any(axis=1)
        scores = np.stack(components, axis=2)[has_hit]
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


BLEND = StrategySpec(
    name="blend",
    recommend=recommend_blend,
    describe="Rank items by a weighted sum of strategies; the weights depend on how much is known about the user.",
    explain="Several ways of ranking combined, with weights that depend on how much is known about the user.",
    reason=near_taste,
    choose=learn_blending,
    value=Blending,
    always_trained=True,
    reads_impressions=True,
    scale=PROBABILITY,
    places_new=is_calibrated,
)
