"""Affinities, embeddings of users and items in one space, and fold-in of new users (PAPER, step 1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from firstday.config import SignalConfig
from firstday.data.events import ITEM
from firstday.data.ids import NOT_STORED
from firstday.data.splits.split import Actions
from firstday.display import readable
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows, contains, union_rows


def compute_affinity(actions: Actions, config: SignalConfig, n_users: int, n_items: int) -> SparseRows:
    """Sum the weighted signals on items to affinities, shape (n_users, n_items); only positive ones are kept.

    By `config.damping`, n interactions count as log2(1 + n) or as n.
    """
    parts = []
    for (signal, entity), rows in actions.items():
        if entity == ITEM and config.affinity.get(signal):
            counts = np.log2(1 + rows.weights) if config.damping == "log" else rows.weights
            weights = (config.affinity[signal] * counts).astype(np.float32)
            parts.append(replace(rows, weights=weights))
    if not parts:
        return SparseRows.empty(n_users, n_items)
    total = union_rows(parts)
    return total.keep(total.weights > 0)


def select_items(actions: Actions, signals: Collection[str], n_users: int, n_items: int) -> SparseRows:
    """Return the items with which each user has one of the signals, shape (n_users, n_items)."""
    parts = [rows for (signal, entity), rows in actions.items() if entity == ITEM and signal in signals]
    return union_rows(parts) if parts else SparseRows.empty(n_users, n_items)


def select_uses(actions: Actions, config: SignalConfig, n_users: int, n_items: int) -> SparseRows:
    """Return the items that each user used (`signals.use`), all weights 1, shape (n_users, n_items)."""
    return select_items(actions, config.use, n_users, n_items).ones()


PASSED_OVER = 10.0
"""Additional confidence that a passed-over item is not liked; items without evidence have a confidence of 1."""


@readable
@dataclass(frozen=True, eq=False)
class FoldIn:
    """Computes new users' vectors from fixed item vectors.

    Parameters
    ----------
    item_vectors
        float32, shape (n_items, d).
    rule
        ``least-squares``: the vector that ALS would compute for the user; ``mean``: the affinity-weighted mean of item
        vectors, as for TT-SVD.
    confidence, regularization
        Settings of ALS; not used by ``mean``.
    stored_gram
        Gram matrix of the item vectors, if it is known.

    References
    ----------
    Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, eq. 4.
    """

    item_vectors: np.ndarray
    rule: Literal["least-squares", "mean"]
    confidence: float = 1.0
    regularization: float = 0.0
    stored_gram: np.ndarray | None = field(default=None, repr=False, metadata=NOT_STORED)

    @cached_property
    def gram(self) -> np.ndarray:
        """G = Y'Y + regularization, float64, shape (d, d); part of a stored model, since it reads all vectors."""
        if self.stored_gram is not None:
            return self.stored_gram
        y = self.item_vectors.astype(np.float64)
        regularization = max(self.regularization, 1e-9)
        return y.T @ y + regularization * np.eye(y.shape[1])

    @cached_property
    def _inverse(self) -> np.ndarray:
        """G^-1, float64, shape (d, d)."""
        return np.linalg.inv(self.gram)

    def solve(self, affinity: SparseRows, passed_over: SparseRows | None = None) -> np.ndarray:
        """Return each user's vector, float32, shape (n_users, d); zeros for users without affinities.

        A user's vector is bit-identical whatever other users are in the batch.

        Parameters
        ----------
        affinity
            Positive affinities, shape (n_users, n_items).
        passed_over
            Probability that the user passed over the item, same shape, without entries of `affinity`. These items have
            the target 0, like items without evidence, with an additional confidence of up to `PASSED_OVER`. The rule
            ``mean`` ignores them.
        """
        if self.rule == "mean":
            return affinity.mean_vectors(self.item_vectors, weighted=True)
        entries = affinity if passed_over is None else union_rows([affinity, passed_over])
        is_liked = contains(affinity, entries)
        weights = entries.weights.astype(np.float64)
        confidence = np.where(is_liked, self.confidence * weights, 1 + PASSED_OVER * weights)
        return self._solve_rows(entries, confidence, np.where(is_liked, confidence, 0))

    def _solve_rows(self, entries: SparseRows, confidence: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Solve each row, given the confidences and the confidence-weighted targets of its entries."""
        d = self.item_vectors.shape[1]
        vectors = np.zeros((entries.n_rows, d), dtype=np.float32)
        lengths = entries.lengths()
        for length in set(lengths.tolist()) - {0}:
            solve = self._solve_short if length <= d else self._solve_long
            rows = np.flatnonzero(lengths == length)
            step = max(1, 2**24 // (length * d + min(length, d) ** 2))
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                entry_ix = entries.starts[part][:, None] + np.arange(length)
                vectors[part] = solve(entries.columns[entry_ix], confidence[entry_ix], targets[entry_ix])
        return vectors

    def _solve_short(self, items: np.ndarray, c: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Solve rows of equal length <= d; all arguments have shape (n, length).

        With P = Y_u G^-1 (`solved_vectors`), the solution of (G + Y_u' D Y_u) x = Y_u' b, D = C - I, is
        P' (I + D P Y_u')^-1 b: a length x length system instead of d x d.
        """
        vectors = self.item_vectors[items]  # (n, length, d)
        solved_vectors = (vectors.astype(np.float64) @ self._inverse).astype(np.float32)
        transposed = np.swapaxes(vectors, 1, 2)
        kernel = np.matmul(solved_vectors, transposed).astype(np.float64)
        system = np.eye(items.shape[1]) + (c - 1)[:, :, None] * kernel  # (n, length, length)
        weights = np.linalg.solve(system, b[:, :, None])[:, :, 0]
        return np.matmul(weights.astype(np.float32)[:, None], solved_vectors)[:, 0]

    def _solve_long(self, items: np.ndarray, c: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Solve rows with more items than dimensions, as d x d systems."""
        vectors = self.item_vectors[items].astype(np.float64)  # (n, length, d)
        transposed = np.swapaxes(vectors, 1, 2)
        system = self.gram + transposed @ ((c - 1)[:, :, None] * vectors)  # (n, d, d)
        return np.linalg.solve(system, transposed @ b[:, :, None])[:, :, 0]


@readable
@dataclass(frozen=True, eq=False)
class Embeddings:
    """Result of step 1: vectors of warm users and items.

    Parameters
    ----------
    user_vectors
        float32, shape (n_warm_users, d), in the order of the warm users.
    item_vectors
        float32, shape (n_items, d); zeros for items that no warm user uses.
    fold_in
        Computes new users' vectors.
    similarity
        Similarity of user and item vectors, by which items are scored: ``dot`` product or ``cosine``.
    """

    user_vectors: np.ndarray
    item_vectors: np.ndarray
    fold_in: FoldIn
    similarity: Literal["dot", "cosine"]

    @cached_property
    def scoring_vectors(self) -> np.ndarray:
        """Item vectors whose dot product with a user's vector is the score, float32, shape (n_items, d)."""
        return unit_rows(self.item_vectors) if self.similarity == "cosine" else self.item_vectors
