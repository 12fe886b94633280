"""What a tuned peer is made of, and how it becomes a strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from firstday.ranking import most_used, spread_scores
from firstday.recommend.query import Answer, Query, Strategy, rank_scores, route_where
from firstday.sparse import SparseRows

MOST_ITEMS = 8_000
"""Items that a peer with a weight for each pair of items, or each item and hidden number, ranks: the most used ones."""


class ItemScorer(Protocol):
    """A fitted peer: day-one items -> scores of items."""

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return scores that may be overwritten, float32, shape (n_users, n_items).

        ``-inf`` stands for items that the peer does not rank, and fills the row of a user it has nothing to go on.

        Parameters
        ----------
        liked
            Items that the users like so far, shape (n_users, n_items).
        """


@dataclass(frozen=True, eq=False)
class PeerTraining:
    """What peers learn from.

    Parameters
    ----------
    uses
        Items that each warm user uses, all weights 1, shape (n_warm, n_items).
    affinity
        Their positive affinities, shape (n_warm, n_items).
    validate
        Precision in %, higher is better, of a peer's lists for validation users.
    seed, threads
        Of the configuration.
    """

    uses: SparseRows
    affinity: SparseRows
    validate: Callable[[ItemScorer], float]
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True)
class PeerKind:
    """One kind of peer and what is tried of it.

    Parameters
    ----------
    grid
        Values of each option; every combination is tried.
    prepare
        Computes what all fits share, and returns the function that fits with some options.
    restricted
        Whether it ranks `MOST_ITEMS` items at most.
    """

    grid: Mapping[str, tuple[Any, ...]]
    prepare: Callable[[PeerTraining], Callable[..., ItemScorer]]
    restricted: bool = False

    def with_options(self, options: Mapping[str, Any] | None) -> PeerKind:
        """Return the kind with these options alone to try; itself where there are none."""
        return self if options is None else replace(self, grid={name: (value,) for name, value in options.items()})


def as_strategy(name: str, scorer: ItemScorer) -> Strategy:
    """Make a strategy of a fitted peer; it answers for users for whom it ranks an item."""

    def recommend(query: Query) -> Answer:
        items, values = rank_scores(query, lambda rows: scorer.score(query.liked.take(rows)))
        return Answer(items, values, route_where(items[:, 0] >= 0, name))

    return recommend


def to_matrix(rows: SparseRows) -> sparse.csr_matrix:
    """Return the same matrix for SciPy, float32."""
    return sparse.csr_matrix((rows.weights, rows.columns, rows.starts), shape=(rows.n_rows, rows.n_columns))


def most_used_items(uses: SparseRows) -> np.ndarray:
    """Return the `MOST_ITEMS` most used items that anybody uses, ascending; ties by the lower index."""
    return most_used(uses.column_sums(), MOST_ITEMS)


def keep_largest(matrix: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """Keep the largest entries of each row, `most` of them; ties by the lower column."""
    return keep_entries(matrix, place_in_rows(matrix) < most)


def place_in_rows(matrix: sparse.csr_matrix) -> np.ndarray:
    """Return the place of each entry in its row, the largest first, ties by the lower column; columns get sorted."""
    matrix.sort_indices()
    place = np.empty(matrix.nnz, dtype=np.int32)
    for start, end in pairwise(matrix.indptr.tolist()):
        order = np.argsort(-matrix.data[start:end], kind="stable")
        place[start + order] = np.arange(end - start, dtype=np.int32)
    return place


def keep_entries(matrix: sparse.csr_matrix, kept: np.ndarray) -> sparse.csr_matrix:
    """Return the matrix with only the entries where `kept`, bool, shape (n_entries,), is true."""
    starts = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def only_positive(scores: np.ndarray) -> np.ndarray:
    """Mark items without a positive score as not ranked, in place."""
    scores[scores <= 0] = -np.inf
    return scores


def spread_known(scores: np.ndarray, items: np.ndarray, known: np.ndarray, n_items: int) -> np.ndarray:
    """Put scores of some items, shape (n_users, len(items)), among all; rows of users not `known` are not ranked."""
    everything = spread_scores(scores, items, n_items)
    everything[~known] = -np.inf
    return everything
