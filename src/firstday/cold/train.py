"""Train the cold model: day-one features -> mature unit vectors, by mean squared error (PAPER, step 2).

Where `neighbor_weight` is above 0, a second vector is learned beside it, to look for neighbours by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from firstday.cold.epochs import run_epochs
from firstday.cold.export import export_onnx
from firstday.cold.model import ColdModel
from firstday.cold.neighbor_loss import make_neighbor_loss
from firstday.cold.network import ColdNetwork
from firstday.config_networks import ColdModelConfig
from firstday.data.rows import SparseRows
from firstday.features.rows import FeatureRows
from firstday.ranking import unit_rows


def train_cold_model(
    features: FeatureRows,
    targets: np.ndarray,
    validation_features: np.ndarray,
    validate: Callable[[np.ndarray], float],
    config: ColdModelConfig,
    *,
    later: tuple[SparseRows, Sequence[SparseRows]] | None = None,
    seed: int,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ColdModel:
    """Train until validation precision stops rising, and keep the best network; see `run_epochs`.

    Parameters
    ----------
    features
        One or more day-one samples of the warm users.
    targets
        Mature vectors, float32, shape (n_warm, d); scaled to length 1 here.
    validation_features
        float32, shape (n_validation, n_inputs).
    validate
        Precision in %, higher is better, of predicted vectors of shape (n_validation, d).
    config
        Layers, learning rate, epochs, batch size, patience.
    later
        Items that each warm user uses in all, shape (n_warm, n_items), and those used on day one in each sample; for
        `neighbor_weight`, which counts for nothing without them.
    seed
        Seed of the weights and of the order of users.
    threads
        Threads; 0: as torch decides.
    progress
        Called with epochs done and epochs at most.

    Returns
    -------
    ColdModel
        Exported and checked against PyTorch, with the history of training.
    """
    if threads:
        torch.set_num_threads(threads)
    goals = torch.from_numpy(unit_rows(targets))  # (n_warm, d)
    held_out = torch.from_numpy(validation_features)
    neighbor_loss = make_neighbor_loss(goals, *later, seed=seed) if later and config.neighbor_weight else None
    d, n_outputs = targets.shape[1], 1 if neighbor_loss is None else 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ColdNetwork(features.n_inputs, config.hidden, d, n_outputs)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        vectors = network(torch.from_numpy(features.take(rows.numpy())))  # (batch, n_outputs * d)
        distance: torch.Tensor = (vectors[:, :d] - goals[rows % len(goals)]).square().sum(dim=1).mean()
        if neighbor_loss is not None:
            distance = distance + config.neighbor_weight * neighbor_loss(vectors[:, d:], rows)
        return distance

    history = run_epochs(
        network,
        len(features),
        features.n_users,
        loss,
        lambda: validate(network(held_out)[:, :d].numpy()),
        config,
        seed=seed,
        progress=progress,
    )
    return ColdModel(export_onnx(network, validation_features), history)
