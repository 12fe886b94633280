"""Step 1 by the configured method."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from firstday.config import EmbeddingConfig
from firstday.data.dataset import BroughtVectors
from firstday.data.rows import SparseRows
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.errors import ConfigError, MissingExtraError


@dataclass(frozen=True, eq=False)
class WarmLogs:
    """What step 1 may see: warm users alone.

    Parameters
    ----------
    affinity
        Positive affinities, shape (n_warm_users, n_items).
    together
        Sets of items that co-occur, shape (n_sets, n_items): warm users' items and the configured collections.
    sequences
        The items of each warm user, oldest first.
    brought
        The caller's own vectors of the warm users and the items; None where step 1 is to be run.
    """

    affinity: SparseRows
    together: SparseRows
    sequences: list[list[int]]
    brought: BroughtVectors | None = None


def fit_embeddings(logs: WarmLogs, config: EmbeddingConfig, *, seed: int, threads: int = 0) -> Embeddings:
    """Make the vectors of warm users and items by `config.method`.

    Raises
    ------
    ConfigError
        ``brought`` without an `embeddings` folder, or more dimensions than the data allows.
    MissingExtraError
        A library of the method is not installed.
    """
    embeddings = _fit(logs, config, seed, threads)
    if config.similarity == "auto":
        return embeddings
    return replace(embeddings, similarity=config.similarity)


def _fit(logs: WarmLogs, config: EmbeddingConfig, seed: int, threads: int) -> Embeddings:
    """Run the method."""
    if logs.brought is not None:
        return _from_brought(logs.brought)
    try:
        if config.method == "als":
            from firstday.embed.als import fit_als

            return fit_als(logs.affinity, config, seed=seed, threads=threads)
        if config.method == "svd":
            from firstday.embed.svd import fit_svd

            return fit_svd(logs.affinity, logs.together, config, seed=seed)
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train") from None
    if config.method == "word2vec":
        from firstday.embed.word2vec import fit_word2vec

        return fit_word2vec(logs.affinity, logs.sequences, config, seed=seed)
    raise ConfigError("embedding.method: is 'brought', but the tables have no `embeddings` folder; add it.")


def _from_brought(brought: BroughtVectors) -> Embeddings:
    """Take the caller's vectors as they are; a new user folds in as the mean of items, whatever the model behind."""
    items = np.ascontiguousarray(brought.item_vectors, dtype=np.float32)
    users = np.ascontiguousarray(brought.user_vectors, dtype=np.float32)
    return Embeddings(users, items, FoldIn(items, "mean"), "dot")
