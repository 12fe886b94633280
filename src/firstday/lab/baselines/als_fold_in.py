"""`als_fold_in`: the ALS of the library implicit with its own settings, and fold-in of new users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firstday.methods.item_scores import score_items, to_matrix
from firstday.ranking import score_by_vectors
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

    A row of `count` entries has the penalty ``weight * ((count + floor) / mean) ** frequency``: `weight` for an average
    row. `floor` is the total weight of a row's absent entries, relative to a present entry, and `mean` the mean over
    rows of (count + floor).

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
        """Return the penalty of rows given their numbers of entries, float64, same shape."""
        return np.asarray(self.weight * ((counts + self.floor) / self.mean) ** self.frequency)


@dataclass(frozen=True, eq=False)
class AlsFoldIn:
    """Item vectors and least-squares fold-in of users.

    `item_vectors` are in the basis that diagonalises their Gram matrix, float64, shape (n_items, d), with zeros for
    items without users; `diagonal` is the diagonal of that matrix, float64, shape (d,). `confidence` is that of a use
    per unit of affinity, and `penalty` that of users' vectors.
    """

    item_vectors: np.ndarray
    diagonal: np.ndarray
    confidence: float
    penalty: Penalty

    def score(self, liked: SparseRows) -> np.ndarray:
        """Fold in the users and return dot products; see `LearnedScores.score`.

        A user's least-squares vector is found from a linear system with one equation per item of the user.
        """
        user_vectors = np.empty((liked.n_rows, len(self.diagonal)))
        for row in range(liked.n_rows):
            confidence = self.confidence * liked.row_weights(row).astype(np.float64)
            vectors = self.item_vectors[liked.row(row)]
            solved = vectors / (self.diagonal + self.penalty.of(np.asarray(len(vectors))))
            system = np.eye(len(vectors)) + (confidence - 1)[:, None] * (solved @ vectors.T)
            user_vectors[row] = np.linalg.solve(system, confidence) @ solved
        without_vector = np.flatnonzero(~self.item_vectors.any(axis=1))
        return score_by_vectors(user_vectors, self.item_vectors, without_vector).astype(np.float32)


Part = tuple[np.ndarray, "csr_matrix", float]
"""Row indexes, the matrix of these rows, and their common penalty weight."""


def divide_rows(matrix: csr_matrix, penalty: Penalty) -> list[Part]:
    """Partition the rows of a matrix of confidences by penalty weight, in ascending order.

    The highest weight in a part is at most `MAX_WEIGHT_RATIO` times the lowest; the part's weight is their geometric
    mean.
    """
    weights = penalty.of(np.diff(matrix.indptr))
    parts = []
    left = np.unique(weights)
    while len(left):
        lowest = left[0]
        limit = MAX_WEIGHT_RATIO * left[0]
        rows = np.flatnonzero((weights >= lowest) & (weights <= limit))
        parts.append((rows, matrix[rows], float(lowest * weights[rows].max()) ** 0.5))
        left = left[left > limit]
    return parts


def _update(model: AlternatingLeastSquares, parts: list[Part], vectors: np.ndarray, other_vectors: np.ndarray) -> None:
    """Replace vectors by their least-squares solution given the vectors of the other side, with implicit's solver."""
    for rows, entries, weight in parts:
        updated = vectors[rows]
        model.solver(entries, updated, other_vectors, weight, num_threads=model.num_threads)
        vectors[rows] = updated


def prepare_als_fold_in(training: UseData) -> Callable[..., AlsFoldIn]:
    """Return a function that factorises warm users' affinities.

    Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    by_user = to_matrix(training.affinity)
    by_item = by_user.T.tocsr()

    def fit(*, dimensions: int, confidence: float, regularization: float, frequency: float) -> AlsFoldIn:
        """Factorise; for `dimensions` and `confidence` see `EmbeddingConfig`, for the other options `Penalty`."""
        user_penalty = Penalty.on_rows(by_user, confidence, regularization, frequency)
        item_penalty = Penalty.on_rows(by_item, confidence, regularization, frequency)
        with threadpool_limits(1, "blas"):  # implicit has its own threads and warns if BLAS uses more
            model = AlternatingLeastSquares(
                factors=dimensions,
                alpha=confidence,
                iterations=0,
                num_threads=training.threads,
                random_state=training.seed,
            )
            model.fit(by_user, show_progress=False)  # draws the initial vectors
            users = divide_rows(confidence * by_user, user_penalty)
            items = divide_rows(confidence * by_item, item_penalty)
            for _ in range(N_ITERATIONS):
                _update(model, users, model.user_factors, model.item_factors)
                _update(model, items, model.item_factors, model.user_factors)
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
