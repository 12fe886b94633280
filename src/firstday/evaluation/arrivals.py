"""Arrivals: items that came after a cut-off, which take part in lists as new items as of the end of day one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import AllUses, Holdout
from firstday.data.user_rows import renumber
from firstday.model.item_content import content_of
from firstday.recommend.dataset_query import query_users
from firstday.recommend.new_items.current_items import describe_new, join_items, state_items
from firstday.recommend.new_items.new_items import UseHistory
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import EXPIRES_AT, TIME_TEXT


@dataclass(frozen=True, eq=False)
class Task:
    """Lists to make of a model's items and of arrivals, and what users went on to use, by the indexes of the lists."""

    query: Query
    truth: SparseRows


def make_task(recommender: Recommender, holdout: Holdout, k: int) -> Task:
    """Return the task of the cold users of a holdout for a model that was trained on its data or earlier.

    A user's list has the items that came by the end of the user's day one, with what tables say of them and what was
    used of them by then. Without `ItemContent`, the model knows no new items.
    """
    model = recommender.model
    dataset = holdout.newcomers
    cohort = holdout.cold
    all_uses = holdout.all_uses
    ends = cohort.day_end_us
    assert all_uses is not None
    assert ends is not None
    assert holdout.cut_off is not None
    in_model = dataset.items.lookup(model.catalogue.items.values)
    is_new = all_uses.first_seen < ends.max()
    is_new[in_model] = False
    arrivals = np.flatnonzero(is_new & (content_of(model) is not None))
    arrivals = arrivals[np.argsort(all_uses.first_seen[arrivals], kind="stable")]
    current = None
    if len(arrivals):
        items = tabulate_items(dataset, arrivals)
        time = datetime.fromtimestamp(holdout.cut_off / 1e6, UTC)
        current = join_items(model, state_items(model, items.clear()), describe_new(model, items), time)
        history = collect_history(dataset, arrivals, all_uses, model.config.signals)
        current = replace(current, new=replace(current.new, history=history))
    query, _ = query_users(model, dataset, cohort.users, cohort.day_one, k, until=ends, current_items=current)
    query = query.ask(moments=ends)
    if query.new_items_excluded is not None:
        rows, columns = np.nonzero(all_uses.first_seen[arrivals] >= ends[:, None])
        absent = SparseRows.from_pairs(rows, model.n_items + columns, None, len(ends), model.n_items + len(arrivals))
        query = query.ask(new_items_excluded=union_rows([query.new_items_excluded, absent]))
    others = np.setdiff1d(np.arange(len(dataset.items)), np.append(in_model, arrivals))
    of_lists = renumber(np.concatenate([in_model, arrivals, others]), len(dataset.items))
    truth = all_uses.truth
    columns = of_lists[truth.columns]
    return Task(query, SparseRows.from_pairs(truth.row_of_entry(), columns, None, truth.n_rows, truth.n_columns))


def tabulate_items(dataset: Dataset, rows: np.ndarray) -> pl.DataFrame:
    """Return what the tables say of some items, given by `item_ix`, as `read_items` takes it."""
    columns: dict[str, pl.Series] = {"item_id": dataset.items.values, **dataset.columns}
    for name, values in (("title", dataset.titles), ("description", dataset.descriptions)):
        if values is not None:
            columns[name] = pl.Series(values, dtype=pl.String)
    times = pl.col(f"^(added_at|{EXPIRES_AT})$").str.to_datetime(TIME_TEXT, time_unit="us", time_zone="UTC")
    table = pl.DataFrame(columns)[rows].with_columns(times)
    if dataset.content_vectors is None:
        return table
    vectors = dataset.content_vectors[rows]
    has_vector = np.isfinite(vectors).all(axis=1)
    return table.with_columns(vector=pl.when(has_vector).then(pl.Series(vectors.tolist(), dtype=pl.List(pl.Float32))))


def collect_history(dataset: Dataset, arrivals: np.ndarray, all_uses: AllUses, signals: SignalConfig) -> UseHistory:
    """Return what was used of some items when, given by `item_ix`."""
    codes = dataset.events.codes_of(ITEM, signals.use)
    uses = dataset.events.rows.lazy().filter(pl.col("pair").is_in(codes)).drop_nulls("timestamp")
    first = uses.group_by("user_ix", "target_ix").agg(pl.col("timestamp").min().to_physical()).collect()
    times = first["timestamp"].to_numpy()
    rows = renumber(arrivals, len(dataset.items))[first["target_ix"].to_numpy()]
    is_of_arrival = rows >= 0
    return UseHistory(rows[is_of_arrival], times[is_of_arrival], np.sort(times), all_uses.first_seen[arrivals])
