"""k-means over warm users' vectors, by the library faiss."""

from __future__ import annotations

import numpy as np

from firstday.config import SegmentConfig
from firstday.data.rows import SparseRows
from firstday.errors import ConfigError, MissingExtraError
from firstday.segment.segments import Segments, count_items, rank_items


def fit_segments(
    vectors: np.ndarray,
    uses: SparseRows,
    n_segments: int,
    config: SegmentConfig,
    *,
    seed: int,
) -> Segments:
    """Cluster users and count what each cluster uses.

    Parameters
    ----------
    vectors
        float32, shape (n_users, d).
    uses
        Which items each user uses, shape (n_users, n_items).
    n_segments
        Clusters asked for. Fewer result only where fewer distinct vectors exist: no segment is empty.
    config
        Iterations, restarts and the length of top lists.
    seed
        Seed of the starting centroids.

    Raises
    ------
    ConfigError
        More segments than users.
    """
    if n_segments > len(vectors):
        raise ConfigError(
            f"segments.n_segments: is {n_segments:,}, with {len(vectors):,} warm users; set at most that many."
        )
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    centroids, assigned = _cluster(vectors, n_segments, config, seed)
    counted = count_items(assigned, uses, len(centroids))
    distance = ((vectors - centroids[assigned]) ** 2).sum(axis=1)
    spread = np.bincount(assigned, weights=distance, minlength=len(centroids)) / counted.sizes
    top = rank_items(counted, uses.column_sums(), min(config.top_items, uses.n_columns))
    return Segments(centroids, counted, top, spread.astype(np.float32))


def _cluster(vectors: np.ndarray, n_clusters: int, config: SegmentConfig, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centroids and each vector's cluster, none empty."""
    try:
        import faiss
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train") from None
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        n_clusters,
        niter=config.iterations,
        nredo=config.restarts,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=2**31 - 1,  # use every vector, not faiss's sample of 256 a cluster
    )
    kmeans.train(vectors)
    centroids = np.array(kmeans.centroids, dtype=np.float32)
    distance, assigned = _nearest(vectors, centroids)
    for _ in range(10):  # an empty cluster moves to the vector that is served worst
        empty = np.setdiff1d(np.arange(n_clusters), assigned)
        if not len(empty):
            break
        centroids[empty] = vectors[np.argsort(-distance, kind="stable")[: len(empty)]]
        distance, assigned = _nearest(vectors, centroids)
    used, assigned = np.unique(assigned, return_inverse=True)
    return centroids[used], assigned


def _nearest(vectors: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distance to, and the number of, the nearest centroid of each vector."""
    import faiss

    distance, number = faiss.knn(vectors, centroids, 1)
    return distance.ravel(), number.ravel()
