"""`user_user`: what the warm users use whose items are most like the day's items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from firstday.baselines.matrices import keep_largest, only_positive, to_matrix
from firstday.recommend.spec import BaselineData, BaselineSpec
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class UserUser:
    """Warm users and how to weigh them.

    Parameters
    ----------
    uses
        Items that each warm user uses, float32, shape (n_warm, n_items), sparse.
    by_item
        The same, transposed, each item's row times its weight.
    weights
        What each item counts in the cosine, shape (n_items,).
    lengths
        Sum of the weights of each warm user's items, shape (n_warm,).
    neighbors
        Warm users who speak for a user.
    shrinkage
        Added to the norm of the cosine, so that users of few items are not near by chance.
    power
        On the nearness: more lets the nearest speak louder.
    """

    uses: sparse.csr_matrix
    by_item: sparse.csr_matrix
    weights: np.ndarray
    lengths: np.ndarray
    neighbors: int
    shrinkage: float
    power: float

    def score(self, liked: SparseRows) -> np.ndarray:
        """Add up the nearness of the nearest warm users who use an item; see `ItemScorer.score`."""
        day_items = to_matrix(liked.ones())
        common = (day_items @ self.by_item).tocsr()  # (n_users, n_warm)
        weight_of_user = np.repeat(day_items @ self.weights, np.diff(common.indptr))
        norm = np.sqrt(weight_of_user * self.lengths[common.indices])
        common.data = (common.data / (norm + self.shrinkage)).astype(np.float32)
        nearest = keep_largest(common, self.neighbors)
        nearest.data **= np.float32(self.power)
        return only_positive((nearest @ self.uses).toarray())


class UserUserFit:
    """Makes `UserUser`: there is nothing to fit."""

    def __init__(self, training: BaselineData) -> None:
        self.uses = to_matrix(training.uses)
        self.n_users = training.uses.column_sums()

    def __call__(self, *, rarity: float, neighbors: int, shrinkage: float, power: float) -> UserUser:
        """Weigh items and users.

        Parameters
        ----------
        rarity
            An item's weight in the cosine is its number of users to the power of -rarity, scaled so that the mean over
            all uses is 1; 0 is the plain cosine.
        neighbors, shrinkage, power
            See `UserUser`.
        """
        weights = np.maximum(self.n_users, 1) ** -rarity
        weights /= weights[self.uses.indices].mean() if self.uses.nnz else 1
        by_item = (self.uses @ sparse.diags(weights)).T.tocsr()
        return UserUser(self.uses, by_item, weights, self.uses @ weights, neighbors, shrinkage, power)


def prepare_user_user(training: BaselineData) -> UserUserFit:
    """Keep warm users' items by user and by item.

    References
    ----------
    J. Herlocker, J. Konstan, A. Borchers, J. Riedl, "An Algorithmic Framework for Performing Collaborative
    Filtering", SIGIR 1999.
    """
    return UserUserFit(training)


USER_USER = BaselineSpec(
    name="user_user",
    describe="What the warm users who share the day's items use.",
    grid={
        "rarity": (-0.6, -0.3, -0.15, 0.0, 0.15, 0.3, 0.6),
        "neighbors": (10, 20, 50, 100, 200, 400, 800),
        "shrinkage": (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
        "power": (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    },
    start={"rarity": (0.0, 0.3), "neighbors": (50, 200), "shrinkage": (10.0, 100.0), "power": (1.0, 2.0)},
    prepare=prepare_user_user,
)
