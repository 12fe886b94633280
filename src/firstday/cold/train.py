"""Train the cold model: day-one features -> mature unit vectors, by mean squared error (PAPER, step 2)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from firstday.cold.export import export_onnx
from firstday.cold.model import ColdModel, Epoch
from firstday.cold.network import ColdNetwork
from firstday.config import ColdModelConfig
from firstday.features.rows import FeatureRows
from firstday.ranking import unit_rows

WARM_UP = 0.3
"""Share of the one-cycle schedule in which the learning rate rises."""
BATCHES_AT_ONCE = 16
"""Batches whose features are in memory at once."""


def train_cold_model(
    features: FeatureRows,
    targets: np.ndarray,
    validation_features: np.ndarray,
    validate: Callable[[np.ndarray], float],
    config: ColdModelConfig,
    *,
    seed: int,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ColdModel:
    """Train until validation precision stops rising, and keep the best network.

    Under the one-cycle schedule only passes after the learning rate's peak count, for stopping and as the best: before
    it a network has seen too little for its precision, measured on few users, to be more than luck.

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
        network = ColdNetwork(features.n_inputs, config.hidden, targets.shape[1])
    goals = torch.from_numpy(unit_rows(targets))  # (n_warm, d)
    batch = min(config.batch_size, len(features))
    n_batches = len(features) // batch  # a last, partial batch would upset batch normalisation
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = None
    if config.schedule == "one-cycle":
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.epochs * n_batches + 1, pct_start=WARM_UP
        )
    first_counted = 1 if schedule is None else min(config.epochs, 1 + round(WARM_UP * config.epochs))
    order_rng = torch.Generator().manual_seed(seed)
    held_out = torch.from_numpy(validation_features)
    history: list[Epoch] = []
    best, best_number, best_weights, waited = -np.inf, 0, copy.deepcopy(network.state_dict()), 0
    for number in range(1, config.epochs + 1):
        network.train()
        total = 0.0
        order = torch.randperm(len(features), generator=order_rng)[: n_batches * batch]
        for several in torch.split(order, BATCHES_AT_ONCE * batch):
            inputs = torch.from_numpy(features.take(several.numpy()))  # (up to BATCHES_AT_ONCE * batch, n_inputs)
            wanted = goals[several % len(goals)]  # (the same, d)
            for here, there in zip(torch.split(inputs, batch), torch.split(wanted, batch), strict=True):
                loss = (network(here) - there).square().sum(dim=1).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                total += loss.item()
        network.eval()
        with torch.inference_mode():
            precision = validate(network(held_out).numpy())
        history.append(Epoch(number, total / n_batches, optimizer.param_groups[0]["lr"], precision))
        progress(number, config.epochs)
        if number < first_counted:
            continue
        if precision > best:
            best, best_number, best_weights, waited = precision, number, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
            if waited >= config.patience:
                break
    network.load_state_dict(best_weights)
    marked = (replace(epoch, kept=epoch.number == best_number) for epoch in history)
    return ColdModel(export_onnx(network, validation_features), tuple(marked))
