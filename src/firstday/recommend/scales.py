"""Scales of scores: shares and probabilities that people can read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import OWN_SCALE, PROBABILITY
from firstday.recommend.support import spec_of_route

SHARE = "share of "
FILLS_UP = "fills the list up"
"""Scale of fill-up items, which the strategy did not rank; their score is 0."""


def scale_answer(query: Query, answer: Answer) -> Answer:
    """Return the answer with readable scores and the names of their scales.

    Shares are clipped to [0, 1]. Scores of strategies with the scale `PROBABILITY` are calibrated to the probability
    that the user will use the item, estimated on validation users (`firstday.methods.calibrate`). All other scores,
    and those without a calibration, are kept. The order of a list never changes, but scores may become equal. Fill-up
    items score 0.

    Scores that depend on impressions are not calibrated, because calibrations are fitted without impressions.
    """
    model = query.model
    was_shown = query.passed_over.lengths() > 0
    scores = answer.scores.copy()
    scales = np.full(len(answer.routes), OWN_SCALE, dtype=object)
    for route in dict.fromkeys(answer.routes.tolist()):
        spec = spec_of_route(route)
        if spec is None:
            continue
        users = np.flatnonzero(answer.routes == route)
        scale = spec.scale
        if scale == PROBABILITY:
            if route not in model.calibrations:
                continue
            if spec.reads_impressions:
                users = users[~was_shown[users]]
            calibration = model.calibrations[route]
            scores[users] = calibration.probabilities(scores[users], answer.levels[users], query.n_known[users])
        elif scale.startswith(SHARE):
            scores[users] = np.clip(scores[users], 0, 1)
        scales[users] = scale
    scores[np.arange(scores.shape[1]) >= answer.n_ranked[:, None]] = 0
    return replace(answer, scores=scores, scales=scales)


def is_fraction(scale: str) -> bool:
    """Return whether a scale ranges from 0 to 1, so that scores can be written in %."""
    return scale == PROBABILITY or scale.startswith(SHARE)
