"""Embeddings by the configured method, from warm users' logs up to the cut-off (PAPER, step 1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from firstday.config import Config, EmbeddingConfig
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.embed.embeddings import Embeddings, FoldIn, compute_affinity
from firstday.errors import ConfigError, needs_extra
from firstday.sparse import SparseRows, stack_rows


@dataclass(frozen=True, eq=False)
class WarmLogs:
    """Input of the embedding methods: logs of warm users only."""

    affinity: SparseRows  # positive affinities, shape (n_warm_users, n_items)
    item_sets: SparseRows  # co-occurring items, shape (n_sets, n_items): of warm users and the configured collections
    precomputed: Embeddings | None = None  # None: embeddings are learned


def collect_warm_logs(dataset: Dataset, split: Split, config: Config, uses: SparseRows) -> WarmLogs:
    """Collect the input of the embedding methods; `uses` has each warm user's items, shape (n_warm, n_items)."""
    affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), len(dataset.items))
    precomputed = None
    if dataset.user_vectors is not None and dataset.item_vectors is not None:
        precomputed = take_precomputed(dataset.user_vectors[split.warm], dataset.item_vectors)
    item_sets = uses
    for entity in config.embedding.svd_collections:
        if entity not in dataset.entities:
            raise ConfigError(f"embedding.svd_collections: {entity!r} is not an entity of the tables; remove it.")
        item_sets = stack_rows([item_sets, dataset.entities[entity].items])
    return WarmLogs(affinity, item_sets, precomputed)


def fit_embeddings(logs: WarmLogs, config: EmbeddingConfig, *, seed: int, threads: int = 0) -> Embeddings:
    """Learn the vectors of warm users and items by `config.method`."""
    embeddings = _fit(logs, config, seed, threads)
    return embeddings if config.similarity == "auto" else replace(embeddings, similarity=config.similarity)


def fold_in_users(affinity: SparseRows, item_vectors: np.ndarray, config: EmbeddingConfig) -> Embeddings:
    """Fold users into external ALS item vectors, float32, shape (n_items, d).

    `affinity` has positive entries, shape (n_warm, n_items); `config` has the confidence and regularisation with which
    the vectors were trained.
    """
    fold_in = FoldIn(item_vectors, "least-squares", config.als_confidence, config.als_regularization)
    return Embeddings(fold_in.solve(affinity), item_vectors, fold_in, "dot")


def _fit(logs: WarmLogs, config: EmbeddingConfig, seed: int, threads: int) -> Embeddings:
    if logs.precomputed is not None:
        return logs.precomputed
    with needs_extra("training", "train"):
        if config.method == "als":
            from firstday.embed.als import fit_als

            return fit_als(logs.affinity, config, seed=seed, threads=threads)
        if config.method == "svd":
            from firstday.embed.svd import fit_svd

            return fit_svd(logs.affinity, logs.item_sets, config, seed=seed)
    raise ConfigError("embedding.method: is 'precomputed', but the tables have no `embeddings` folder; add it.")


def take_precomputed(user_vectors: np.ndarray, item_vectors: np.ndarray) -> Embeddings:
    """Use precomputed vectors unchanged; a new user's vector is the mean of the user's items.

    Items without a vector get zeros, like items that no warm user uses in learned embeddings.
    """
    items = np.ascontiguousarray(item_vectors, dtype=np.float32)
    items = np.where(np.isnan(items), np.float32(0), items)
    users = np.ascontiguousarray(user_vectors, dtype=np.float32)
    return Embeddings(users, items, FoldIn(items, "mean"), "dot")
