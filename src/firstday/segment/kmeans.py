"""k-means over warm users' vectors, using faiss by default."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from firstday.config import SegmentConfig
from firstday.embed.kept_users import draw_rows
from firstday.errors import ConfigError, needs_extra
from firstday.segment.segments import Segments, count_items, rank_items
from firstday.sparse import SparseRows

FitCentroids = Callable[[np.ndarray, int, SegmentConfig, int], np.ndarray]
"""Maps vectors, shape (n, d), the number of clusters, settings and a seed to the centroids of non-empty clusters."""
ASSIGNED_ROWS = 16_384
"""Vectors assigned to centroids per batch; bounds memory."""


def fit_segments(
    read_vectors: Callable[[np.ndarray], np.ndarray],
    uses: SparseRows,
    n_segments: int,
    config: SegmentConfig,
    *,
    seed: int,
    max_vectors: int | None = None,
    fit_centroids: FitCentroids | None = None,
) -> Segments:
    """Cluster users and count the items that each cluster uses; `uses` has the shape (n_users, n_items).

    No segment is empty; there are fewer than `n_segments` segments only if there are fewer distinct vectors.
    `read_vectors` maps row indexes of users, shape (n,), to their vectors, float32, shape (n, d). Centroids are fitted
    to a random sample of `max_vectors` users (None: to all), and all users are then assigned to the nearest centroid.
    """
    n_users = uses.n_rows
    if n_segments > n_users:
        raise ConfigError(
            f"segments.n_segments: is {n_segments:,}, with {n_users:,} warm users; set it to at most that number."
        )
    sample = draw_rows(n_users, max_vectors or n_users, seed=seed)
    centroids = (fit_centroids or _fit_by_faiss)(read_vectors(sample), n_segments, config, seed)
    assigned = np.empty(n_users, dtype=np.int64)
    distance = np.empty(n_users, dtype=np.float32)
    for start in range(0, n_users, ASSIGNED_ROWS):
        rows = np.arange(start, min(start + ASSIGNED_ROWS, n_users))
        distance[rows], assigned[rows] = _nearest(read_vectors(rows), centroids)
    item_counts = count_items(assigned, uses, len(centroids))
    total = np.bincount(assigned, weights=distance, minlength=len(centroids))
    spread = total / np.maximum(item_counts.sizes, 1)
    top = rank_items(item_counts, uses.column_sums(), min(config.top_items, uses.n_columns))
    return Segments(centroids, item_counts, top, spread.astype(np.float32))


def _fit_by_faiss(vectors: np.ndarray, n_clusters: int, config: SegmentConfig, seed: int) -> np.ndarray:
    """Return the centroids of non-empty clusters, float32, shape (n, d)."""
    with needs_extra("training", "train"):
        import faiss
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        n_clusters,
        niter=config.iterations,
        nredo=config.restarts,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=2**31 - 1,  # all vectors; faiss would sample 256 per cluster
    )
    kmeans.train(vectors)
    centroids = np.array(kmeans.centroids, dtype=np.float32)
    distance, assigned = _nearest(vectors, centroids)
    for _ in range(10):  # move empty clusters to the farthest vectors
        empty = np.setdiff1d(np.arange(n_clusters), assigned)
        if not len(empty):
            break
        farthest = np.argsort(-distance, kind="stable")
        centroids[empty] = vectors[farthest[: len(empty)]]
        distance, assigned = _nearest(vectors, centroids)
    return centroids[np.unique(assigned)]


def _nearest(vectors: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each vector's squared distance to the nearest centroid, and the index of that centroid."""
    import faiss

    distance, number = faiss.knn(vectors, centroids, 1)
    return distance.ravel(), number.ravel()
