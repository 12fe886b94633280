"""k-means over warm users' vectors, by the library faiss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from firstday.config import SegmentConfig
from firstday.errors import ConfigError, MissingExtraError
from firstday.segment.segments import Segments, count_items, rank_items
from firstday.sparse import SparseRows

ROWS_AT_ONCE = 16_384
"""Vectors that are worked on at once: bounds memory."""


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
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    return fit_segments_by_parts(lambda rows: vectors[rows], len(vectors), uses, n_segments, config, seed=seed)


def fit_segments_by_parts(
    read: Callable[[np.ndarray], np.ndarray],
    n_users: int,
    uses: SparseRows,
    n_segments: int,
    config: SegmentConfig,
    *,
    seed: int,
    most: int | None = None,
) -> Segments:
    """Cluster users whose vectors need not be in memory all at once.

    Parameters
    ----------
    read
        Returns the vectors of the given users, float32, shape (n_rows, d).
    n_users
        How many users there are.
    uses, n_segments, config, seed
        See `fit_segments`.
    most
        Centroids are sought among so many users, drawn at random, at most; then everyone joins the nearest.
    """
    if n_segments > n_users:
        raise ConfigError(
            f"segments.n_segments: is {n_segments:,}, with {n_users:,} warm users; set at most that many."
        )
    looked_at = np.arange(n_users)
    if most is not None and n_users > most:
        looked_at = np.sort(np.random.default_rng(seed).choice(n_users, most, replace=False))
    centroids, assigned, distance = _cluster(read(looked_at), n_segments, config, seed)
    if len(looked_at) < n_users:
        assigned, distance = np.empty(n_users, dtype=np.int64), np.empty(n_users, dtype=np.float32)
        for at in range(0, n_users, ROWS_AT_ONCE):
            rows = np.arange(at, min(at + ROWS_AT_ONCE, n_users))
            distance[rows], assigned[rows] = _nearest(read(rows), centroids)
    counted = count_items(assigned, uses, len(centroids))
    spread = np.bincount(assigned, weights=distance, minlength=len(centroids)) / np.maximum(counted.sizes, 1)
    top = rank_items(counted, uses.column_sums(), min(config.top_items, uses.n_columns))
    return Segments(centroids, counted, top, spread.astype(np.float32))


def _cluster(
    vectors: np.ndarray, n_clusters: int, config: SegmentConfig, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centroids, and each vector's cluster, none empty, with its squared distance."""
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
    centroids = centroids[used]
    distance = np.empty(len(vectors), dtype=np.float32)
    for at in range(0, len(vectors), ROWS_AT_ONCE):
        part = slice(at, at + ROWS_AT_ONCE)
        distance[part] = ((vectors[part] - centroids[assigned[part]]) ** 2).sum(axis=1)
    return centroids, assigned, distance


def _nearest(vectors: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distance to, and the number of, the nearest centroid of each vector."""
    import faiss

    distance, number = faiss.knn(vectors, centroids, 1)
    return distance.ravel(), number.ravel()
