"""What step 1 may see of a split: warm users alone, and nothing from after the cut-off."""

from __future__ import annotations

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import BroughtVectors, Dataset
from firstday.data.events import ITEM
from firstday.data.rows import SparseRows, stack_rows
from firstday.data.split import Split
from firstday.embed.affinity import compute_affinity
from firstday.embed.fit import WarmLogs
from firstday.errors import ConfigError


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
