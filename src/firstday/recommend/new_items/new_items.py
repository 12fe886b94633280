"""`NewItems`: items added since training, a small table next to the model, which stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from time import time

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.display import readable
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.attributes import DAY_ADDED, LOG_USE, N_SHOWN, N_USED, RATE
from firstday.tables.schema import DAY_US


@dataclass(frozen=True, eq=False)
class UseHistory:
    """First uses of new items, for lists as of the past; times are int64, in microseconds since 1970 UTC.

    `items`, `times` and `n_users`, shape (n_uses,), are the new item, the time and the number of users of uses of one.
    `all_times`, ascending, has the times of uses of all items, `n_until` the number of users before each of these, and
    of all users at last, and `added` when each new item came, shape (n,).
    """

    items: np.ndarray
    times: np.ndarray
    n_users: np.ndarray
    all_times: np.ndarray
    n_until: np.ndarray
    added: np.ndarray

    def count(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the uses of each item before each moment, and those of all items since it came: (n_moments, n)."""
        order = np.argsort(moments)
        following = np.searchsorted(moments[order], self.times, side="right")  # a use counts for all later moments
        n_used = np.zeros((len(moments) + 1, len(self.added)))
        np.add.at(n_used, (following, self.items), self.n_users)
        n_before, n_now = (self.n_until[np.searchsorted(self.all_times, times)] for times in (self.added, moments))
        n_all = np.maximum(n_now[:, None] - n_before, 0)
        return n_used[:-1].cumsum(axis=0)[np.argsort(order)], n_all

    def count_days(self, moments: np.ndarray) -> np.ndarray:
        """Return the whole days since each item came as of each moment, shape (n_moments, n)."""
        days: np.ndarray = (moments[:, None] - self.added) // DAY_US
        return days

    def measure_success(self, moments: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Return the use of each item before each moment relative to its expected share in all use since it came.

        One use is added to both; shape (n_moments, n).
        """
        n_used, n_all = self.count(moments)
        success: np.ndarray = (1 + n_used) / (1 + shares * n_all)
        return success


@readable
@dataclass(frozen=True, eq=False)
class NewItems:
    """Items that no user of a model used, in the order of the caller.

    Parameters
    ----------
    model
        The model.
    items
        What lists need of them, n rows of `describe_items`.
    index
        Index of each item in lists, int64, shape (n,): after the model's items, unless the model knows it.
    history
        What was used when, for lists as of the past, in place of the counts in `items`; None: lists are as of now.
    """

    model: TrainedModel
    items: pl.DataFrame
    index: np.ndarray
    history: UseHistory | None = None

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def ids(self) -> Ids:
        """Ids of the items."""
        return Ids.of(self.items["item_id"])

    @cached_property
    def vectors(self) -> np.ndarray:
        """Predicted vectors, float32, shape (n, d)."""
        return self.items["vector"].to_numpy()

    @cached_property
    def log_use(self) -> np.ndarray:
        """Predicted logarithms of popularity, float32, shape (n,)."""
        return self.items[LOG_USE].to_numpy()

    def measure_past(self, moments: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the use of each item relative to what was expected, and the days since it came, as of some moments.

        One use is added to both. Use is expected of the item's impressions or, as of a moment, of its predicted share
        in all use since it came. `moments` are the times as of which the `history` counts; see `Query`.
        """
        if self.history is not None and moments is not None:
            shares = np.exp(self.log_use) / self.model.popularity.sum()
            return self.history.measure_success(moments, shares), self.history.count_days(moments)
        response = self.model.derive(measure_response)
        n_shown, n_used, rate = (self.items[name].to_numpy() for name in (N_SHOWN, N_USED, RATE))
        days = time() * 1e6 // DAY_US - self.items[DAY_ADDED].to_numpy()
        return (1 + n_used) / (1 + response * rate * n_shown), np.nan_to_num(days)


def measure_response(model: TrainedModel) -> float:
    """Return the rate of use per impression relative to items' shares of users.

    Without impressions, a user who uses an item does so at the first one.
    """
    counts = model.shown_counts
    if counts is None:
        return 1.0
    expected = 1 + float(counts.shown.weights @ model.popularity[counts.shown.columns])
    return (1 + float(counts.used.weights.sum())) / expected
