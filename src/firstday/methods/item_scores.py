"""Helpers of methods that score items: conversion to SciPy, most used items, targets, and the strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firstday.ranking import most_used, spread_scores
from firstday.recommend.component import score_component
from firstday.recommend.spec import PROBABILITY, OptionSearch, StrategySpec, near_taste
from firstday.sparse import SparseRows, contains

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_MODEL_ITEMS = 8_000
"""Maximum number of items in models with a weight per pair of items, or per item and hidden unit: the most used."""


def to_matrix(rows: SparseRows) -> csr_matrix:
    """Convert to a SciPy CSR matrix, float32."""
    from scipy.sparse import csr_matrix  # training only

    return csr_matrix((rows.weights, rows.columns, rows.starts), shape=(rows.n_rows, rows.n_columns))


def most_used_items(uses: SparseRows) -> np.ndarray:
    """Return the most used items that have any use, at most `MAX_MODEL_ITEMS`, ascending; ties by index."""
    return most_used(uses.column_sums(), MAX_MODEL_ITEMS)


def spread_known(scores: np.ndarray, items: np.ndarray, is_ranked: np.ndarray, n_items: int) -> np.ndarray:
    """Extend scores, shape (n_users, len(items)), to all items; users without `is_ranked` get ``-inf`` for all."""
    all_scores = spread_scores(scores, items, n_items)
    all_scores[~is_ranked] = -np.inf
    return all_scores


def find_later(uses: SparseRows, day_ones: SparseRows, rows: np.ndarray) -> SparseRows:
    """Return the items used, but not on day one, shape (n, n_items), for row indexes of `FeatureRows`, shape (n,).

    `uses` has all items of each warm user, shape (n_warm, n_items); `day_ones` has the day-one items of all samples,
    stacked, shape (n_samples * n_warm, n_items).
    """
    used = uses.take(rows % uses.n_rows)
    return used.keep(~contains(day_ones.take(rows), used))


def score_items(*, name: str, describe: str, explain: str, value: type, search: OptionSearch) -> StrategySpec:
    """Make a strategy that ranks items by the scores of a learned value given the liked items."""
    return StrategySpec(
        name=name,
        recommend=lambda query: query.rank_learned(name),
        describe=describe,
        explain=explain,
        reason=near_taste,
        value=value,
        search=search,
        component=score_component(lambda query, rows: query.learned(name).score(query.liked.take(rows))),
        scale=PROBABILITY,
    )
