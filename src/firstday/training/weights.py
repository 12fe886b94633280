"""Choosing on validation users how `soft_segments`, `neighbors`, `friends` and `blend` weigh what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product

import numpy as np

from firstday.artifact.trained_model import BOUNDS, Blending, TrainedModel
from firstday.embed.kept_users import Neighborhood
from firstday.metrics import measure
from firstday.recommend.blend import VOICES, voices_of
from firstday.recommend.query import Query
from firstday.recommend.strategies import answer_all
from firstday.segment.segments import Mixing
from firstday.sparse import SparseRows

SEGMENT_TEMPERATURES = (0.01, 0.02, 0.04, 0.08, 0.16)
SEGMENT_SMOOTHINGS = (0.0, 20.0, 100.0)
MOST_MIXED = 2_000
"""Validation users that are looked at, at most."""


def choose_mixing(query: Query, truth: SparseRows) -> Mixing:
    """Return the mixing whose lists have the best precision for the given users; among equals the first.

    Parameters
    ----------
    query
        Validation users, asking a trained model.
    truth
        What they used afterwards, shape (n_users, n_items).
    """
    rows = np.arange(min(query.n_users, MOST_MIXED))
    mixings = [Mixing(*values) for values in product(SEGMENT_TEMPERATURES, SEGMENT_SMOOTHINGS)]
    models = (replace(query.model, mixing=mixing) for mixing in mixings)
    return choose_model(query.take(rows), truth.take(rows), models, "soft_segments").mixing


def choose_model(query: Query, truth: SparseRows, models: Iterable[TrainedModel], strategy: str) -> TrainedModel:
    """Return the model whose lists by a strategy have the best precision for some users; among equals the first.

    Parameters
    ----------
    query, truth
        The users, and what they used afterwards.
    models
        They differ in how strategies weigh things alone; one at least.
    strategy
        Its name.
    """
    best, chosen = -1.0, query.model
    for model in models:
        query = query.asking(model)
        precision = float(measure(answer_all(query, strategy).items, truth).precision.mean())
        if precision > best:
            best, chosen = precision, model
    return chosen


NEIGHBOR_TEMPERATURES = (0.03, 0.05, 0.08, 0.12)
NEIGHBOR_SMOOTHINGS = (0.02, 0.1)
FRIEND_SMOOTHINGS = (1.0, 3.0, 10.0, 30.0)
MOST_USERS = 1_000
"""Validation users that are looked at for these, at most."""
MOST_BLENDED = 3_000
"""Validation users that are looked at for the weights of `blend`, at most."""

WEIGHTS = (0.0, 0.15, 0.3, 0.6, 1.2)
"""What a strategy may weigh beside the first one, which weighs 1."""
CANDIDATES = 150
"""Best items of each strategy among which `blend` is judged."""
USERS_AT_ONCE = 100
LEAST_USERS = 200
"""A class of users with fewer validation users takes the weights of all."""
START = {"direct": 1.0, "personal": 0.15, "neighbors": 0.3}
"""Weights to begin with, near to what the many validation users of Deezer Europe choose beginning with `direct` alone;
where there is no ranker, the first strategy alone."""
LEAST_ERRORS = 2.0
"""Standard errors by which a weight has to be better than the one before it, so that chance seldom sets one."""


def choose_weights(query: Query, truth: SparseRows) -> TrainedModel:
    """Return the model that is asked with the settings of `soft_segments`, `neighbors`, `friends` and `blend` chosen.

    Parameters
    ----------
    query, truth
        See `choose_neighborhood`.
    """
    model = replace(query.model, mixing=choose_mixing(query, truth))
    model = replace(model, neighborhood=choose_neighborhood(query.asking(model), truth))
    return replace(model, blending=choose_blending(query.asking(model), truth))


def choose_neighborhood(query: Query, truth: SparseRows) -> Neighborhood:
    """Return the settings whose lists have the best precision for the given users; among equals the first.

    Parameters
    ----------
    query
        Validation users, asking a trained model.
    truth
        What they used afterwards, shape (n_users, n_items).
    """
    if query.model.warm is None:
        return query.model.neighborhood
    rows = np.arange(min(query.n_users, MOST_USERS))
    asked, wanted = query.take(rows), truth.take(rows)

    def best(trials: list[Neighborhood], strategy: str) -> Neighborhood:
        models = (replace(query.model, neighborhood=trial) for trial in trials)
        return choose_model(asked, wanted, models, strategy).neighborhood

    chosen = best([Neighborhood(t, s) for t, s in product(NEIGHBOR_TEMPERATURES, NEIGHBOR_SMOOTHINGS)], "neighbors")
    if query.model.encoder.friend_vectors is not None:
        chosen = best([replace(chosen, friend_smoothing=f) for f in FRIEND_SMOOTHINGS], "friends")
    return chosen


def choose_blending(query: Query, truth: SparseRows) -> Blending:
    """Return weights for each class of users: first those of all, then of each class that has enough users.

    One weight after the other is set to what brings the best precision, twice over, beginning with `START`; where
    nothing is better by `LEAST_ERRORS`, it stays.

    Parameters
    ----------
    query, truth
        See `choose_neighborhood`.
    """
    rows = np.arange(min(query.n_users, MOST_BLENDED))
    query, truth = query.take(rows), truth.take(rows)
    voices = voices_of(query.model)
    scores, is_wanted, n_wanted = _collect(query, truth, voices)

    def precision(users: np.ndarray, weights: np.ndarray) -> np.ndarray:
        total = np.tensordot(weights, scores[:, users], axes=1)  # (n, n_candidates)
        k = min(query.k, total.shape[1])
        top = np.argpartition(-total, k - 1, axis=1)[:, :k]
        hits = np.take_along_axis(is_wanted[users], top, axis=1).sum(axis=1)
        of_each: np.ndarray = hits / np.clip(n_wanted[users], 1, query.k)
        return of_each

    begin = START if query.model.ranker is not None else {voices[0]: 1.0}
    start = np.array([begin.get(name, 0.0) for name in voices], dtype=np.float32)
    everyone = np.arange(query.n_users)
    overall = ascend(lambda weights: precision(everyone, weights), start)
    classes = Blending().class_of(query.liked.lengths())
    chosen = []
    for number in range(len(BOUNDS) + 1):
        users = np.flatnonzero(classes == number)
        weights = overall
        if len(users) >= LEAST_USERS:
            weights = ascend(lambda trial, mine=users: precision(mine, trial), overall)  # type: ignore[misc]
        chosen.append({name: round(float(w), 4) for name, w in zip(voices, weights, strict=True) if w})
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
                found = precision(trial)
                gain = found - best
                if gain.mean() > LEAST_ERRORS * gain.std() / np.sqrt(len(gain)):
                    better.append((float(gain.mean()), trial, found))
            if better:
                _, weights, best = max(better, key=lambda one: one[0])
    return weights


def _collect(query: Query, truth: SparseRows, voices: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score the candidates of each user by each strategy.

    Returns
    -------
    scores : numpy.ndarray
        float32, shape (n_voices, n_users, n_candidates), minus infinity for what may not be in the list.
    is_wanted : numpy.ndarray
        Whether the user used the candidate afterwards, bool, shape (n_users, n_candidates).
    n_wanted : numpy.ndarray
        Items used afterwards, shape (n_users,).
    """
    n_each = min(CANDIDATES, query.model.n_items)
    scores = np.full((len(voices), query.n_users, n_each * len(voices)), -np.inf, dtype=np.float32)
    is_wanted = np.zeros(scores.shape[1:], dtype=bool)
    for at in range(0, query.n_users, USERS_AT_ONCE):
        rows = np.arange(at, min(at + USERS_AT_ONCE, query.n_users))
        found = [VOICES[name](query, rows) for name in voices]
        closed, used = query.closed.take(rows), truth.take(rows)
        for one in found:
            one[closed.row_of_entry(), closed.columns] = -np.inf
        best = [np.argpartition(-one, n_each - 1, axis=1)[:, :n_each] for one in found]
        candidates = np.sort(np.concatenate(best, axis=1), axis=1)  # (n_rows, n_candidates)
        repeated = np.zeros(candidates.shape, dtype=bool)
        repeated[:, 1:] = candidates[:, 1:] == candidates[:, :-1]
        for number, one in enumerate(found):
            scores[number, rows] = np.where(repeated, -np.inf, np.take_along_axis(one, candidates, axis=1))
        wanted = np.zeros((len(rows), query.model.n_items), dtype=bool)
        wanted[used.row_of_entry(), used.columns] = True
        is_wanted[rows] = np.take_along_axis(wanted, candidates, axis=1) & ~repeated
    scores[0][np.isneginf(scores).any(axis=0)] = -np.inf
    scores[1:][np.isneginf(scores[1:])] = 0  # 0 x infinity is no number; the first, which always weighs 1, rules out
    return scores, is_wanted, truth.lengths()
