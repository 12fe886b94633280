"""Scales: what the scores beside a list are, as shares and probabilities that people can read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import parts_read, spec_of_route
from firstday.recommend.spec import OWN_SCALE, PROBABILITY

SHARE = "share of "
"""The names of scales that are shares begin so."""
FILLS_UP = "fills the list up"
"""The scale of items that a strategy did not rank, whose score is 0."""


def scale_answer(query: Query, answer: Answer) -> Answer:
    """Return an answer to a query with its scores on scales that people can read, and the names of these.

    Validation users were shown nothing: where a strategy learned from what a user passed over, nothing is known of how
    likely its items are, and its scores stay as they are.
    """
    n_ranked = answer.count_ranked()
    scores, scales = scale_scores(query.model, answer.routes, answer.scores, n_ranked)
    for user in np.flatnonzero((query.passed_over.lengths() > 0) & (scales == PROBABILITY)).tolist():
        if "shown" in parts_read(answer.routes[user], query.model):
            scores[user, : n_ranked[user]], scales[user] = answer.scores[user, : n_ranked[user]], OWN_SCALE
    return replace(answer, scores=scores, scales=scales, n_ranked=n_ranked)


def scale_scores(
    model: TrainedModel, routes: np.ndarray, scores: np.ndarray, n_ranked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bring scores to scales that people can read; no list changes its order, though scores may become equal.

    A share of people stays what it is. Other scores become the probability that the user will use the item, as
    validation users did (`firstday.training.calibrate`); where nothing is known of that, they stay as they are.

    Parameters
    ----------
    model
        The model that answered.
    routes
        The name of what answered each user, shape (n_users,).
    scores
        Its scores, best first, float32, shape (n_users, k).
    n_ranked
        How many places of each list it ranked; the others fill the list up, integers, shape (n_users,).

    Returns
    -------
    scores : numpy.ndarray
        float32, shape (n_users, k), 0 for places that fill lists up.
    scales : numpy.ndarray
        The name of each user's scale, shape (n_users,): ``share of ...``, ``probability of use``, what a plugin calls
        its own, or ``score``.
    """
    scaled, scales = scores.copy(), np.full(len(routes), OWN_SCALE, dtype=object)
    names = dict.fromkeys(routes.tolist())
    for route in names:
        users = slice(None) if len(names) == 1 else np.flatnonzero(routes == route)
        scales[users], scaled[users] = _scale(model, route, scores[users])
    scaled[np.arange(scores.shape[1]) >= n_ranked[:, None]] = 0
    return scaled, scales


def _scale(model: TrainedModel, route: str, scores: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the scale of what answered, and its scores on it."""
    spec = spec_of_route(route)
    if spec is None:
        return OWN_SCALE, scores
    if spec.scale == PROBABILITY:
        calibration = model.calibrations.get(route)
        return (OWN_SCALE, scores) if calibration is None else (PROBABILITY, calibration.probabilities(scores))
    if spec.rescale is not None:
        scores = spec.rescale(model, scores)
    return spec.scale, np.clip(scores, 0, 1) if spec.scale.startswith(SHARE) else scores


def is_part(scale: str) -> bool:
    """Tell whether a scale goes from 0 to 1, so that its scores may be written in %."""
    return scale == PROBABILITY or scale.startswith(SHARE)
