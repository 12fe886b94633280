"""UT-ALS: weighted alternating least squares on user x item affinities (PAPER, step 1), by the library implicit."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from firstday.config import EmbeddingConfig
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.sparse import SparseRows

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="IProgress not found")  # progress bar in notebooks without ipywidgets
    from implicit.cpu.als import AlternatingLeastSquares


def fit_als(affinity: SparseRows, config: EmbeddingConfig, *, seed: int, threads: int = 0) -> Embeddings:
    """Factorise warm users' positive affinities, shape (n_warm_users, n_items); `threads` 0 uses all cores.

    The embeddings have least-squares fold-in and dot-product similarity. See Y. Hu, Y. Koren, C. Volinsky,
    "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    """
    shape = (affinity.n_rows, affinity.n_columns)
    matrix = sparse.csr_matrix((affinity.weights, affinity.columns, affinity.starts), shape=shape)
    with threadpool_limits(1, "blas"):  # implicit has its own threads and warns if BLAS uses more
        model = AlternatingLeastSquares(
            factors=config.resolve_dimensions(affinity.n_rows, affinity.n_columns),
            regularization=config.als_regularization,
            alpha=config.als_confidence,
            iterations=config.als_iterations,
            num_threads=threads,
            random_state=seed,
        )
        model.fit(matrix, show_progress=False)
    items = np.ascontiguousarray(model.item_factors, dtype=np.float32)
    users = np.ascontiguousarray(model.user_factors, dtype=np.float32)
    fold_in = FoldIn(items, "least-squares", config.als_confidence, config.als_regularization)
    return Embeddings(users, items, fold_in, "dot")
