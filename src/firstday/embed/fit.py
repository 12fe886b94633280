"""Step 1 by the configured method, from what it may see of a split: warm users, nothing after the cut-off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from firstday.config import Config, EmbeddingConfig
from firstday.data.dataset import BroughtVectors, Dataset
from firstday.data.events import ITEM
from firstday.data.splits.split import Split
from firstday.embed.affinity import compute_affinity
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.errors import ConfigError, MissingExtraError
from firstday.sparse import SparseRows, stack_rows


def collect_warm_logs(dataset: Dataset, split: Split, config: Config, uses: SparseRows) -> WarmLogs:
    """Collect what step 1 may see.

    Parameters
    ----------
    dataset, split
        The data, and who is warm.
    config
        Settings.
    uses
        Which items each warm user uses, shape (n_warm, n_items).

    Raises
    ------
    ConfigError
        `embedding.svd_collections` names no entity.
    """
    affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), len(dataset.items))
    brought = dataset.brought
    if brought is not None:
        brought = BroughtVectors(brought.user_vectors[split.warm], brought.item_vectors)
    sequences: list[list[int]] = []
    if config.embedding.method == "word2vec" and brought is None:
        sequences = _sequences(dataset, split, config)
    together = uses
    for entity in config.embedding.svd_collections:
        if entity not in dataset.entities:
            raise ConfigError(f"embedding.svd_collections: {entity!r} is no entity of the tables; remove it.")
        together = stack_rows([together, dataset.entities[entity].items])
    return WarmLogs(affinity, together, sequences, brought)


def _sequences(dataset: Dataset, split: Split, config: Config) -> list[list[int]]:
    """Return each warm user's used items, oldest first; without times, in the order of their indexes."""
    position = np.full(len(dataset.users), -1, dtype=np.int64)
    position[split.warm] = np.arange(len(split.warm))
    used = [
        code
        for code, (signal, entity) in enumerate(dataset.events.pairs)
        if entity == ITEM and signal in config.signals.use
    ]
    sequences: list[list[int]] = [[] for _ in split.warm]
    for frame in dataset.events.frames():
        chosen = frame if split.warm_window is None else split.warm_window.select(frame)
        chosen = chosen.filter(pl.col("pair").is_in(used)).sort(
            "user_ix", "timestamp", "target_ix", nulls_last=True, maintain_order=True
        )
        rows = position[chosen["user_ix"].to_numpy()]
        mine = np.flatnonzero(rows >= 0)
        parts = np.split(mine, np.flatnonzero(np.diff(rows[mine])) + 1) if len(mine) else []
        targets = chosen["target_ix"].to_numpy()
        for part in parts:
            sequences[rows[part[0]]] = targets[part].tolist()
    return [sequence for sequence in sequences if sequence]


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
        ``precomputed`` without an `embeddings` folder, or more dimensions than the data allows.
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
    raise ConfigError("embedding.method: is 'precomputed', but the tables have no `embeddings` folder; add it.")


def _from_brought(brought: BroughtVectors) -> Embeddings:
    """Take the caller's vectors as they are; a new user folds in as the mean of items, whatever the model behind."""
    items = np.ascontiguousarray(brought.item_vectors, dtype=np.float32)
    users = np.ascontiguousarray(brought.user_vectors, dtype=np.float32)
    return Embeddings(users, items, FoldIn(items, "mean"), "dot")
