"""`NewItems`: items added since training, a small table next to the model, which stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.display import readable
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.new_items.attributes import (
    DAY_ADDED,
    FRESHNESS,
    LOG_USE,
    N_SHOWN,
    N_USED,
    RATE,
    find_content,
)
from firstday.recommend.new_items.offers import Offers, make_offers, measure_response
from firstday.tables.schema import DAY_US


@dataclass(frozen=True, eq=False)
class UseHistory:
    """First uses since training, for lists as of the past; times are int64, in microseconds since 1970 UTC.

    `items` and `times`, shape (n_uses,), are the new item and the time of each use of one; `all_times`, ascending, has
    those of all items, and `added` when each new item came, shape (n,).
    """

    items: np.ndarray
    times: np.ndarray
    all_times: np.ndarray
    added: np.ndarray

    def count(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the uses of each item before each moment, and those of all items since it came: (n_moments, n)."""
        order = np.argsort(moments)
        following = np.searchsorted(moments[order], self.times, side="right")  # a use counts for all later moments
        n_used = np.zeros((len(moments) + 1, len(self.added)))
        np.add.at(n_used, (following, self.items), 1)
        n_before = np.searchsorted(self.all_times, self.added)
        n_all = np.searchsorted(self.all_times, moments)[:, None] - n_before
        return n_used[:-1].cumsum(axis=0)[np.argsort(order)], np.maximum(n_all, 0)


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

    def expect(self, users: np.ndarray) -> np.ndarray:
        """Return the probability that each user, a unit vector or zero, uses each item, before any impression.

        float64, shape (n_users, n).
        """
        chances = find_content(self.model).chances(users, self.vectors, self.items[LOG_USE].to_numpy())
        return self.items[FRESHNESS].to_numpy() * chances

    def chances(self, users: np.ndarray, moments: np.ndarray | None = None) -> np.ndarray:
        """Return the probability that each user uses each item, by what was used of it so far, like `expect`.

        `moments` are the times as of which the `history` counts, shape (n_users,); see `Query`.
        """
        return np.minimum(1, self.measure_success(moments) * self.expect(users))

    def count_days(self, moments: np.ndarray) -> np.ndarray:
        """Return the whole days since each item came as of each moment, 0 if unknown, shape (n_moments, n)."""
        days = moments // DAY_US
        if self.history is not None:
            return days[:, None] - self.history.added // DAY_US
        added = self.items[DAY_ADDED].to_numpy()
        return np.nan_to_num(days[:, None] - added)

    def measure_success(self, moments: np.ndarray | None) -> np.ndarray:
        """Return the use of each item relative to what was expected; one use is added to both.

        It is expected of the item's impressions or, as of a moment, of its predicted share in all use since it came.
        """
        freshness = self.items[FRESHNESS].to_numpy()
        if self.history is None or moments is None:
            response, _ = self.model.derive(measure_response)
            n_shown, n_used, rate = (self.items[name].to_numpy() for name in (N_SHOWN, N_USED, RATE))
            expected = response * freshness * rate * n_shown
        else:
            n_used, n_all = self.history.count(moments)
            shares = np.exp(self.items[LOG_USE].to_numpy()) / self.model.popularity.sum()
            expected = freshness * shares * n_all
        success: np.ndarray = (1 + n_used) / (1 + expected)
        return success

    @cached_property
    def offers(self) -> Offers:
        """The items as `explore` offers them, with those of the model that nobody used."""
        shares = self.expect(unit_rows(self.model.segments.centroids))
        return make_offers(self.model, self.index, shares, self.items.select(N_SHOWN, N_USED).to_numpy().T)
