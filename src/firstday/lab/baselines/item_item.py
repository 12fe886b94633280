"""`item_item`: item-based nearest neighbours, by co-occurrence with the day's items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from firstday.methods.item_scores import score_items, to_matrix
from firstday.recommend.spec import OptionSearch, UseData
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class ItemItem:
    """Item-to-item similarity, shape (n_items, n_items)."""

    nearness: SparseRows

    def score(self, liked: SparseRows) -> np.ndarray:
        """Sum the similarities to the liked items; see `LearnedScores.score`."""
        scores = liked.ones().times(self.nearness)
        return np.where(scores > 0, scores, -np.inf)


def prepare_item_item(training: UseData) -> Callable[..., ItemItem]:
    """Count co-occurrences of items among warm users; return a function that computes similarities from them.

    The similarity of two items is count / (norm + shrinkage), where the norm depends on their numbers of users.

    B. Sarwar, G. Karypis, J. Konstan, J. Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW
    2001. The asymmetric norm: F. Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets",
    RecSys 2013.
    """
    uses = to_matrix(training.uses)
    matrix = (uses.T @ uses).tocsr()
    matrix.setdiag(0)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    cooccurrences = SparseRows(matrix.indptr, matrix.indices, matrix.data, matrix.shape[1])
    n_users = training.uses.column_sums()

    @lru_cache(maxsize=1)
    def weigh_pairs(shrinkage: float, asymmetry: float) -> tuple[SparseRows, np.ndarray]:
        """Return similarities, and the rank of each similarity within its row, from 0."""
        norm = (
            n_users[cooccurrences.row_of_entry()] ** (1 - asymmetry) * n_users[cooccurrences.columns] ** asymmetry
            + shrinkage
        )
        nearness = replace(cooccurrences, weights=(cooccurrences.weights / norm).astype(np.float32))
        return nearness, nearness.rank_within_rows(-nearness.weights)

    def fit(*, shrinkage: float, asymmetry: float, neighbors: int) -> ItemItem:
        """Compute the similarities of each item to its `neighbors` nearest.

        `shrinkage` keeps rare items from being similar by chance. `asymmetry` is the exponent of the recommended item's
        user count in the norm; 0.5: cosine; lower values favour popular items.
        """
        nearness, rank = weigh_pairs(shrinkage, asymmetry)
        return ItemItem(nearness.keep(rank < neighbors))

    return fit


ITEM_ITEM = score_items(
    name="item_item",
    describe="Items used together with the day's items.",
    explain="Items often used together with what the user likes.",
    value=ItemItem,
    search=OptionSearch(
        grid={
            "shrinkage": (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
            "asymmetry": (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
            "neighbors": (50, 100, 200, 500, 1000, 2000, 5000, 10_000),
        },
        start={"shrinkage": (10.0, 100.0), "asymmetry": (0.3, 0.7), "neighbors": (200, 1000)},
        prepare=prepare_item_item,
    ),
)
