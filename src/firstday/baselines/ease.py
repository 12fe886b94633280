"""`ease`: a linear model of items, solved in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from firstday.baselines.matrices import most_used_items, spread_known, to_matrix
from firstday.errors import ConfigError
from firstday.recommend.spec import BaselineData, BaselineSpec
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class Ease:
    """Weights from item to item.

    Parameters
    ----------
    items
        Indexes of the items in the model, ascending, shape (n_kept,).
    weights
        float32, shape (n_kept, n_kept), zeros on the diagonal.
    """

    items: np.ndarray
    weights: np.ndarray

    def score(self, liked: SparseRows) -> np.ndarray:
        """Add up the weights of the liked items; see `ItemScorer.score`."""
        day_items = to_matrix(liked.ones())[:, self.items]
        return spread_known(day_items @ self.weights, self.items, np.diff(day_items.indptr) > 0, liked.n_columns)


class EaseFit:
    """Fits `Ease`; the Gram matrix of items is computed once."""

    def __init__(self, training: BaselineData) -> None:
        self.items = most_used_items(training.uses)
        uses = to_matrix(training.uses)[:, self.items]
        self.gram = (uses.T @ uses).toarray().astype(np.float64)

    def __call__(self, *, regularization: float, dropout: float) -> Ease:
        """Solve for the weights.

        Parameters
        ----------
        regularization
            Weight of the L2 penalty.
        dropout
            Share of a user's items hidden from the input, on average over all ways to hide them; 0 is EASE, more is
            EDLAE.
        """
        ridge = self.gram.copy(order="F")
        ridge[np.diag_indices_from(ridge)] += regularization + dropout / (1 - dropout) * self.gram.diagonal()
        factor, failed = lapack.dpotrf(ridge, lower=1, overwrite_a=1)
        inverse, failed_too = (factor, failed) if failed else lapack.dpotri(factor, lower=1, overwrite_c=1)
        if failed or failed_too:
            raise ConfigError(f"regularization: {regularization} is too small to solve for items; give a larger one.")
        diagonal = inverse.diagonal().copy()
        lower = np.tril(inverse, -1).astype(np.float32)
        del ridge, factor, inverse
        weights = lower + lower.T
        weights /= -diagonal.astype(np.float32)
        return Ease(self.items, weights)


def prepare_ease(training: BaselineData) -> EaseFit:
    """Count how many warm users use each pair of the most used items.

    References
    ----------
    H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. 8. With dropout, EDLAE: H. Steck,
    "Autoencoders that don't overfit towards the Identity", NeurIPS 2020: hidden items are an L2 penalty of
    p / (1 - p) times the number of an item's users.
    """
    return EaseFit(training)


EASE = BaselineSpec(
    name="ease",
    describe="A linear model of items, solved in closed form.",
    grid={
        "regularization": (100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0),
        "dropout": (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995),
    },
    start={"regularization": (1000.0, 10_000.0), "dropout": (0.0, 0.98)},
    prepare=prepare_ease,
    is_restricted=True,
)
