"""Training loop with early stopping, and export of networks as arrays."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from firstday.cold.cold_model import ColdModel, Epoch, Layer
from firstday.cold.device import to_numpy
from firstday.config import NetworkConfig

WARM_UP = 0.3
"""Share of the one-cycle schedule during which the learning rate rises."""


def run_epochs(
    network: torch.nn.Module,
    n_rows: int,
    n_users: int,
    batch_loss: Callable[[np.ndarray], torch.Tensor],
    check: Callable[[], float],
    config: NetworkConfig,
    *,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Epoch, ...]:
    """Train with early stopping; leave the network with its best weights, on the CPU, in eval mode.

    Call it within `firstday.cold.device.seeded`. Nothing is copied from the device to the host during an epoch. Under
    the one-cycle schedule, only epochs after the peak of the learning rate are measured: before, the precision of the
    undertrained network on few users is mostly chance.

    The network is created on the CPU, so that a seed gives the same initial weights on all devices. `n_rows` is the
    number of day ones of all `n_users` warm users. `batch_loss` maps row indexes, int64, shape (batch,), on the host,
    to the loss, a scalar on the device. `check` returns the precision, in %, of the current network on validation
    users, or a negative score, which the history omits; higher is better. `seed` is that of the shuffling.
    """
    rows_per_epoch = min(n_rows, n_users * config.day_ones_per_pass, config.most_rows)
    batch = config.resolve_batch(rows_per_epoch)
    n_batches = rows_per_epoch // batch  # without a partial batch, which would disturb batch normalisation
    network.to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = None
    first_counted = 1
    if config.schedule == "one-cycle":
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.epochs * n_batches + 1, pct_start=WARM_UP
        )
        first_counted = min(config.epochs, 1 + round(WARM_UP * config.epochs))
    progress(0, config.epochs)
    order_rng = torch.Generator().manual_seed(seed)
    history: list[Epoch] = []
    best = -np.inf
    best_number = 0
    best_weights = network.state_dict()
    for number in range(1, config.epochs + 1):
        network.train()
        order = torch.randperm(n_rows, generator=order_rng)[: n_batches * batch].numpy()
        loss = _run_batches(order.reshape(n_batches, batch), batch_loss, optimizer, schedule)
        network.eval()
        with torch.no_grad():
            precision = check() if number >= first_counted else None
        is_measured = precision is not None and precision >= 0
        history.append(Epoch(number, loss, precision if is_measured else None))
        progress(number, config.epochs)
        if precision is None:
            continue
        if precision > best:
            best = precision
            best_number = number
            best_weights = copy.deepcopy(network.state_dict())
        elif number - best_number >= config.patience:
            break
    network.load_state_dict(best_weights)
    network.cpu()
    return tuple(replace(epoch, kept=epoch.number == best_number) for epoch in history)


def _run_batches(
    batches: np.ndarray,
    batch_loss: Callable[[np.ndarray], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
) -> float:
    """Make one optimizer step per batch; return the mean loss."""
    losses: list[torch.Tensor] = []
    for rows in batches:
        optimizer.zero_grad()
        loss = batch_loss(rows)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(loss.detach())  # stays on its device, since reading it would synchronise
    return math.fsum(torch.stack(losses).tolist()) / len(batches)


class FixedLength(nn.Module):
    """Scales each row to the Euclidean length `length`."""

    def __init__(self, length: float = 1.0) -> None:
        super().__init__()
        self.length = length

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (n, width) to (n, width)."""
        return nn.functional.normalize(rows, dim=1) * self.length


def export_network(network: nn.Sequential, history: tuple[Epoch, ...] = ()) -> ColdModel:
    """Convert a network on the CPU, (n, n_inputs) -> (n, d), to arrays.

    Layers may be Linear (optionally with ReLU and BatchNorm1d), Dropout, sequences of these, and a final `FixedLength`.
    """
    layers: list[Layer] = []
    length: float | None = None
    for module in network.modules():
        if isinstance(module, nn.Linear):
            layers.append(Layer(np.ascontiguousarray(to_numpy(module.weight).T), to_numpy(module.bias)))
        elif isinstance(module, nn.BatchNorm1d):
            mean = module.running_mean
            variance = module.running_var
            assert mean is not None
            assert variance is not None
            scale = module.weight / torch.sqrt(variance + module.eps)
            scaled = {"scale": to_numpy(scale), "shift": to_numpy(module.bias - mean * scale)}
            layers[-1] = replace(layers[-1], **scaled)
        elif isinstance(module, FixedLength):
            length = module.length
    return ColdModel(tuple(layers), length, history)
