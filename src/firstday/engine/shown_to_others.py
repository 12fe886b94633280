"""Impressions of users who are not warm, which also count for the rates of use."""

from __future__ import annotations

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.ids import Ids
from firstday.data.splits.split import Actions, take_actions
from firstday.impressions.counts import ShownCounts, count_shown
from firstday.model.trained_model import TrainedModel
from firstday.recommend.dataset_query import query_users

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
    query, _ = query_users(model, part, others, take_actions(actions, others), 1, with_impressions=False)
    batches = np.array_split(np.arange(len(others)), len(others) // ENCODED_USERS + 1)
    segments = [query.take(batch).nearest_segments for batch in batches]
    return count_shown(part, others, np.concatenate(segments), len(model.segments), model.config.signals, window)
