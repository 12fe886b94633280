"""What baselines have in common: matrices for SciPy, the most used items, scores of some items, and their strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from firstday.ranking import most_used, spread_scores
from firstday.recommend.spec import PROBABILITY, OptionSearch, StrategySpec, near_taste, reading
from firstday.sparse import SparseRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_ITEMS = 8_000
"""Items that a baseline with a weight for each pair of items, or each item and hidden number, ranks: the most used."""


def to_matrix(rows: SparseRows) -> csr_matrix:
    """Return the same matrix for SciPy, float32."""
    from scipy.sparse import csr_matrix  # where models are trained alone

    return csr_matrix((rows.weights, rows.columns, rows.starts), shape=(rows.n_rows, rows.n_columns))


def most_used_items(uses: SparseRows) -> np.ndarray:
    """Return the `MOST_ITEMS` most used items that anybody uses, ascending; ties by the lower index."""
    return most_used(uses.column_sums(), MOST_ITEMS)


def place_in_rows(matrix: SparseRows) -> np.ndarray:
    """Return the place of each entry in its row, int32, the largest first, ties by the lower column."""
    row, place = matrix.row_of_entry(), np.empty(matrix.n_entries, dtype=np.int32)
    place[np.lexsort((-matrix.weights, row))] = np.arange(matrix.n_entries) - matrix.starts[row]
    return place


def only_positive(scores: np.ndarray) -> np.ndarray:
    """Mark items without a positive score as not ranked, in place."""
    scores[scores <= 0] = -np.inf
    return scores


def spread_known(scores: np.ndarray, items: np.ndarray, known: np.ndarray, n_items: int) -> np.ndarray:
    """Put scores of some items, shape (n_users, len(items)), among all; rows of users not `known` are not ranked."""
    everything = spread_scores(scores, items, n_items)
    everything[~known] = -np.inf
    return everything


def score_items(*, name: str, describe: str, explain: str, value: type, search: OptionSearch) -> StrategySpec:
    """Make the strategy that ranks items by the scores that a learned value gives them for liked items."""
    return StrategySpec(
        name=name,
        recommend=lambda query: query.rank_learned(name),
        describe=describe,
        explain=explain,
        reason=near_taste,
        value=value,
        search=search,
        reads=reading("liked"),
        scale=PROBABILITY,
    )
