"""Items added since training: a small table next to the model, which stays as it is.

In lists, they have indexes after the model's items; but an item that the model knows, and that nobody used, keeps its
own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.data.load import find_item_columns
from firstday.display import readable
from firstday.errors import ConfigError, DataError
from firstday.features.item_content import ItemContent, join_texts
from firstday.features.signals import Catalogue
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.rules.filters import TYPES, Columns, list_values
from firstday.segment.new_items import NewItems
from firstday.segment.shown_counts import ShownCounts
from firstday.sparse import SparseRows
from firstday.tables.categories import entity_of_column
from firstday.tables.schema import RECOMMENDABLE

MAX_ADDED = 10_000
"""Maximum number of items that the model does not know."""
MAX_OFFERED = 1_000
"""Maximum number of new items that `explore` offers; those with the highest expected rates are taken."""
MAX_RATE = 0.5
"""Maximum prior rate of a new item."""
PRIOR_RATE = 0.01
"""Prior rate of use per impression of a new item of which nothing is known."""
PRIOR_USES = 50.0
"""Weight of what shares predict, in uses, in the rates per impression."""


@readable
@dataclass(frozen=True, eq=False)
class AddedItems:
    """Items added since training, in the order of the caller.

    Parameters
    ----------
    model
        The model.
    ids, titles
        Ids and titles, "" if missing, of the items.
    own_columns
        Their values of the model's item columns.
    vectors
        Predicted vectors, float32, shape (n, d).
    rates
        Expected share of newcomers who use each item, float64, shape (n,).
    index
        Index of each item in lists, int64, shape (n,).
    compiled_rules
        Cache of rules, see `compile_rules`.
    """

    model: TrainedModel
    ids: Ids
    titles: tuple[str, ...]
    own_columns: Columns
    vectors: np.ndarray
    rates: np.ndarray
    index: np.ndarray
    compiled_rules: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: TrainedModel, items: pl.DataFrame, now: datetime) -> AddedItems:
        """Predict vectors and rates of the items of a table that no user of the model used; the others are left out.

        Raises
        ------
        ConfigError
            The model has learned nothing about new items.
        DataError
            There are more than `MAX_ADDED` new items, or a column has another type than in the model.
        """
        known = model.catalogue.items.lookup(items["item_id"])
        is_new = (known < 0) | (model.popularity[known] == 0)
        items = items.filter(is_new)
        known = known[is_new]
        n = items.height
        if n > MAX_ADDED:
            raise DataError(
                f"items: {n:,} items are new to the model; add at most {MAX_ADDED:,}, the newest, or train again."
            )
        content = find_content(model)
        columns = _conform(model.catalogue.columns, find_item_columns(items), n)
        blank = pl.repeat("", n, eager=True)
        titles = items.get_column("title", default=blank).fill_null("").to_list()
        descriptions = items.get_column("description", default=blank).fill_null("").to_list()
        members = {}
        for name, column in columns.items():
            entity = entity_of_column(name)
            if column.dtype == pl.List and entity in model.catalogue.entities:
                rows, values = list_values(column)
                ids = model.catalogue.entities[entity]
                codes = ids.lookup(values)
                is_known = codes >= 0
                members[entity] = SparseRows.from_pairs(rows[is_known], codes[is_known], None, n, len(ids)).ones()
        vectors, n_users = content.predict(join_texts(titles, descriptions, n), members)
        added_at = items.get_column("added_at", default=pl.repeat(now, n, eager=True)).fill_null(now)
        ages = (now - added_at).dt.total_seconds().to_numpy() / 86_400
        shares = n_users / max(1, int(model.everyone.sizes[0]))
        rates = np.minimum(MAX_RATE, content.level * content.factor_at(ages) * shares)
        is_unknown = known < 0
        index = np.where(is_unknown, model.n_items + is_unknown.cumsum() - 1, known)
        return cls(model, Ids.of(items["item_id"]), tuple(titles), columns, vectors, rates, index)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def unknown(self) -> np.ndarray:
        """Rows of the items that the model does not know, whose indexes follow the model's, int64."""
        return np.flatnonzero(self.index >= self.model.n_items)

    @cached_property
    def own_catalogue(self) -> Catalogue:
        """Catalogue of the unknown items alone, which reads users' interactions with them."""
        return Catalogue(Ids(self.ids.take(self.unknown)), {}, {}, False, self.model.catalogue.signals)

    @cached_property
    def catalogue(self) -> JoinedCatalogue:
        """Ids, titles and columns of the model's items, followed by those of unknown ones."""
        return JoinedCatalogue(self)

    @cached_property
    def listed(self) -> np.ndarray:
        """Mask of items that may be listed, bool, shape (n_items + n_unknown,)."""
        own = self.own_columns.get(RECOMMENDABLE, pl.repeat(True, len(self), eager=True)).fill_null(True).to_numpy()
        return np.append(self.model.listed, own[self.unknown])

    def lifts(self, users: np.ndarray) -> np.ndarray:
        """Return how much likelier than average users, vectors of shape (n_users, d), are to use each item."""
        return find_content(self.model).lift(users, self.vectors, self.model.segments)

    @cached_property
    def offers(self) -> NewItems:
        """The items as `explore` offers them, with those of the model that nobody used."""
        return make_offers(self.model, self)


