"""What was learned from what was shown: segments that became likelier and less likely by what the user did with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.data.events import ITEM
from firstday.features.signals import Signals
from firstday.recommend.belief import believe_segments
from firstday.recommend.query import Query
from firstday.recommend.segment_description import describe_segment

N_CHANGED = 3
"""Segments that rose, and that fell, at most."""
N_TITLES = 3
"""Items that name a segment."""


def tell_learned(model: TrainedModel, signals: Signals) -> dict[str, Any] | None:
    """Compare the belief in segments after what was shown with that before, when nothing had been shown.

    Before, what was shown is unknown, and so is all that the user did to these items.

    Parameters
    ----------
    model
        The model.
    signals
        What is known of the user.

    Returns
    -------
    dict of str to Any
        The values of `firstday.serve.schemas.Learned`: segments that rose and fell most, those that changed more first,
        and of equal ones the lower number. None where nothing was passed over.
    """
    if not signals.shown:
        return None
    query = Query(model, model.read_signals([signals, _forget_shown(signals)])[0], k=1)
    passed_over = query.passed_over.row(0)
    if not len(passed_over):
        return None
    shown = {model.catalogue.items.index_of(impression.item_id) for impression in signals.shown}
    after, before = believe_segments(query, np.arange(2))
    change = after - before
    order = np.arange(len(change))
    risen, fallen = np.lexsort((order, -change))[:N_CHANGED], np.lexsort((order, change))[:N_CHANGED]
    return {
        "n_passed_over": len(passed_over),
        "n_used": len(shown.intersection(query.liked.row(0).tolist())),
        "risen": [_tell_change(model, at, before, after) for at in risen.tolist() if change[at] > 0],
        "fallen": [_tell_change(model, at, before, after) for at in fallen.tolist() if change[at] < 0],
    }


def _forget_shown(signals: Signals) -> Signals:
    """Return a user's signals as if nothing had been shown."""
    shown = {str(impression.item_id) for impression in signals.shown}
    kept = [action for action in signals.interactions if action[1] != ITEM or str(action[2]) not in shown]
    return signals.copy(shown=(), interactions=kept)


def _tell_change(model: TrainedModel, segment: int, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Return the values of `firstday.serve.schemas.ChangedSegment`."""
    names = describe_segment(model, segment, N_TITLES).distinctive
    return {
        "segment": segment,
        "before": float(before[segment]),
        "after": float(after[segment]),
        "titles": [item.title.strip() or str(item.item_id) for item in names],
    }
