"""Trend of each item: recent use relative to the whole log.

`blend` adds it to the components that are logarithms of shares. It is computed after all weights are chosen on
validation users, because the log's last days contain these users' truth.
"""

from __future__ import annotations

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.split import Actions, Split, take_actions
from firstday.embed.embeddings import select_uses
from firstday.tables.schema import DAY_US

TREND_DAYS = 7
"""Length of the recent window before the end of the log, in days."""
TREND_WEIGHT = 0.5
"""Exponent of the trend; 1 would assume that everybody's habits change as total use does."""
TREND_SMOOTHING = 0.25
"""Pseudo-uses, per item on average, added to the recent uses; each item gets them in proportion to all its uses."""


def recent_actions(dataset: Dataset, split: Split, days: float | None) -> Actions:
    """Return warm users' actions in the last `days` days of the log; all if `days` is None or times are missing."""
    window = split.warm_window
    if window is None or days is None:
        return split.warm_actions
    recent = dataset.actions(Window(np.maximum(window.start, window.end - int(days * DAY_US)), window.end))
    return take_actions(recent, split.warm)


def measure_trend(dataset: Dataset, split: Split, config: Config) -> np.ndarray | None:
    """Return `TREND_WEIGHT` times the log ratio of each item's recent to overall share of uses, float32, (n_items,).

    None without timestamps.
    """
    if split.warm_window is None:
        return None
    n_items = len(dataset.items)
    n_recent, n_all = (
        select_uses(actions, config.signals, len(split.warm), n_items).column_sums()
        for actions in (recent_actions(dataset, split, TREND_DAYS), split.warm_actions)
    )
    share = np.maximum(n_all, 1) / max(1.0, n_all.sum())
    n_pseudo = TREND_SMOOTHING * n_items
    recent_share = (n_recent + n_pseudo * share) / (n_recent.sum() + n_pseudo)
    return np.asarray(TREND_WEIGHT * np.log(recent_share / share), dtype=np.float32)
