"""TT-SVD: truncated SVD of items' pointwise mutual information (PAPER, step 1); users are means of item vectors."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from firstday.config import EmbeddingConfig
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.errors import ConfigError
from firstday.sparse import SparseRows


def fit_svd(affinity: SparseRows, item_sets: SparseRows, config: EmbeddingConfig, *, seed: int) -> Embeddings:
    """Factorise item co-occurrences; the embeddings have mean fold-in and cosine similarity.

    `affinity` and `item_sets` are those of `WarmLogs`; long sets are sampled. Positive PMI, context smoothing and the
    symmetric square root of the singular values are those of O. Levy, Y. Goldberg, I. Dagan, "Improving Distributional
    Similarity with Lessons Learned from Word Embeddings", TACL 2015.
    """
    dimensions = config.resolve_dimensions(affinity.n_rows, item_sets.n_columns)
    if dimensions >= item_sets.n_columns:
        raise ConfigError(
            f"embedding.dimensions: is {dimensions}, with {item_sets.n_columns:,} items; set it to less than that."
        )
    max_items = np.full(item_sets.n_rows, config.svd_items_per_user)
    sets = item_sets.keep(item_sets.draw(max_items, np.random.default_rng(seed)))
    pmi = _positive_pmi(sets, config.svd_smoothing)
    singular_vectors, singular_values, _ = randomized_svd(pmi, n_components=dimensions, n_iter=5, random_state=seed)
    items = np.ascontiguousarray(singular_vectors * np.sqrt(singular_values), dtype=np.float32)
    items[np.diff(pmi.indptr) == 0] = 0  # rounding errors would have a direction, by which the cosine would score them
    fold_in = FoldIn(items, "mean")
    return Embeddings(fold_in.solve(affinity), items, fold_in, "cosine")


def _positive_pmi(item_sets: SparseRows, smoothing: float) -> sparse.csr_matrix:
    """Return max(0, log(p(i, j) / (p(i) p'(j)))) of co-occurring items, symmetrised; p' is p^smoothing, normalised."""
    shape = (item_sets.n_rows, item_sets.n_columns)
    sets = sparse.csr_matrix((np.ones_like(item_sets.weights), item_sets.columns, item_sets.starts), shape=shape)
    pairs = (sets.T @ sets).tocoo()
    is_pair = pairs.row != pairs.col
    rows = pairs.row[is_pair]
    columns = pairs.col[is_pair]
    counts = pairs.data[is_pair].astype(np.float64)
    total = counts.sum()
    per_item = np.bincount(rows, weights=counts, minlength=item_sets.n_columns)
    context = per_item**smoothing
    context /= max(context.sum(), 1e-12)
    share = per_item / max(total, 1e-12)
    # The geometric mean of both directions keeps the matrix symmetric although only p' is smoothed.
    expected = np.sqrt(share[rows] * context[columns] * share[columns] * context[rows])
    values = np.log(counts / total / expected)
    positive = values > 0
    cells = (rows[positive], columns[positive])
    return sparse.csr_matrix((values[positive], cells), shape=pairs.shape)