@dataclass(frozen=True, eq=False)
class JoinedCatalogue:
    """Ids, titles and columns of a model's items and of added ones that it does not know."""

    added: AddedItems

    @cached_property
    def items(self) -> Ids:
        """Ids in index order; the model's are not copied."""
        ids = self.added.model.catalogue.items.values
        own = self.added.own_catalogue.items.values
        if ids.dtype != own.dtype:
            ids, own = ids.cast(pl.String), own.cast(pl.String)
        return Ids(pl.concat([ids, own], rechunk=False))

    @cached_property
    def columns(self) -> Columns:
        """Columns that filters read; the model's are not copied."""
        rows = pl.Series(self.added.unknown)
        columns = self.added.model.catalogue.columns.items()
        return {
            name: pl.concat([column, self.added.own_columns[name].gather(rows)], rechunk=False)
            for name, column in columns
        }

    def title_of(self, item_ix: int) -> str:
        """Return an item's title; "" if it has none."""
        n_items = self.added.model.n_items
        if item_ix < n_items:
            return self.added.model.catalogue.title_of(item_ix)
        return self.added.titles[self.added.unknown[item_ix - n_items]]

    def index_of(self, identity: Any) -> int:
        """Return the index of an item id, or -1."""
        known = self.added.model.catalogue.index_of(identity)
        if known >= 0:
            return known
        own = self.added.own_catalogue.index_of(identity)
        return -1 if own < 0 else self.added.model.n_items + own


def _conform(model_columns: Columns, columns: Columns, n: int) -> dict[str, pl.Series]:
    """Return the model's columns for n items, in its types; raise DataError if a column has another type."""
    conformed = {}
    for name, column in model_columns.items():
        values = columns.get(name)
        is_list = column.dtype == pl.List
        if values is None:
            values = pl.repeat(None, n, dtype=column.dtype, eager=True)
        elif is_list and values.dtype == pl.String:
            values = values.reshape((-1, 1)).cast(column.dtype).list.drop_nulls()
        elif values.dtype != column.dtype:
            found, wanted = (TYPES.get(kind.base_type(), "lists") for kind in (values.dtype, column.dtype))
            raise DataError(f"has {found}, but the model has {wanted}; convert the column.", where=f"items.{name}")
        conformed[name] = (values.fill_null([]) if is_list else values).alias(name)
    return conformed


def find_content(model: TrainedModel) -> ItemContent:
    """Return what the model has learned about new items; raise ConfigError if it has learned nothing."""
    if model.content is None:
        raise ConfigError(
            "the model has learned nothing about new items; train it on tables whose items have titles or entity "
            "columns such as artist_id.",
            where="items",
        )
    return model.content


def rates_of_new_items(model: TrainedModel) -> NewItems | None:
    """Return the rates of new items that may be listed; None without impression counts or without such items."""
    offers = None if model.shown_counts is None else make_offers(model, None)
    return offers if offers is not None and len(offers) else None


def make_offers(model: TrainedModel, added: AddedItems | None) -> NewItems:
    """Return the new items of a model, and added ones, with priors of their rates of use per impression.

    Those of the model's own items are as low as for items of any age.
    """
    content = model.content
    is_new = (model.everyone.counts.column_sums() == 0) & model.listed
    items = np.flatnonzero(is_new)
    counts = model.shown_counts
    if counts is None:
        items = items[:0]
    n_segments = len(model.segments)
    rates = np.full((n_segments, len(items)), PRIOR_RATE)
    level = 0.0
    shape = 1.0
    if content is not None:
        titles = [model.catalogue.title_of(item) for item in items.tolist()]
        members = {name: rows.take(items) for name, rows in model.members_of_items.items()}
        vectors, n_users = content.predict(titles, members)
        shares = content.age_factors.min() * n_users / max(1, int(model.everyone.sizes[0]))
        if added is not None:
            is_other = ~np.isin(items, added.index)
            items = np.append(items[is_other], added.index)
            vectors = np.append(vectors[is_other], added.vectors, axis=0)
            shares = np.append(shares[is_other], added.rates / content.level)
        level = content.level if counts is None else measure_response(model, counts, content)
        lifts = content.lift(unit_rows(model.segments.centroids), vectors, model.segments)
        rates = np.minimum(MAX_RATE, level * shares * lifts)
        shape = content.shape
    best = np.argsort(-rates.max(axis=0, initial=0), kind="stable")[:MAX_OFFERED]
    best = best[np.argsort(items[best])]
    items = items[best]
    shown = used = np.zeros((n_segments, len(items)))
    least_rate = level * float(model.segments.top_shares[:, : model.config.recommend.k].mean())
    if counts is not None:
        is_own = items < model.n_items
        shown, used = (np.where(is_own, table, 0) for table in counts.of_items(np.where(is_own, items, 0)))
        n_shown = float(counts.shown.weights.sum())
        weight = PRIOR_USES / max(least_rate, PRIOR_RATE)
        least_rate = (float(counts.used.weights.sum()) + weight * least_rate) / (n_shown + weight)
    return NewItems.of(items, shown, used, rates[:, best], shape, least_rate)


def measure_response(model: TrainedModel, counts: ShownCounts, content: ItemContent) -> float:
    """Return the rate of use per impression of the model's items, relative to their popularity."""
    expected = float(counts.shown.weights @ model.popularity[counts.shown.columns])
    weight = PRIOR_USES / content.level
    is_known = model.popularity[counts.used.columns] > 0
    return (float(counts.used.weights[is_known].sum()) + weight * content.level) / (expected + weight)
