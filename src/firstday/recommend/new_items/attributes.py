"""Attributes of new items: read from a table or from JSON values, and described as lists need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from firstday.data.fields import fill_lists, find_item_columns
from firstday.data.ids import Ids
from firstday.data.load import collect_vectors
from firstday.errors import ConfigError, DataError
from firstday.model.item_content import TEXTS, ItemContent, content_of
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.tables.schema import EXPIRES_AT, RECOMMENDABLE, TIME_TEXT

N_SHOWN, N_USED = COUNTS = "n_shown", "n_used"
"""Numbers of impressions since an item was added, and of users who used it since."""
ATTRIBUTES: Mapping[str, pl.DataType] = {
    "item_id": pl.String(),
    "title": pl.String(),
    "description": pl.String(),
    "vector": pl.List(pl.Float32),
    "added_at": pl.Datetime("us", "UTC"),
    EXPIRES_AT: pl.Datetime("us", "UTC"),
    RECOMMENDABLE: pl.Boolean(),
    **dict.fromkeys(COUNTS, pl.Float64()),
}
"""Attributes that new items have with every model, next to the columns that its filters read."""
LOG_USE, RATE = PREDICTED = "firstday: log_use", "firstday: rate"
"""Columns with what is predicted of an item, next to `vector`: the logarithm of its popularity, and the use expected
per impression."""
DAY_ADDED = "firstday: day_added"
"""Column with the day on which an item was added, since 1970; null if unknown."""


def tabulate(rows: Sequence[Mapping[str, Any]], types: Mapping[str, pl.DataType] | None = None) -> pl.DataFrame:
    """Return items, given their JSON values, as a table with all columns that occur, or with those of some types.

    Values of other types are null.
    """
    of_model = dict.fromkeys(chain.from_iterable(rows)) if types is None else types
    columns = {**of_model, **ATTRIBUTES}.items()
    return pl.DataFrame([_to_column(name, [row.get(name) for row in rows], dtype) for name, dtype in columns])


def _to_column(name: str, values: Sequence[Any], dtype: pl.DataType | None) -> pl.Series:
    if dtype == pl.List(pl.String) or (dtype is None and any(isinstance(value, list) for value in values)):
        values = [value if value is None else as_list(value) for value in values]
    return pl.Series(name, values, dtype=dtype, strict=False)


def as_list(value: Any) -> list[str]:
    """Return the texts of a value, which may be a list."""
    return list(map(str, value if isinstance(value, list) else [value]))


def set_counts(items: pl.DataFrame, counts: Mapping[str, Mapping[str, int]]) -> pl.DataFrame:
    """Return a table with other `COUNTS`, given by name and item id; 0 for the other items."""
    ids = items["item_id"].to_list()
    return items.with_columns(
        pl.Series(name, [counts.get(name, {}).get(item_id, 0) for item_id in ids], pl.Float64) for name in COUNTS
    )


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


def describe_items(model: TrainedModel, items: pl.DataFrame) -> pl.DataFrame:
    """Return what lists need of the items of a table; no row depends on others.

    The columns are `item_id`, `title`, those of the model's items, `COUNTS`, the predicted `vector` and `PREDICTED`.
    """
    content = find_content(model)
    n = items.height
    ids = Ids.of(items["item_id"])
    own_columns = find_item_columns(items)
    types = {name: column.dtype for name, column in model.catalogue.columns.items()}
    columns = fill_lists(conform(types, own_columns, n))
    texts = {name: fill_column(items, name, "") for name in TEXTS}
    vectors, log_use = content.predict({**texts, **columns}, n, _find_vectors(items, ids, content.n_numbers))
    added_at = own_columns.get("added_at", pl.repeat(None, n, dtype=pl.String, eager=True))
    predicted = {LOG_USE: log_use, RATE: _expect_rates(model, content, vectors, log_use)}
    return pl.DataFrame(
        {
            **columns,
            "item_id": ids.values,
            "title": texts["title"],
            "vector": vectors,
            **{name: values.astype(np.float32) for name, values in predicted.items()},
            DAY_ADDED: added_at.str.to_datetime(TIME_TEXT).dt.epoch("d"),
            **{name: fill_column(items, name, 0.0) for name in COUNTS},
        }
    )


def fill_column(items: pl.DataFrame, name: str, value: str | float) -> pl.Series:
    """Return a column with a value in place of nulls, or with this value alone."""
    column = items.get_column(name, default=pl.repeat(value, items.height, eager=True))
    return column.fill_null(value)


def _expect_rates(model: TrainedModel, content: ItemContent, vectors: np.ndarray, log_use: np.ndarray) -> np.ndarray:
    """Return the use of each item by those to whom lists show it, who are its probable users, shape (n,)."""
    centroids = unit_rows(model.segments.centroids)
    likeness = (vectors[:, None] @ centroids.T)[:, 0]  # one product per item, as rounding depends on the shape
    chances = content.chances(likeness, log_use[:, None])
    used = model.segments.items.sizes * chances
    rates: np.ndarray = (used * chances).sum(axis=1) / np.maximum(used.sum(axis=1), 1e-9)
    return rates


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


def conform(types: Mapping[str, pl.DataType], columns: Mapping[str, pl.Series], n: int) -> dict[str, pl.Series]:
    """Return columns of n items in some types, null where absent; raise DataError if a column has another type."""
    conformed = {}
    for name, dtype in types.items():
        values = columns.get(name, pl.repeat(None, n, dtype=dtype, eager=True))
        if dtype == pl.List and values.dtype == pl.String:
            text = pl.col(values.name)
            values = values.to_frame().select(pl.when(text.is_not_null()).then(pl.concat_list(text))).to_series()
        if values.dtype != dtype:
            raise DataError(
                f"has the type {values.dtype}, but the model has {dtype}; convert the column.",
                where=f"items.{name}",
            )
        conformed[name] = values.alias(name)
    return conformed
