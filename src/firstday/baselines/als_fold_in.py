"""`als_fold_in`: the library implicit's own ALS and its own fold-in, with settings of its own."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from firstday.baselines.matrices import to_matrix
from firstday.recommend.spec import BaselineData, BaselineSpec
from firstday.sparse import SparseRows

ITERATIONS = 15
STEP = 1.2
"""Weights of the penalty within this factor of one another are one in training: implicit takes one at a time."""


@dataclass(frozen=True)
class Penalty:
    """How strongly vectors of users, or of items, are kept small, by how often they occur.

    A row of `count` entries has the L2 penalty ``weight * ((count + floor) / mean) ** frequency``.

    Parameters
    ----------
    weight
        Of a mean row.
    frequency
        How much it follows the number of entries: 0 is the same for all rows, 1 in proportion.
    floor
        What absent entries count together, in entries.
    mean
        Mean over rows of entries and floor.

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
    def on_rows(cls, matrix: sparse.csr_matrix, confidence: float, weight: float, frequency: float) -> Penalty:
        """Return that of the rows of a matrix in which an absent entry counts 1 / confidence of one that is there."""
        floor = matrix.shape[1] / confidence
        return cls(weight, frequency, floor, matrix.nnz / max(1, matrix.shape[0]) + floor)

    def of(self, counts: np.ndarray) -> np.ndarray:
        """Return the weights of rows of so many entries, float64, of the same shape."""
        weights: np.ndarray = self.weight * ((counts + self.floor) / self.mean) ** self.frequency
        return weights


@dataclass(frozen=True, eq=False)
class AlsFoldIn:
    """A fitted model of implicit, and how strongly users' vectors are kept small."""

    model: AlternatingLeastSquares
    penalty: Penalty

    def score(self, liked: SparseRows) -> np.ndarray:
        """Let implicit solve the users' vectors, then take dot products; see `ItemScorer.score`."""
        items = np.asarray(self.model.item_factors)
        known = np.asarray(items.any(axis=1))
        matrix, weights = to_matrix(liked), self.penalty.of(liked.lengths())
        vectors = np.zeros((liked.n_rows, items.shape[1]), dtype=np.float32)
        with threadpool_limits(1, "blas"):
            assert self.model.YtY is not None  # computed once, and kept by implicit
            solver = copy(self.model)
            for weight in np.unique(weights).tolist():
                rows = np.flatnonzero(weights == weight)
                solver.regularization = weight
                vectors[rows] = solver.recalculate_user(rows, matrix[rows])
        scores: np.ndarray = (vectors @ items.T).astype(np.float32)
        scores[:, ~known] = -np.inf
        scores[liked.keep(known[liked.columns]).lengths() == 0] = -np.inf
        return scores


class AlsFoldInFit:
    """Fits `AlsFoldIn`."""

    def __init__(self, training: BaselineData) -> None:
        self.training = training
        self.affinity = to_matrix(training.affinity)

    def __call__(self, *, dimensions: int, confidence: float, regularization: float, frequency: float) -> AlsFoldIn:
        """Factorise warm users' affinities.

        Parameters
        ----------
        dimensions, confidence
            As in `firstday.config.EmbeddingConfig`.
        regularization, frequency
            Weight of the L2 penalty, and how much it follows the number of a user's items and of an item's users; see
            `Penalty`.
        """
        by_user, by_item = self.affinity, self.affinity.T.tocsr()
        of_users, of_items = (
            Penalty.on_rows(matrix, confidence, regularization, frequency) for matrix in (by_user, by_item)
        )
        with threadpool_limits(1, "blas"):  # implicit runs its own threads, and warns where BLAS would run more
            model = AlternatingLeastSquares(
                factors=dimensions,
                alpha=confidence,
                iterations=0,
                num_threads=self.training.threads,
                random_state=self.training.seed,
            )
            model.fit(by_user, show_progress=False)  # draws the vectors to start from
            users, items = divide_rows(confidence * by_user, of_users), divide_rows(confidence * by_item, of_items)
            for _ in range(ITERATIONS):
                _solve(model, users, model.user_factors, model.item_factors)
                _solve(model, items, model.item_factors, model.user_factors)
        return AlsFoldIn(model, of_users)


Part = tuple[np.ndarray, sparse.csr_matrix, float]
"""Rows of a matrix, their entries, and their weight of the penalty."""


def divide_rows(matrix: sparse.csr_matrix, penalty: Penalty) -> list[Part]:
    """Divide rows by the weight of their penalty, the lowest first: one part is what lies within `STEP` of its lowest.

    Parameters
    ----------
    matrix
        Confidences.
    penalty
        Of its rows.

    Returns
    -------
    list of Part
        Each with the geometric mean of its lowest and its highest weight.
    """
    weights = penalty.of(np.diff(matrix.indptr))
    ends: list[tuple[float, float]] = []
    for weight in np.unique(weights).tolist():
        if ends and weight <= STEP * ends[-1][0]:
            ends[-1] = (ends[-1][0], weight)
        else:
            ends.append((weight, weight))
    rows = [np.flatnonzero((weights >= lowest) & (weights <= highest)) for lowest, highest in ends]
    return [(part, matrix[part], (low * high) ** 0.5) for part, (low, high) in zip(rows, ends, strict=True)]


def _solve(model: AlternatingLeastSquares, parts: list[Part], vectors: np.ndarray, others: np.ndarray) -> None:
    """Move vectors towards the least squares given the other side's vectors, in place, by implicit's solver."""
    for rows, entries, weight in parts:
        moved = vectors[rows]
        model.solver(entries, moved, others, weight, num_threads=model.num_threads)
        vectors[rows] = moved


def prepare_als_fold_in(training: BaselineData) -> AlsFoldInFit:
    """Take warm users' affinities.

    References
    ----------
    Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. The penalty that
    follows how often users and items occur: `Penalty`.
    """
    return AlsFoldInFit(training)


ALS_FOLD_IN = BaselineSpec(
    name="als_fold_in",
    describe="The library implicit's own ALS, with its own fold-in of new users.",
    grid={
        "dimensions": (16, 32, 64, 128, 256, 512, 1024),
        "confidence": (2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0),
        "regularization": (25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0),
        "frequency": (0.0, 0.25, 0.5, 0.75, 1.0),
    },
    start={"dimensions": (64,), "confidence": (5.0, 80.0), "regularization": (100.0, 400.0), "frequency": (0.0, 0.75)},
    prepare=prepare_als_fold_in,
)
