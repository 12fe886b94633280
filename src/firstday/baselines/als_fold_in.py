"""`als_fold_in`: the ALS of the library implicit with its own settings, and fold-in of new users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firstday.baselines.matrices import score_items, to_matrix
from firstday.recommend.spec import OptionSearch, UseData
from firstday.sparse import SparseRows

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

N_ITERATIONS = 15
MAX_WEIGHT_RATIO = 1.2
"""Rows whose penalty weights differ by at most this factor are solved together: implicit takes a single weight."""


@dataclass(frozen=True)
class Penalty:
    """Frequency-dependent L2 penalty of user or item vectors.

    A row of `count` entries has the penalty ``weight * ((count + floor) / mean) ** frequency``.

    Parameters
    ----------
    weight
        Penalty of an average row.
    frequency
        Exponent of the number of entries; 0: equal for all rows; 1: proportional.
    floor
        Total weight of a row's absent entries, relative to a present entry.
    mean
        Mean over rows of (count + floor).

    References
    ----------
    S. Rendle, W. Krichene, L. Zhang, Y. Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
    RecSys 2022: alpha_0 is 1 / confidence here, and lambda is scaled so that one value suits every exponent.
    """

    weight: float
    frequency: float
    floor: float
    mean: float

    @classmethod
    def on_rows(cls, matrix: csr_matrix, confidence: float, weight: float, frequency: float) -> Penalty:
        """Return the penalty of a matrix's rows; an absent entry has the weight 1 / confidence of a present one."""
        floor = matrix.shape[1] / confidence
        return cls(weight, frequency, floor, matrix.nnz / max(1, matrix.shape[0]) + floor)

    def of(self, counts: np.ndarray) -> np.ndarray:
        """Return the penalty of rows with the given numbers of entries, float64, same shape."""
        weights: np.ndarray = self.weight * ((counts + self.floor) / self.mean) ** self.frequency
        return weights


@dataclass(frozen=True, eq=False)
class AlsFoldIn:
    """Item vectors and least-squares fold-in of users.

    Parameters
    ----------
    item_vectors
        In the basis that diagonalises their Gram matrix, float64, shape (n_items, d); zeros for items without users.
    diagonal
        Diagonal of the Gram matrix of the item vectors, float64, shape (d,).
    confidence
        Confidence of a use per unit of affinity.
    penalty
        Penalty of users' vectors.
    """

    item_vectors: np.ndarray
    diagonal: np.ndarray
    confidence: float
    penalty: Penalty

    def score(self, liked: SparseRows) -> np.ndarray:
        """Solve the users' vectors and return dot products; see `LearnedScores.score`."""
        has_vector = np.asarray(self.item_vectors.any(axis=1))
        vectors = np.empty((liked.n_rows, len(self.diagonal)))
        for row in range(liked.n_rows):
            vectors[row] = self._solve(liked.row(row), liked.row_weights(row))
        scores: np.ndarray = (vectors @ self.item_vectors.T).astype(np.float32)
        scores[:, ~has_vector] = -np.inf
        scores[liked.keep(has_vector[liked.columns]).lengths() == 0] = -np.inf
        return scores

    def _solve(self, items: np.ndarray, affinities: np.ndarray) -> np.ndarray:
        """Return a user's least-squares vector from a linear system with one equation per item of the user."""
        confidence = self.confidence * affinities.astype(np.float64)
        vectors = self.item_vectors[items]
        solved = vectors / (self.diagonal + self.penalty.of(np.asarray(len(items))))
        system = np.eye(len(items)) + (confidence - 1)[:, None] * (solved @ vectors.T)
        vector: np.ndarray = np.linalg.solve(system, confidence) @ solved
        return vector


Part = tuple[np.ndarray, "csr_matrix", float]
"""Row indexes, the matrix of these rows, and their common penalty weight."""


def divide_rows(matrix: csr_matrix, penalty: Penalty) -> list[Part]:
    """Partition the rows of a matrix of confidences by penalty weight, in ascending order.

    The highest weight in a part is at most `MAX_WEIGHT_RATIO` times the lowest; the part's weight is their geometric
    mean.
    """
    weights = penalty.of(np.diff(matrix.indptr))
    bounds: list[tuple[float, float]] = []
    for weight in np.unique(weights).tolist():
        if bounds and weight <= MAX_WEIGHT_RATIO * bounds[-1][0]:
            bounds[-1] = (bounds[-1][0], weight)
        else:
            bounds.append((weight, weight))
    rows = [np.flatnonzero((weights >= lowest) & (weights <= highest)) for lowest, highest in bounds]
    return [(part, matrix[part], (low * high) ** 0.5) for part, (low, high) in zip(rows, bounds, strict=True)]


def _solve(model: AlternatingLeastSquares, parts: list[Part], vectors: np.ndarray, other_vectors: np.ndarray) -> None:
    """Replace vectors by their least-squares solution given the vectors of the other side, with implicit's solver."""
    for rows, entries, weight in parts:
        updated = vectors[rows]
        model.solver(entries, updated, other_vectors, weight, num_threads=model.num_threads)
        vectors[rows] = updated


def prepare_als_fold_in(training: UseData) -> Callable[..., AlsFoldIn]:
    """Return a function that factorises warm users' affinities.

    References
    ----------
    Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. For the
    frequency-dependent penalty see `Penalty`.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    by_user = to_matrix(training.affinity)
    by_item = by_user.T.tocsr()

    def fit(*, dimensions: int, confidence: float, regularization: float, frequency: float) -> AlsFoldIn:
        """Factorise; for `dimensions` and `confidence` see `EmbeddingConfig`, for the other options `Penalty`."""
        user_penalty, item_penalty = (
            Penalty.on_rows(matrix, confidence, regularization, frequency) for matrix in (by_user, by_item)
        )
        with threadpool_limits(1, "blas"):  # implicit has its own threads and warns if BLAS uses more
            model = AlternatingLeastSquares(
                factors=dimensions,
                alpha=confidence,
                iterations=0,
                num_threads=training.threads,
                random_state=training.seed,
            )
            model.fit(by_user, show_progress=False)  # draws the initial vectors
            users, items = (
                divide_rows(confidence * by_user, user_penalty),
                divide_rows(confidence * by_item, item_penalty),
            )
            for _ in range(N_ITERATIONS):
                _solve(model, users, model.user_factors, model.item_factors)
                _solve(model, items, model.item_factors, model.user_factors)
        vectors = np.asarray(model.item_factors, dtype=np.float64)
        diagonal, axes = np.linalg.eigh(vectors.T @ vectors)
        return AlsFoldIn(vectors @ axes, diagonal, confidence, user_penalty)

    return fit


ALS_FOLD_IN = score_items(
    name="als_fold_in",
    describe="ALS with its own settings, and its fold-in of new users.",
    explain="Items similar to the taste fitted to the items that the user likes.",
    value=AlsFoldIn,
    search=OptionSearch(
        grid={
            "dimensions": (16, 32, 64, 128, 256, 512, 1024),
            "confidence": (2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0),
            "regularization": (25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0),
            "frequency": (0.0, 0.25, 0.5, 0.75, 1.0),
        },
        start={
            "dimensions": (64,),
            "confidence": (5.0, 80.0),
            "regularization": (100.0, 400.0),
            "frequency": (0.0, 0.75),
        },
        prepare=prepare_als_fold_in,
    ),
)
