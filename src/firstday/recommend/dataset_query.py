"""Queries for users of a dataset: from their profiles, and some of their interactions and impressions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.events import Pair
from firstday.data.splits.split import Cohort
from firstday.features.catalogue import map_columns
from firstday.impressions.passed_over import collect_passed_over
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.current_items import CurrentItems
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows


def query_users(
    model: TrainedModel,
    dataset: Dataset,
    users: np.ndarray,
    actions: Mapping[Pair, SparseRows],
    k: int,
    *,
    with_impressions: bool = True,
    until: np.ndarray | None = None,
    keep_used: bool = False,
    current_items: CurrentItems | None = None,
) -> tuple[Query, Mapping[str, int]]:
    """Build the query for some users, `user_ix` of shape (n,), from their profiles and interactions.

    `until` is the exclusive end of each user's impressions, see `collect_passed_over`. Lists consist of
    `current_items`, or those of the model. Also returns the numbers of values that neither the model nor these know;
    see `Catalogue.translate`.
    """
    passed_over = None
    if with_impressions:
        passed_over = collect_passed_over(dataset, users, actions, model.config.signals, until)
    signals, unknown = model.catalogue.translate(dataset, users, actions, passed_over)
    query = Query(model, signals, k, keep_used)
    if current_items is None:
        return query, unknown
    signals, unknown = current_items.catalogue.translate(dataset, users, actions, passed_over)
    return query.with_current_items(current_items, signals), unknown


def cohort_query(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int) -> Query:
    """Build the query for a cohort's users from their profiles and day ones alone.

    Impressions up to the end of day one are included, unless day ones are sampled. Lists consist of the recommender's
    current items.
    """
    model = recommender.model
    end = cohort.day_end_us
    query, _ = query_users(
        model,
        dataset,
        cohort.users,
        cohort.day_one,
        k,
        with_impressions=end is not None,
        until=end,
        current_items=recommender.current_items,
    )
    query = query.ask(moments=end)
    if cohort.unavailable is None:
        return query
    catalogue = (query.current_items or model).catalogue
    return query.without(map_columns(cohort.unavailable, dataset.items, catalogue.items))


def index_lists(query: Query, dataset: Dataset, lists: np.ndarray) -> np.ndarray:
    """Return the items of a query's lists as `item_ix` of a dataset, -1 for empty positions and unknown items."""
    catalogue = (query.current_items or query.model).catalogue
    in_tables = np.append(dataset.items.lookup(catalogue.items.values), -1)  # last entry: empty positions
    return in_tables[lists]
