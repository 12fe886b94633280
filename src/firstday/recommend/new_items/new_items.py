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
    FRESHNESS,
    LOG_USE,
    N_SHOWN,
    N_USED,
    RATE,
    find_content,
)
from firstday.recommend.new_items.offers import Offers, make_offers, measure_response


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
    """

    model: TrainedModel
    items: pl.DataFrame
    index: np.ndarray

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

    def chances(self, users: np.ndarray) -> np.ndarray:
        """Return the probability that each user uses each item, by what was shown and used of it, like `expect`."""
        return np.minimum(1, self.successes * self.expect(users))

    @cached_property
    def successes(self) -> np.ndarray:
        """Use of each item relative to what was expected of its impressions, shape (n,); one use is added to both."""
        response, _ = self.model.derive(measure_response)
        freshness, rate, n_shown, n_used = (self.items[name].to_numpy() for name in (FRESHNESS, RATE, N_SHOWN, N_USED))
        return (1 + n_used) / (1 + response * freshness * rate * n_shown)

    @cached_property
    def offers(self) -> Offers:
        """The items as `explore` offers them, with those of the model that nobody used."""
        shares = self.expect(unit_rows(self.model.segments.centroids))
        return make_offers(self.model, self.index, shares, self.items.select(N_SHOWN, N_USED).to_numpy().T)
