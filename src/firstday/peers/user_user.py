"""`user_user`: what the warm users use whose items are most like the day's items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from firstday.data.rows import SparseRows
from firstday.peers.scorer import PeerKind, PeerTraining, keep_largest, only_positive, to_matrix


@dataclass(frozen=True, eq=False)
class UserUser:
    """Warm users and how to weigh them.

    Parameters
    ----------
    uses
        Items that each warm user uses, float32, shape (n_warm, n_items), sparse.
    by_item
        The same, transposed.
    neighbors
        Warm users who speak for a user.
    shrinkage
        Added to the norm of the cosine, so that users of few items are not near by chance.
    power
        On the nearness: more lets the nearest speak louder.
    """

    uses: sparse.csr_matrix
    by_item: sparse.csr_matrix
    neighbors: int
    shrinkage: float
    power: float

    def score(self, liked: SparseRows) -> np.ndarray:
        """Add up the nearness of the nearest warm users who use an item; see `ItemScorer.score`."""
        common = (to_matrix(liked.ones()) @ self.by_item).tocsr()  # (n_users, n_warm)
        mine = np.repeat(liked.lengths(), np.diff(common.indptr))
        theirs = np.diff(self.uses.indptr)[common.indices]
        common.data = (common.data / (np.sqrt(mine * theirs) + self.shrinkage)).astype(np.float32)
        nearest = keep_largest(common, self.neighbors)
        nearest.data **= np.float32(self.power)
        return only_positive((nearest @ self.uses).toarray())


class UserUserFit:
    """Makes `UserUser`: there is nothing to fit."""

    def __init__(self, training: PeerTraining) -> None:
        self.uses = to_matrix(training.uses)
        self.by_item = self.uses.T.tocsr()

    def __call__(self, *, neighbors: int, shrinkage: float, power: float) -> UserUser:
        """See `UserUser`."""
        return UserUser(self.uses, self.by_item, neighbors, shrinkage, power)


def prepare_user_user(training: PeerTraining) -> UserUserFit:
    """Keep warm users' items by user and by item.

    References
    ----------
    J. Herlocker, J. Konstan, A. Borchers, J. Riedl, "An Algorithmic Framework for Performing Collaborative
    Filtering", SIGIR 1999.
    """
    return UserUserFit(training)


USER_USER = PeerKind(
    {"neighbors": (50, 200, 1000, 4000), "shrinkage": (0.0, 10.0, 100.0), "power": (1.0, 2.0, 4.0)}, prepare_user_user
)
