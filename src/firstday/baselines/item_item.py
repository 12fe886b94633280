"""`item_item`: items that the users of the day's items use too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from firstday.baselines.matrices import keep_entries, only_positive, place_in_rows, to_matrix
from firstday.recommend.spec import BaselineData, BaselineSpec
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class ItemItem:
    """How near items are to each item, float32, shape (n_items, n_items), sparse."""

    nearness: sparse.csr_matrix

    def score(self, liked: SparseRows) -> np.ndarray:
        """Add up the nearness to each liked item; see `ItemScorer.score`."""
        return only_positive((to_matrix(liked.ones()) @ self.nearness).toarray())


class ItemItemFit:
    """Fits `ItemItem`, see `prepare_item_item`; how often items are used together is counted once."""

    def __init__(self, training: BaselineData) -> None:
        uses = to_matrix(training.uses)
        together = (uses.T @ uses).tocsr()
        together.setdiag(0)
        together.eliminate_zeros()
        self.together = together
        self.together.sort_indices()
        self.n_users = training.uses.column_sums()
        self._weigh = lru_cache(maxsize=1)(self._weigh_pairs)

    def __call__(self, *, shrinkage: float, asymmetry: float, neighbors: int) -> ItemItem:
        """Weigh what is used together.

        Parameters
        ----------
        shrinkage
            Added below the fraction, so that items which few use are not near by chance.
        asymmetry
            Share of the item to recommend in the norm: 0.5 is the cosine, less favours items that many use.
        neighbors
            Items kept near each item.
        """
        nearness, place = self._weigh(shrinkage, asymmetry)
        return ItemItem(keep_entries(nearness, place < neighbors))

    def _weigh_pairs(self, shrinkage: float, asymmetry: float) -> tuple[sparse.csr_matrix, np.ndarray]:
        """Return how near items are, and the place of each among those near an item."""
        source = np.repeat(np.arange(len(self.n_users)), np.diff(self.together.indptr))
        below = self.n_users[source] ** (1 - asymmetry) * self.n_users[self.together.indices] ** asymmetry + shrinkage
        weights = (self.together.data / below).astype(np.float32)
        nearness = sparse.csr_matrix((weights, self.together.indices, self.together.indptr), self.together.shape)
        return nearness, place_in_rows(nearness)


def prepare_item_item(training: BaselineData) -> ItemItemFit:
    """Count how many warm users use each pair of items: nearness is count / (norm of both + shrinkage).

    References
    ----------
    B. Sarwar, G. Karypis, J. Konstan, J. Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW
    2001. The asymmetric norm: F. Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets",
    RecSys 2013.
    """
    return ItemItemFit(training)


ITEM_ITEM = BaselineSpec(
    name="item_item",
    describe="Items that the users of the day's items use too.",
    grid={
        "shrinkage": (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
        "asymmetry": (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
        "neighbors": (50, 100, 200, 500, 1000, 2000, 5000, 10_000),
    },
    start={"shrinkage": (10.0, 100.0), "asymmetry": (0.3, 0.7), "neighbors": (200, 1000)},
    prepare=prepare_item_item,
)
