"""TT-SVD: truncated SVD of the items' pointwise mutual information (PAPER, step 1); a user is the mean of items."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from firstday.config import EmbeddingConfig
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.errors import ConfigError
from firstday.sparse import SparseRows


def fit_svd(affinity: SparseRows, together: SparseRows, config: EmbeddingConfig, *, seed: int) -> Embeddings:
    """Factorise how often items occur together.

    Parameters
    ----------
    affinity
        Positive affinities, shape (n_warm_users, n_items): a user's vector is their weighted mean of item vectors.
    together
        The sets in which items co-occur, shape (n_sets, n_items): users' items, and collections if any.
    config
        Dimensions, smoothing, and the most items of one set that may co-occur.
    seed
        Seed of the SVD and of the sampling of long sets.

    Returns
    -------
    Embeddings
        With the mean as fold-in, scored by cosine.

    References
    ----------
    O. Levy, Y. Goldberg, I. Dagan, "Improving Distributional Similarity with Lessons Learned from Word Embeddings",
    TACL 2015 (positive PMI, context smoothing, symmetric square root of the singular values).
    """
    dimensions = config.resolve_dimensions(affinity.n_rows, together.n_columns)
    if dimensions >= together.n_columns:
        raise ConfigError(
            f"embedding.dimensions: is {dimensions}, with {together.n_columns:,} items; set it below that."
        )
    pmi = _positive_pmi(_cap_rows(together, config.svd_items_per_user, seed), config.svd_smoothing)
    left, singular, _ = randomized_svd(pmi, n_components=dimensions, n_iter=5, random_state=seed)
    items = np.ascontiguousarray(left * np.sqrt(singular), dtype=np.float32)
    items[np.diff(pmi.indptr) == 0] = 0  # rounding noise, which the cosine would take for a direction
    fold_in = FoldIn(items, "mean")
    return Embeddings(fold_in.solve(affinity), items, fold_in, "cosine")


def _positive_pmi(together: SparseRows, smoothing: float) -> sparse.csr_matrix:
    """Return max(0, log p(i, j) / (p(i) p'(j))) for co-occurring items, p' smoothed by a power, made symmetric."""
    shape = (together.n_rows, together.n_columns)
    sets = sparse.csr_matrix((np.ones_like(together.weights), together.columns, together.starts), shape=shape)
    pairs = (sets.T @ sets).tocoo()
    apart = pairs.row != pairs.col
    rows, columns, counts = pairs.row[apart], pairs.col[apart], pairs.data[apart].astype(np.float64)
    total = counts.sum()
    per_item = np.bincount(rows, weights=counts, minlength=together.n_columns)
    context = per_item**smoothing
    context /= max(context.sum(), 1e-12)
    share = per_item / max(total, 1e-12)
    # The mean of both directions keeps the matrix symmetric although smoothing is one-sided.
    expected = np.sqrt(share[rows] * context[columns] * share[columns] * context[rows])
    values = np.log(counts / total / expected)
    positive = values > 0
    return sparse.csr_matrix(
        (values[positive], (rows[positive], columns[positive])), shape=(together.n_columns, together.n_columns)
    )


def _cap_rows(rows: SparseRows, most: int, seed: int) -> SparseRows:
    """Keep at most `most` random entries of each row."""
    if not len(rows.columns) or rows.lengths().max() <= most:
        return rows
    return rows.keep(rows.draw(np.full(rows.n_rows, most), np.random.default_rng(seed)))
