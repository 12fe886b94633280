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

    A share of people stays what it is. Other scores become the probability that the user will use the item, as
    validation users did (`firstday.training.calibrate`); where nothing is known of that, they stay as they are. No list
    changes its order, though scores may become equal. Places that fill lists up have the score 0.

    Validation users were shown nothing: where a strategy learned from what a user passed over, nothing is known of how
    likely its items are, and its scores stay as they are.
    """
    model, n_ranked, was_shown = query.model, answer.count_ranked(), query.passed_over.lengths() > 0
    scores, scales = answer.scores.copy(), np.full(len(answer.routes), OWN_SCALE, dtype=object)
    for route in dict.fromkeys(answer.routes.tolist()):
        users = np.flatnonzero(answer.routes == route)
        scale, scaled = _scale(model, route, answer.scores[users])
        learned = was_shown[users] & (scale == PROBABILITY) & ("shown" in parts_read(route, model))
        scales[users] = np.where(learned, OWN_SCALE, scale)
        scores[users] = np.where(learned[:, None], answer.scores[users], scaled)
    scores[np.arange(scores.shape[1]) >= n_ranked[:, None]] = 0
    return replace(answer, scores=scores, scales=scales, n_ranked=n_ranked)


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
