"""Items added since training: a small table next to the model, which stays as it is.

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
from firstday.data.load import collect_vectors, find_item_columns
from firstday.display import readable
from firstday.errors import ConfigError, DataError
from firstday.features.signals import Catalogue
from firstday.model.item_content import TEXTS, ItemContent, content_of
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.segment.new_items import NewItems
from firstday.tables.schema import RECOMMENDABLE

MAX_ADDED = 10_000
"""Maximum number of items that the model does not know."""
MAX_OFFERED = 1_000
"""Maximum number of new items that `explore` offers; those with the highest expected rates are taken."""
MAX_RATE = 0.5
"""Maximum prior rate of a new item."""
COUNTS = ["n_shown", "n_used"]
"""Columns of `items`: numbers of impressions since an item was added, and of users who used it since."""
PRIOR_RATE = 0.01
"""Prior rate of use per impression of a new item of which nothing is known."""


@readable
@dataclass(frozen=True, eq=False)
class AddedItems:
    """Items added since training, in the order of the caller.

    Parameters
    ----------
    model
        The model.
    ids
        Ids of the items.
    catalogue
        The model's catalogue, with the items that it does not know at the end.
    listed
        Mask of items that may be listed, bool, shape (n_items + n_unknown,).
    vectors
        Predicted vectors, float32, shape (n, d).
    log_use
        Logarithms of their predicted popularity, shape (n,).
    freshness
        Factor on their probability of use, by their age, shape (n,).
    rates
        Use expected per impression, before the factor, shape (n,).
    shown, used
        Numbers of impressions since they were added, and of users who used them since, float64, shape (n,).
    index
        Index of each item in lists, int64, shape (n,).
    compiled_rules
        Cache of rules, see `compile_rules`.
    """

    model: TrainedModel
    ids: Ids
    catalogue: Catalogue
    listed: np.ndarray
    vectors: np.ndarray
    log_use: np.ndarray
    freshness: np.ndarray
    rates: np.ndarray
    shown: np.ndarray
    used: np.ndarray
    index: np.ndarray
    compiled_rules: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: TrainedModel, items: pl.DataFrame) -> AddedItems:
        """Build from the items of a table; those that a user of the model used are left out.

        Raises
        ------
        ConfigError
            The model has learned nothing about new items.
        DataError
            There are more than `MAX_ADDED` new items, or a column has another type than in the model.
        """
        added = cls.join(model, predict_items(model, items))
        if len(added) > MAX_ADDED:
            text = f"{len(added):,} items are new to the model; add at most {MAX_ADDED:,}, the newest, or train again."
            raise DataError(f"items: {text}")
        return added

    @classmethod
    def join(cls, model: TrainedModel, predicted: pl.DataFrame) -> AddedItems:
        """Build from rows of `predict_items`, which may be of several calls."""
        catalogue = model.catalogue
        # `Ids.lookup` would cost as much as the catalogue is large.
        known = np.array([catalogue.items.index_of(item) for item in predicted["item_id"]], dtype=np.int64)
        is_new = (known < 0) | (model.popularity[known] == 0)
        predicted = predicted.filter(is_new)
        known = known[is_new]
        is_unknown = known < 0
        unknown = predicted.filter(is_unknown)
        recommendable = unknown.get_column(RECOMMENDABLE, default=pl.repeat(True, unknown.height, eager=True))
        numbers = predicted["vector"].to_numpy()
        log_use, freshness, rates = numbers[:, -3:].T
        shown, used = predicted[COUNTS].to_numpy().T
        return cls(
            model,
            Ids.of(predicted["item_id"]),
            replace(
                catalogue,
                items=catalogue.items.extend(unknown["item_id"]),
                titles=(catalogue.titles or ("",) * model.n_items) + tuple(unknown["title"]),
                columns={name: pl.concat([own, unknown[name]]) for name, own in catalogue.columns.items()},
            ),
            np.append(model.listed, recommendable.fill_null(True).to_numpy()),
            numbers[:, :-3],
            log_use,
            freshness,
            rates,
            shown,
            used,
            np.where(is_unknown, model.n_items + is_unknown.cumsum() - 1, known),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def content(self) -> ItemContent:
        """What the model has learned about new items."""
        return find_content(self.model)

    def expect(self, users: np.ndarray) -> np.ndarray:
        """Return the probability that each user, a unit vector or zero, uses each item, before any impression.

        float64, shape (n_users, n).
        """
        return self.freshness * self.content.chances(users, self.vectors, self.log_use)

    def chances(self, users: np.ndarray) -> np.ndarray:
        """Return the probability that each user uses each item, by what was shown and used of it, like `expect`."""
        return np.minimum(1, self.successes * self.expect(users))

    @cached_property
    def successes(self) -> np.ndarray:
        """Use of each item relative to what was expected of its impressions, shape (n,); one use is added to both."""
        response, _ = self.model.derive(measure_response)
        return (1 + self.used) / (1 + response * self.freshness * self.rates * self.shown)

    @cached_property
    def offers(self) -> NewItems:
        """The items as `explore` offers them, with those of the model that nobody used."""
        return make_offers(self.model, self)


def predict_items(model: TrainedModel, items: pl.DataFrame) -> pl.DataFrame:
    """Return what lists need of the items of a table; see `AddedItems.of`. No row depends on others.

    `vector` has the predicted vector, the logarithm of the popularity, the freshness and the rate.
    """
    content = find_content(model)
    n = items.height
    own_columns = find_item_columns(items)
    columns = _conform(model.catalogue.columns, own_columns, n)
    blank, zeros = (pl.repeat(value, n, eager=True) for value in ("", 0.0))
    texts = {name: items.get_column(name, default=blank).fill_null("") for name in TEXTS}
    ids = Ids.of(items["item_id"])
    vectors, log_use = content.predict({**texts, **columns}, n, _find_vectors(items, ids, content.n_numbers))
    centroids = unit_rows(model.segments.centroids)
    chances = content.chances(centroids, vectors[:, None], log_use[:, None, None])[..., 0]
    used = model.segments.items.sizes * chances
    rates = (used * chances).sum(axis=1) / np.maximum(used.sum(axis=1), 1e-9)  # lists show items to probable users
    freshness = content.find_freshness(own_columns.get("added_at"), n)
    return pl.DataFrame(
        {
            **columns,
            "item_id": ids.values,
            "title": texts["title"],
            "vector": np.column_stack([vectors, log_use, freshness, rates]).astype(np.float32),
            **{name: own_columns.get(name, zeros).fill_null(0) for name in COUNTS},
        }
    )


ListedItems = TrainedModel | AddedItems
"""Items that lists consist of: those of a model, or also those added since."""


def _find_vectors(items: pl.DataFrame, ids: Ids, n_numbers: int) -> np.ndarray | None:
    """Return the own vectors of items, shape (n, n_numbers), NaN if missing; raise DataError for another length."""
    if not n_numbers or "vector" not in items.columns:
        return None
    given = items.drop_nulls("vector")
    if others := set(given["vector"].list.len()) - {n_numbers}:
        text = (
            f"has {others.pop()} numbers, but the vectors of the model's items have {n_numbers}; use the same source."
        )
        raise DataError(text, where="items.vector")
    return collect_vectors(given, "item_id", ids, n_numbers)


def _conform(model_columns: Mapping[str, pl.Series], columns: Mapping[str, pl.Series], n: int) -> dict[str, pl.Series]:
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
            raise DataError(
                f"has the type {values.dtype}, but the model has {column.dtype}; convert the column.",
                where=f"items.{name}",
            )
        conformed[name] = (values.fill_null([]) if is_list else values).alias(name)
    return conformed


def find_content(model: TrainedModel) -> ItemContent:
    """Return what the model has learned about new items; raise ConfigError if it has learned nothing."""
    content = content_of(model)
    if content is None:
        raise ConfigError(
            "the model has learned nothing about new items; train it on tables whose items have titles or entity "
            "columns such as artist_id.",
            where="items",
        )
    return content


def make_offers(model: TrainedModel, added: AddedItems | None = None) -> NewItems:
    """Return added items, and with impression counts those of the model, with priors of their rates per impression."""
    counts = model.shown_counts
    is_new = model.listed & (model.popularity == 0) & (counts is not None)
    items = np.flatnonzero(is_new)
    if added is not None:
        items = np.setdiff1d(items, added.index)
    n_segments = len(model.segments)
    centroids = unit_rows(model.segments.centroids)
    shares = np.full((n_segments, len(items)), PRIOR_RATE)
    response, usual = model.derive(measure_response)
    content = content_of(model)
    if content is not None:
        columns = {name: column.gather(pl.Series(items)) for name, column in model.catalogue.columns.items()}
        columns["title"] = pl.Series(map(model.catalogue.title_of, items.tolist()), dtype=pl.String)
        shares = content.chances(centroids, *content.predict(columns, len(items)))
        shares *= content.find_freshness(columns.get("added_at"), len(items))
    totals = np.zeros((2, len(items)))
    if added is not None:
        items = np.append(items, added.index)
        shares = np.append(shares, added.expect(centroids), axis=1)
        totals = np.append(totals, [added.shown, added.used], axis=1)
    best = np.argsort(-shares.max(axis=0, initial=0), kind="stable")[:MAX_OFFERED]
    best = best[np.argsort(items[best])]
    items = items[best]
    # Segments of impressions since training are unknown.
    sizes = model.segments.items.sizes[:, None] / model.segments.items.sizes.sum()
    shown, used = (sizes * total for total in totals[:, best])
    if counts is not None:
        is_own = items < model.n_items
        for total, table in zip((shown, used), counts.of_items(np.where(is_own, items, 0)), strict=True):
            total += np.where(is_own, table, 0)
    return NewItems.of(items, shown, used, np.minimum(MAX_RATE, response * shares[:, best]), usual)


def measure_response(model: TrainedModel) -> tuple[float, float]:
    """Return the rate of use per impression relative to items' shares of users, and the average rate of listed items.

    Without impressions, a user who uses an item does so at the first one; without content, no rate is too low.
    """
    if content_of(model) is None:
        return 1.0, 0.0
    counts = model.shown_counts
    if counts is None:
        return 1.0, float(model.segments.top_shares[:, : model.config.recommend.k].mean())
    n_used = 1 + float(counts.used.weights.sum())
    expected = 1 + float(counts.shown.weights @ model.popularity[counts.shown.columns])
    return n_used / expected, n_used / (1 + float(counts.shown.weights.sum()))
