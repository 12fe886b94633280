"""Metrics of one's own: functions of lists and of what users went on to use, with one value per user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from firstday.errors import ConfigError, expect
from firstday.evaluation.results import DIVERSITY, HEAD_METRICS, OF_ALL, OLDER_BY, PLAIN_METRICS
from firstday.metrics import USER_METRICS
from firstday.recommend.plugin_checks import guard_step
from firstday.recommend.query import check_numbers
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
    """Return functions by name, with checks: their exceptions and invalid values become errors of one sentence.

    Raise ConfigError for a function without a name of its own.
    """
    expect("metrics", functions, (list, tuple), "a list of functions")
    metrics: dict[str, OwnMetric] = {}
    for function in functions:
        name = getattr(function, "__name__", "")
        if not callable(function) or not name.isidentifier() or name in TAKEN or name in metrics:
            raise ConfigError(
                f"metrics: the name {name!r} is taken or invalid; give functions with different names, which are none "
                "of the columns of Results.users()."
            )
        metrics[name] = guard_step(f"metric {name!r}", "the function", function, partial(_check_values, name))
    return metrics


def _check_values(name: str, found: Any, lists: np.ndarray, *_: Any) -> np.ndarray:
    """Return the values of a metric, float64, one per list; raise FirstdayError unless they are finite or NaN."""
    values = np.asarray(found, dtype=np.float64)
    check_numbers(f"metric {name!r}: values", values, lists.shape[:1], unwanted="infinity")
    return values
