"""`NewItems`: items added since training, a small table next to the model, which stays as it is.

In lists, they have indexes after the model's items; but an item that the model knows, and that nobody used, keeps its
own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.display import readable
from firstday.errors import DataError
from firstday.features.catalogue import Catalogue
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.new_items.attributes import (
    FRESHNESS,
    LOG_USE,
    N_SHOWN,
    N_USED,
    RATE,
    describe_items,
    fill_column,
    find_content,
)
from firstday.recommend.new_items.offers import Offers, make_offers, measure_response
from firstday.sparse import SparseRows
from firstday.tables.categories import entity_of_column
from firstday.tables.schema import RECOMMENDABLE

MAX_NEW_ITEMS = 10_000
"""Maximum number of new items."""


@readable
@dataclass(frozen=True, eq=False)
class NewItems:
    """Items added since training, in the order of the caller.

    Parameters
    ----------
    model
        The model.
    items
        What lists need of them, n rows of `describe_items`.
    catalogue
        The model's catalogue, with the items that it does not know at the end.
    listed
        Mask of items that may be listed, bool, shape (n_items + n_unknown,).
    index
        Index of each item in lists, int64, shape (n,).
    compiled_rules
        Cache of rules, see `compile_rules`.
    """

    model: TrainedModel
    items: pl.DataFrame
    catalogue: Catalogue
    listed: np.ndarray
    index: np.ndarray
    compiled_rules: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: TrainedModel, items: pl.DataFrame) -> NewItems | None:
        """Build from the items of a table; those that a user of the model used are left out. None if none are left.

        Raises
        ------
        ConfigError
            The model has learned nothing about new items.
        DataError
            There are more than `MAX_NEW_ITEMS`, or a column has another type than in the model.
        """
        return cls.join(model, describe_items(model, items))

    @classmethod
    def join(cls, model: TrainedModel, items: pl.DataFrame) -> NewItems | None:
        """Build from rows of `describe_items`, which may be of several calls, like `of`."""
        catalogue = model.catalogue
        # `Ids.lookup` would cost as much as the catalogue is large.
        known = np.array([catalogue.items.index_of(item) for item in items["item_id"]], dtype=np.int64)
        is_new = (known < 0) | (model.popularity[known] == 0)
        items = items.filter(is_new)
        if items.is_empty():
            return None
        if items.height > MAX_NEW_ITEMS:
            raise DataError(
                f"items: {items.height:,} items are new to the model; add at most {MAX_NEW_ITEMS:,}, the newest, or "
                "train again."
            )
        is_unknown = known[is_new] < 0
        unknown = items.filter(is_unknown)
        joined = replace(
            catalogue,
            items=catalogue.items.extend(unknown["item_id"]),
            titles=(catalogue.titles or ("",) * model.n_items) + tuple(unknown["title"]),
            columns={name: pl.concat([own, unknown[name]]) for name, own in catalogue.columns.items()},
        )
        listed = np.append(model.listed, fill_column(unknown, RECOMMENDABLE, True).to_numpy())
        index = np.where(is_unknown, model.n_items + is_unknown.cumsum() - 1, known[is_new])
        return cls(model, items, joined, listed, index)

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def ids(self) -> Ids:
        """Ids of the items."""
        return Ids.of(self.items["item_id"])

    @cached_property
    def items_of_members(self) -> Mapping[str, SparseRows]:
        """For entities with a column, the items of each member that the model does not know, shape (n_members, n)."""
        links = {}
        for name, column in self.catalogue.columns.items():
            entity = entity_of_column(name)
            if column.dtype == pl.List(pl.String) and entity in self.model.members_of_items:
                ids = self.catalogue.ids_of(entity)
                members = [list({*map(ids.index_of, values)} - {-1}) for values in column[self.model.n_items :]]
                new = SparseRows.from_lists(members, len(ids)).transpose()
                links[entity] = replace(new, columns=new.columns + self.model.n_items, n_columns=len(self.listed))
        return links

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
