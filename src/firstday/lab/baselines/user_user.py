"""`user_user`: user-based nearest neighbours, by similarity of warm users' items to the day's items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from firstday.methods.item_scores import score_items
from firstday.ranking import top_k
from firstday.recommend.spec import OptionSearch, UseData
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class UserUser:
    """Warm users and the parameters of their similarity.

    `uses` has the items that each warm user uses, shape (n_warm, n_items), and `by_item` its transpose, with each row
    scaled by the item's weight. `weights` are the weights of the items in the cosine, float32, shape (n_items,), and
    `lengths` the sums of the weights of each warm user's items, float32, shape (n_warm,). `neighbors` is the number of
    neighbours. `shrinkage` is added to the norm of the cosine, so that users with few items are not similar by chance;
    `power` is the exponent of the similarity: higher values give the nearest neighbours more weight.
    """

    uses: SparseRows
    by_item: SparseRows
    weights: np.ndarray
    lengths: np.ndarray
    neighbors: int
    shrinkage: float
    power: float

    def score(self, liked: SparseRows) -> np.ndarray:
        """Sum the similarities of the nearest warm users who use an item; see `LearnedScores.score`."""
        scores = np.empty((liked.n_rows, liked.n_columns), dtype=np.float32)
        for row in range(liked.n_rows):
            items = liked.row(row)
            rows_of_items = self.by_item.take(items)
            common = np.bincount(rows_of_items.columns, rows_of_items.weights, minlength=self.uses.n_rows)
            norm = np.sqrt(self.weights[items].sum() * self.lengths) + self.shrinkage
            nearness = np.where(common > 0, common / np.maximum(norm, 1e-12), -np.inf).astype(np.float32)
            nearest, nearness = top_k(nearness[None], self.neighbors)
            is_neighbor = nearest >= 0
            neighbor_uses = self.uses.take(nearest[is_neighbor])
            weights = np.repeat(nearness[is_neighbor] ** self.power, neighbor_uses.lengths())
            scores[row] = np.bincount(neighbor_uses.columns, weights, minlength=self.uses.n_columns)
        return np.where(scores > 0, scores, -np.inf)


def prepare_user_user(training: UseData) -> Callable[..., UserUser]:
    """Index warm users' items by user and by item; return a function that computes the weights.

    J. Herlocker, J. Konstan, A. Borchers, J. Riedl, "An Algorithmic Framework for Performing Collaborative
    Filtering", SIGIR 1999.
    """
    uses = training.uses
    by_item = training.uses.transpose()
    n_users = uses.column_sums()

    def fit(*, rarity: float, neighbors: int, shrinkage: float, power: float) -> UserUser:
        """Compute the weights of items and users.

        An item's weight in the cosine is its number of users to the power of -rarity, scaled to a mean of 1 over all
        uses; 0: plain cosine.
        """
        weights = np.maximum(n_users, 1) ** -rarity
        weights = (weights / (weights[uses.columns].mean() if uses.n_entries else 1)).astype(np.float32)
        lengths = np.bincount(uses.row_of_entry(), weights[uses.columns], minlength=uses.n_rows).astype(np.float32)
        weighted = replace(by_item, weights=weights[by_item.row_of_entry()])
        return UserUser(uses, weighted, weights, lengths, neighbors, shrinkage, power)

    return fit


USER_USER = score_items(
    name="user_user",
    describe="Items of warm users who share items with the user.",
    explain="Items used by warm users who share what the user likes.",
    value=UserUser,
    search=OptionSearch(
        grid={
            "rarity": (-0.6, -0.3, -0.15, 0.0, 0.15, 0.3, 0.6),
            "neighbors": (10, 20, 50, 100, 200, 400, 800),
            "shrinkage": (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
            "power": (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
        },
        start={"rarity": (0.0, 0.3), "neighbors": (50, 200), "shrinkage": (10.0, 100.0), "power": (1.0, 2.0)},
        prepare=prepare_user_user,
    ),
)
