"""Scales of scores: shares and probabilities that people can read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import parts_read, spec_of_route
from firstday.recommend.spec import OWN_SCALE, PROBABILITY

SHARE = "share of "
"""Prefix of the scales that are shares."""
FILLS_UP = "fills the list up"
"""Scale of fill-up items, which the strategy did not rank; their score is 0."""


def scale_answer(query: Query, answer: Answer) -> Answer:
    """Return the answer with readable scores and the names of their scales.

    Shares are kept. Other scores are calibrated to the probability that the user will use the item, estimated on
    validation users (`firstday.training.calibrate`); without a calibration, they are kept. The order of a list never
    changes, but scores may become equal. Fill-up items score 0.

    Validation users have no impressions. Scores that a strategy learned from items passed over are therefore not
    calibrated.
    """
    if answer.scales is not None:  # under rules, scores are scaled before they are rearranged
        return answer
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
    """Return the scale of a route, and its scores on that scale."""
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
    """Return whether a scale ranges from 0 to 1, so that scores can be written in %."""
    return scale == PROBABILITY or scale.startswith(SHARE)
