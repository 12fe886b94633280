"""Arrivals: items that came after a cut-off, which take part in lists as new items as of the end of day one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import AllUses, Holdout
from firstday.data.user_rows import renumber
from firstday.model.item_content import content_of
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.new_items.current_items import (
    MAX_NEW_ITEMS,
    describe_new,
    join_items,
    state_items,
)
from firstday.recommend.new_items.new_items import UseHistory
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from firstday.tables.schema import EXPIRES_AT, RECOMMENDABLE, TIME_TEXT


def query_cold_users(recommender: Recommender, holdout: Holdout, all_uses: AllUses, k: int) -> Query:
    """Build the query for the cold users of a holdout, whose lists have the items of the time.

    A user's list has the items that came by the end of the user's day one and had not expired, with what tables say of
    them and what was used of them by then. Only the first `MAX_NEW_ITEMS` arrivals take part, so no list depends on
    later ones. The model is trained on the data of the holdout, or on earlier data; without `ItemContent`, it knows no
    new items.
    """
    model = recommender.model
    dataset = holdout.newcomers
    ends = holdout.cold.day_end_us
    assert ends is not None
    is_new = all_uses.first_seen < ends.max()
    is_new[dataset.items.lookup(model.catalogue.items.values)] = False
    arrivals = np.flatnonzero(is_new & (content_of(model) is not None))
    if not len(arrivals) and EXPIRES_AT not in model.catalogue.columns:
        return cohort_query(recommender, dataset, holdout.cold, k)
    arrivals = arrivals[np.argsort(all_uses.first_seen[arrivals], kind="stable")][:MAX_NEW_ITEMS]
    table: dict[str, pl.Series] = {"item_id": dataset.items.values, **dataset.columns}
    table.pop(RECOMMENDABLE, None)  # which is of now
    for name, values in (("title", dataset.titles), ("description", dataset.descriptions)):
        if values is not None:
            table[name] = pl.Series(values, dtype=pl.String)
    times = pl.col(f"^(added_at|{EXPIRES_AT})$").str.to_datetime(TIME_TEXT, time_unit="us", time_zone="UTC")
    items = pl.DataFrame(table)[arrivals].with_columns(times)
    if dataset.content_vectors is not None:
        vectors = dataset.content_vectors[arrivals].tolist()
        items = items.with_columns(vector=pl.Series(vectors, dtype=pl.List(pl.Float32)))
    cut_off = datetime.fromtimestamp(all_uses.cut_off / 1e6, UTC)
    current = join_items(model, state_items(model, items.clear()), describe_new(model, items), cut_off)
    history = collect_history(dataset, arrivals, all_uses.first_seen[arrivals], model.config.signals)
    current = replace(current, new=replace(current.new, history=history))
    query = cohort_query(replace(recommender, current_items=current), dataset, holdout.cold, k)
    rows, columns = np.nonzero(all_uses.first_seen[arrivals] >= ends[:, None])
    n_items = model.n_items
    return query.without(SparseRows.from_pairs(rows, n_items + columns, None, len(ends), n_items + len(arrivals)))


def collect_history(dataset: Dataset, arrivals: np.ndarray, came_us: np.ndarray, signals: SignalConfig) -> UseHistory:
    """Return what was used when of some items, given by `item_ix`."""
    codes = dataset.events.codes_of(ITEM, signals.use)
    uses = dataset.events.rows.lazy().filter(pl.col("pair").is_in(codes)).drop_nulls("timestamp")
    first = uses.group_by("user_ix", "target_ix").agg(pl.col("timestamp").min().to_physical()).collect()
    times = first["timestamp"].to_numpy()
    rows = renumber(arrivals, len(dataset.items))[first["target_ix"].to_numpy()]
    is_of_arrival = rows >= 0
    of_arrivals = rows[is_of_arrival], times[is_of_arrival], np.ones(is_of_arrival.sum())
    return UseHistory(*of_arrivals, np.sort(times), np.arange(len(times) + 1), came_us)
