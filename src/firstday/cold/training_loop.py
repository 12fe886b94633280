"""The loop that networks are trained by, with early stopping, and their export to ONNX."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from firstday.cold.cold_model import ColdModel, Epoch
from firstday.cold.device import same_result
from firstday.cold.onnx_layers import write_onnx
from firstday.cold.wide_layer import WIDE, WideLayer
from firstday.config import TrainingConfig
from firstday.errors import FirstdayError

WARM_UP = 0.3
"""Share of the one-cycle schedule in which the learning rate rises."""


def run_epochs(
    network: torch.nn.Module,
    n_rows: int,
    n_users: int,
    batch_loss: Callable[[np.ndarray], torch.Tensor],
    check: Callable[[], float],
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Epoch, ...]:
    """Train until validation precision stops rising, and leave the network with its best weights, on the CPU, for use.

    Nothing is copied from the device to the host while a pass goes on. Under the one-cycle schedule only passes after
    the learning rate's peak count, for stopping and as the best: before it a network has seen too little for its
    precision, measured on few users, to be more than luck.

    Parameters
    ----------
    network
        What is trained; made on the CPU, so that one seed gives the same first weights everywhere, and moved here.
    n_rows
        Number of training rows: day ones of all warm users.
    n_users
        Number of warm users.
    batch_loss
        Loss of some rows on the device, given their indexes on the host, int64, shape (batch,).
    check
        Precision in %, higher is better, of the network as it is, on validation users; negative: no precision, but
        higher is better all the same.
    config
        Schedule, learning rate, weight decay, epochs, batch size, patience, and how many rows make a pass.
    seed
        Seed of the order of rows.
    device
        Where to train.
    progress
        Called with epochs done and epochs at most.

    Returns
    -------
    tuple of Epoch
        How training went.
    """
    in_pass = min(n_rows, n_users * config.day_ones_per_pass, config.most_rows)
    batch = config.resolve_batch(in_pass)
    n_batches = in_pass // batch  # a last, partial batch would upset batch normalisation
    network.to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = None
    if config.schedule == "one-cycle":
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.epochs * n_batches + 1, pct_start=WARM_UP
        )
    first_counted = 1 if schedule is None else min(config.epochs, 1 + round(WARM_UP * config.epochs))
    order_rng = torch.Generator().manual_seed(seed)
    history: list[Epoch] = []
    best, best_number, best_weights, waited = -np.inf, 0, copy.deepcopy(network.state_dict()), 0
    for number in range(1, config.epochs + 1):
        network.train()
        order = torch.randperm(n_rows, generator=order_rng)[: n_batches * batch].numpy()
        with same_result(device):
            losses = [_step(batch_loss(rows), optimizer, schedule) for rows in order.reshape(n_batches, batch)]
        network.eval()
        with torch.no_grad():
            precision = check() if number >= first_counted else None
        loss = math.fsum(torch.stack(losses).tolist()) / n_batches
        is_measured = precision is not None and precision >= 0
        history.append(Epoch(number, loss, optimizer.param_groups[0]["lr"], precision if is_measured else None))
        progress(number, config.epochs)
        if precision is None:
            continue
        if precision > best:
            best, best_number, best_weights, waited = precision, number, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
            if waited >= config.patience:
                break
    network.load_state_dict(best_weights)
    network.cpu()
    return tuple(replace(epoch, kept=epoch.number == best_number) for epoch in history)


def _step(
    loss: torch.Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler | None
) -> torch.Tensor:
    """Take one step down a loss, and return the loss as a tensor on its device: reading it would wait for the step."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    if schedule is not None:
        schedule.step()
    return loss.detach()


TOLERANCE = 1e-5


def export_network(network: nn.Sequential, sample: np.ndarray, history: tuple[Epoch, ...] = ()) -> ColdModel:
    """Make a network a value that needs no torch, and check that it returns what PyTorch does.

    Parameters
    ----------
    network
        Maps (n, n_inputs) to (n, d), on the CPU; see `write_onnx`.
    sample
        Features to compare on, float32, shape (n, n_inputs).
    history
        How training went.

    Returns
    -------
    ColdModel
        The same weights give the same bytes. A wide first layer stands apart.

    Raises
    ------
    FirstdayError
        The exported model differs from PyTorch by more than 1e-5 of the largest number, or of 1 if that is more.
    """
    network = network.eval()
    layers = [layer for layer in network.modules() if not isinstance(layer, (nn.Sequential, nn.Dropout))]
    head = layers[0]
    if isinstance(head, nn.Linear) and head.in_features >= WIDE:
        weights, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
        first = WideLayer(np.ascontiguousarray(weights.T), bias.copy())
        model = ColdModel(write_onnx(nn.Sequential(*layers[1:]), head.out_features), history, first)
    else:
        model = ColdModel(write_onnx(network, sample.shape[1]), history)
    with torch.inference_mode():
        expected = network(torch.from_numpy(sample)).numpy()
    difference = float(np.abs(model.predict(sample) - expected).max(initial=0))
    if difference > TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0))):
        raise FirstdayError(f"cold model: ONNX differs from PyTorch by {difference:.1e}; please report this.")
    return model
