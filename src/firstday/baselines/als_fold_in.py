"""`als_fold_in`: the library implicit's own ALS and its own fold-in, with settings of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from firstday.baselines.matrices import to_matrix
from firstday.recommend.spec import BaselineData, BaselineSpec
from firstday.sparse import SparseRows

ITERATIONS = 15


@dataclass(frozen=True, eq=False)
class AlsFoldIn:
    """A fitted model of implicit."""

    model: AlternatingLeastSquares

    def score(self, liked: SparseRows) -> np.ndarray:
        """Let implicit solve the users' vectors, then take dot products; see `ItemScorer.score`."""
        items = np.asarray(self.model.item_factors)
        known = np.asarray(items.any(axis=1))
        with threadpool_limits(1, "blas"):
            vectors = self.model.recalculate_user(np.arange(liked.n_rows), to_matrix(liked))
        scores: np.ndarray = (vectors @ items.T).astype(np.float32)
        scores[:, ~known] = -np.inf
        scores[liked.keep(known[liked.columns]).lengths() == 0] = -np.inf
        return scores


class AlsFoldInFit:
    """Fits `AlsFoldIn`."""

    def __init__(self, training: BaselineData) -> None:
        self.training = training
        self.affinity = to_matrix(training.affinity)

    def __call__(self, *, dimensions: int, confidence: float, regularization: float) -> AlsFoldIn:
        """Factorise warm users' affinities; options as in `firstday.config.EmbeddingConfig`."""
        with threadpool_limits(1, "blas"):  # implicit runs its own threads, and warns where BLAS would run more
            model = AlternatingLeastSquares(
                factors=dimensions,
                alpha=confidence,
                regularization=regularization,
                iterations=ITERATIONS,
                num_threads=self.training.threads,
                random_state=self.training.seed,
            )
            model.fit(self.affinity, show_progress=False)
        return AlsFoldIn(model)


def prepare_als_fold_in(training: BaselineData) -> AlsFoldInFit:
    """Take warm users' affinities.

    References
    ----------
    Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    """
    return AlsFoldInFit(training)


ALS_FOLD_IN = BaselineSpec(
    name="als_fold_in",
    describe="The library implicit's own ALS, with its own fold-in of new users.",
    grid={"dimensions": (16, 32, 64), "confidence": (5.0, 10.0, 20.0, 40.0), "regularization": (30.0, 100.0, 300.0)},
    prepare=prepare_als_fold_in,
)
