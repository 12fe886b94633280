"""Impressions of users who are not warm, which also count for the rates of use."""

from __future__ import annotations

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.ids import Ids
from firstday.data.splits.split import Actions, take_actions
from firstday.recommend.query import Query
from firstday.segment.shown_counts import ShownCounts, count_shown

ENCODED_USERS = 20_000
"""Approximate number of users whose features are in memory at a time."""


def count_shown_to_others(
    part: Dataset, model: TrainedModel, warm: np.ndarray, actions: Actions, held_out: Ids, window: Window | None
) -> ShownCounts | None:
    """Count the impressions of a part's users who are not warm, by the segment nearest to the predicted vector.

    Parameters
    ----------
    part
        All users of a dataset, or some.
    model
        Predicts the users' vectors.
    warm
        `user_ix` of the warm users, shape (n_warm,), who are counted elsewhere by their own vectors.
    actions
        Actions of all users of the part, with a row for each `user_ix`.
    held_out
        Ids of excluded users.
    window
        Time window of `actions`; None: all times.

    Returns
    -------
    ShownCounts
        None if the part has no impressions.
    """
    if part.impressions is None:
        return None
    frames = part.impressions.frames()
    shown = [np.unique((frame if window is None else window.select(frame))["user_ix"].to_numpy()) for frame in frames]
    others = np.setdiff1d(np.concatenate(shown), warm)
    others = others[held_out.lookup(part.users.take(others)) < 0]
    segments = [
        Query(model, model.catalogue.translate(part, users, take_actions(actions, users))[0], 1).nearest_segments
        for users in np.array_split(others, len(others) // ENCODED_USERS + 1)
    ]
    return count_shown(part, others, np.concatenate(segments), len(model.segments), model.config.signals, window)
