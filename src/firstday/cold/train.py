"""Train the cold model: day-one features -> mature unit vectors, by mean squared error (PAPER, step 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from firstday.cold.epochs import run_epochs
from firstday.cold.export import export_onnx
from firstday.cold.model import ColdModel
from firstday.cold.network import ColdNetwork
from firstday.config import ColdModelConfig
from firstday.ranking import unit_rows


def train_cold_model(
    features: Sequence[np.ndarray],
    targets: np.ndarray,
    validation_features: np.ndarray,
    validate: Callable[[np.ndarray], float],
    config: ColdModelConfig,
    *,
    seed: int,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ColdModel:
    """Train until validation precision stops rising, and keep the best network; see `run_epochs`.

    Parameters
    ----------
    features
        One or more day-one samples of the warm users, each float32 of shape (n_warm, n_inputs).
    targets
        Mature vectors, float32, shape (n_warm, d); scaled to length 1 here.
    validation_features
        float32, shape (n_validation, n_inputs).
    validate
        Precision in %, higher is better, of predicted vectors of shape (n_validation, d).
    config
        Layers, learning rate, epochs, batch size, patience.
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ColdNetwork(features[0].shape[1], config.hidden, targets.shape[1])
    inputs = torch.from_numpy(np.concatenate(features))  # (n_samples * n_warm, n_inputs)
    goals = torch.from_numpy(unit_rows(targets)).repeat(len(features), 1)  # (n_samples * n_warm, d)
    held_out = torch.from_numpy(validation_features)
    history = run_epochs(
        network,
        len(inputs),
        lambda rows: (network(inputs[rows]) - goals[rows]).square().sum(dim=1).mean(),
        lambda: validate(network(held_out).numpy()),
        config,
        seed=seed,
        progress=progress,
    )
    return ColdModel(export_onnx(network, validation_features), history)
