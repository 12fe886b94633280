"""`ease` and `edlae`: linear item-to-item models with a closed-form solution; `edlae` is a component of `blend`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from firstday.errors import ConfigError
from firstday.methods.item_scores import most_used_items, score_items, spread_known, to_matrix
from firstday.progress import Progress
from firstday.ranking import greatest, most_used
from firstday.recommend.component import Lift
from firstday.recommend.query import Query
from firstday.recommend.spec import (
    PROBABILITY,
    LearningData,
    ListPrecision,
    Need,
    OptionSearch,
    StrategySpec,
    near_taste,
)
from firstday.sparse import SparseRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, eq=False)
class Ease:
    """Item-to-item `weights`, float32, shape (n_modelled, n_modelled), with a zero diagonal.

    `items` are the indexes of the items in the model, ascending, shape (n_modelled,).
    """

    items: np.ndarray
    weights: np.ndarray

    def score(self, liked: SparseRows) -> np.ndarray:
        """Sum the weights of the liked items; see `LearnedScores.score`."""
        day_items = liked.keep_columns(self.items)
        n_liked = day_items.lengths()
        scores = day_items.mean_vectors(self.weights) * n_liked[:, None].astype(np.float32)
        return spread_known(scores, self.items, n_liked > 0, liked.n_columns)


def fit_ease(uses_of_users: SparseRows, items: np.ndarray, *, regularization: float, dropout: float) -> Ease:
    """Solve for the weights between some items, given by ascending index.

    `regularization` is the L2 penalty; `dropout` is the expected share of a user's items hidden from the input. Without
    dropout, the model is EASE; with dropout, it is EDLAE.

    H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. 8. EDLAE: H. Steck,
    "Autoencoders that don't overfit towards the Identity", NeurIPS 2020: dropout is equivalent to an L2 penalty of
    p / (1 - p) times the number of an item's users.
    """
    uses = to_matrix(uses_of_users)[:, items].astype(np.float64)
    penalty = regularization + dropout / (1 - dropout) * np.asarray(uses.sum(axis=0)).ravel()
    uses = uses[np.diff(uses.indptr) > 0]
    inverse = _by_users(uses, penalty) if uses.shape[0] < len(items) else _by_items(uses, penalty)
    weights = (inverse / -inverse.diagonal()).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return Ease(items, weights)


def _by_items(uses: csr_matrix, penalty: np.ndarray) -> np.ndarray:
    """Invert the penalised Gram matrix of items."""
    gram = (uses.T @ uses).toarray(order="F")
    gram[np.diag_indices_from(gram)] += penalty
    return invert(gram)


def _by_users(uses: csr_matrix, penalty: np.ndarray) -> np.ndarray:
    """Return the same inverse by inverting a matrix of users (Woodbury identity), for fewer users than items."""
    from scipy.sparse import diags  # training only

    scaled = (uses @ diags(1 / penalty)).tocsr()
    small = (scaled @ uses.T).toarray(order="F")
    small[np.diag_indices_from(small)] += 1
    inverse: np.ndarray = scaled.T @ -(scaled.T @ invert(small)).T
    inverse[np.diag_indices_from(inverse)] += 1 / penalty
    return inverse


def invert(matrix: np.ndarray) -> np.ndarray:
    """Invert a symmetric positive definite matrix, which is overwritten; ConfigError if it is not one."""
    from scipy.linalg import lapack  # training only

    factor, failed = lapack.dpotrf(matrix, lower=1, overwrite_a=1)
    if failed:
        raise ConfigError("regularization: is too small to invert the item matrix; increase it.")
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    for row in range(len(inverse)):
        inverse[row, row:] = inverse[row:, row]
    inverse += 0.0  # no negative zeros
    return np.asarray(inverse.T)


@dataclass(frozen=True, eq=False)
class ItemLinks:
    """The largest item-to-item weights of EDLAE, shape (n_items, n_items)."""

    weights: SparseRows

    def score(self, liked: SparseRows) -> np.ndarray:
        """Sum the weights of the liked items; see `LearnedScores.score`."""
        links = liked.ones().through(self.weights)
        return spread_known(links.dense(), np.arange(liked.n_columns), links.lengths() > 0, liked.n_columns)


REGULARIZATION = 300.0
MAX_DROPOUT = 0.99
MAX_ITEMS = 4_096
"""Number of items of `edlae`: the most used."""
MAX_LINKS = 100
"""Number of weights per item of `edlae`: the largest in magnitude."""


def fit_links(data: LearningData, precision: ListPrecision, progress: Progress) -> ItemLinks:  # noqa: ARG001
    """Fit EDLAE with a dropout that is the share of users' items not used on day one."""
    n_on_day = sum(day.n_entries for day in data.day_one_uses) / max(1, len(data.day_one_uses))
    hidden_share = min(MAX_DROPOUT, max(0.0, 1 - n_on_day / max(1, data.uses.n_entries)))
    items = most_used(data.uses.column_sums(), MAX_ITEMS)
    weights = fit_ease(data.uses, items, regularization=REGULARIZATION, dropout=hidden_share).weights
    n_weights = min(MAX_LINKS, len(items))
    largest = greatest(np.abs(weights), n_weights)
    rows = np.repeat(items, n_weights)
    columns = items[largest].ravel()
    weights_of_largest = np.take_along_axis(weights, largest, axis=1).ravel()
    n_items = data.uses.n_columns
    return ItemLinks(SparseRows.from_pairs(rows, columns, weights_of_largest, n_items, n_items))


def lift_linked(query: Query, rows: np.ndarray) -> Lift:
    """Return the sums of weights, in standard deviations over all items, as a component of `blend`."""
    links: ItemLinks = query.learned("edlae")
    scores = query.liked.take(rows).ones().through(links.weights)
    row = scores.row_of_entry()
    n_items = query.model.n_items
    mean = np.bincount(row, scores.weights, minlength=len(rows)) / n_items
    square = np.bincount(row, scores.weights**2, minlength=len(rows)) / n_items
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-18))
    return Lift(replace(scores, weights=(scores.weights / deviation[row]).astype(np.float32)))


EDLAE = StrategySpec(
    name="edlae",
    recommend=lambda query: query.rank_learned("edlae"),
    describe="Rank items by the sum of their weights from the liked items, in a linear model of items with dropout.",
    explain="Items often used together with what the user likes.",
    reason=near_taste,
    needs=(Need("recommend.item_weights", "= true"),),
    fit=fit_links,
    value=ItemLinks,
    always_trained=True,
    component=lift_linked,
    position=5,
    scale=PROBABILITY,
)
EASE = score_items(
    name="ease",
    describe="A linear model of items, solved in closed form.",
    explain="Items often used together with what the user likes.",
    value=Ease,
    search=OptionSearch(
        grid={
            "regularization": (100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0),
            "dropout": (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995),
        },
        start={"regularization": (300.0, 3000.0), "dropout": (0.0, 0.5, 0.9, 0.98)},
        prepare=lambda training: partial(fit_ease, training.uses, most_used_items(training.uses)),
    ),
)
