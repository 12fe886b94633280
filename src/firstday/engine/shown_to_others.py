"""Impressions of users who are not warm, which also count for the rates of use."""

from __future__ import annotations

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.ids import Ids
from firstday.data.splits.split import Actions, take_actions
from firstday.impressions.counts import ShownCounts, count_shown
from firstday.model.trained_model import TrainedModel
from firstday.recommend.query import Query

ENCODED_USERS = 20_000
"""Approximate number of users whose features are in memory at a time."""


def count_shown_to_others(
    part: Dataset, model: TrainedModel, warm: np.ndarray, actions: Actions, held_out: Ids, window: Window | None
) -> ShownCounts | None:
    """Count the impressions of a part's users who are not warm, by the segment nearest to the predicted vector.

    `warm` are the `user_ix` of the warm users, shape (n_warm,), who are counted elsewhere by their own vectors. Actions
    have a row for each `user_ix`; their time window may be None: all times. Held-out users are not counted.
    """
    if part.impressions is None:
        return None
    frames = part.impressions.frames()
    if window is not None:
        frames = map(window.select, frames)
    shown = np.concatenate([frame["user_ix"].to_numpy() for frame in frames])
    others = np.setdiff1d(shown, warm)
    others = others[held_out.lookup(part.users.take(others)) < 0]
    segments = []
    for users in np.array_split(others, len(others) // ENCODED_USERS + 1):
        batch, _ = model.catalogue.translate(part, users, take_actions(actions, users))
        segments.append(Query(model, batch, 1).nearest_segments)
    return count_shown(part, others, np.concatenate(segments), len(model.segments), model.config.signals, window)
