"""Shared helpers of the baselines: conversion to SciPy, most used items, partial scores, and their strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firstday.ranking import most_used, spread_scores
from firstday.recommend.spec import PROBABILITY, OptionSearch, StrategySpec, near_taste
from firstday.sparse import SparseRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_ITEMS = 8_000
"""Number of items, the most used, ranked by baselines with a weight per pair of items or per item and hidden unit."""


def to_matrix(rows: SparseRows) -> csr_matrix:
    """Return the matrix as a SciPy CSR matrix, float32."""
    from scipy.sparse import csr_matrix  # training only

    return csr_matrix((rows.weights, rows.columns, rows.starts), shape=(rows.n_rows, rows.n_columns))


def most_used_items(uses: SparseRows) -> np.ndarray:
    """Return the `MOST_ITEMS` most used items with at least one use, ascending; the lower index wins ties."""
    return most_used(uses.column_sums(), MOST_ITEMS)


def only_positive(scores: np.ndarray) -> np.ndarray:
    """Set non-positive scores to ``-inf`` (not ranked), in place."""
    scores[scores <= 0] = -np.inf
    return scores


def spread_known(scores: np.ndarray, items: np.ndarray, known: np.ndarray, n_items: int) -> np.ndarray:
    """Scatter scores, shape (n_users, len(items)), over all items; users that are not `known` rank none."""
    everything = spread_scores(scores, items, n_items)
    everything[~known] = -np.inf
    return everything


def score_items(*, name: str, describe: str, explain: str, value: type, search: OptionSearch) -> StrategySpec:
    """Make a strategy that ranks items by a learned value's scores given the liked items."""
    return StrategySpec(
        name=name,
        recommend=lambda query: query.rank_learned(name),
        describe=describe,
        explain=explain,
        reason=near_taste,
        value=value,
        search=search,
        reads=("liked",),
        scale=PROBABILITY,
    )
