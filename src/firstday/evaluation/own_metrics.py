"""Metrics of one's own: functions of lists and of what users went on to use, with one value per user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from reprlib import repr as shorten
from typing import Any

import numpy as np
import polars as pl

from firstday.errors import ConfigError, FirstdayError
from firstday.evaluation.results import DIVERSITY, HEAD_METRICS, OF_ALL, OLDER_BY, PLAIN_METRICS
from firstday.metrics import USER_METRICS
from firstday.recommend.plugin_checks import guard_step
from firstday.sparse import SparseRows

OwnMetric = Callable[[np.ndarray, SparseRows, pl.Series], Any]
"""Maps lists, truth and item ids to a value per user; see `firstday.evaluate`."""
TAKEN = {
    *(*USER_METRICS, *HEAD_METRICS, DIVERSITY, OLDER_BY, *PLAIN_METRICS, *OF_ALL.values()),
    *("strategy", "seed", "cut_off", "user_id", "route", "is_own"),
    *("day_one_size", "knowledge", "did_nothing", "has_friends", "model_age"),
}
"""Names of metrics, and of other columns of `Results.users`."""


def name_metrics(functions: Sequence[OwnMetric]) -> dict[str, OwnMetric]:
    """Return functions by name; their exceptions and invalid values become errors of one sentence.

    Raise ConfigError for what is no function, or has no name of its own.
    """
    metrics: dict[str, OwnMetric] = {}
    for function in functions:
        name = getattr(function, "__name__", "")
        if not (callable(function) and name.isidentifier()) or name in TAKEN or name in metrics:
            raise ConfigError(
                f"metrics: {shorten(function)} has no name of its own; give functions with different names that are "
                "not those of metrics or columns of Results.users()."
            )
        label = f"metric {name!r}"
        metrics[name] = guard_step(label, "function", function, partial(_check_values, label))
    return metrics


def _check_values(label: str, found: Any, lists: np.ndarray, *_: Any) -> np.ndarray:
    """Return the values of a metric, float64, one per list; raise FirstdayError unless they are finite or NaN."""
    values = np.asarray(found)
    if values.shape != lists.shape[:1] or values.dtype.kind not in "biuf":
        raise FirstdayError(
            f"{label}: returned {values.dtype} of shape {values.shape}; return numbers of shape {lists.shape[:1]}, NaN "
            "for users who do not have the metric."
        )
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise FirstdayError(
            f"{label}: returned infinity for {len(infinite)} of {len(lists)} users, first at [{infinite[0]}]; return "
            "finite numbers, or NaN for users who do not have the metric."
        )
    return values.astype(np.float64)
