"""The loop that networks are trained by, with early stopping, and their export to ONNX."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from firstday.cold.cold_model import INPUT, OUTPUT, ColdModel, Epoch
from firstday.config import TrainingConfig
from firstday.errors import FirstdayError

WARM_UP = 0.3
"""Share of the one-cycle schedule in which the learning rate rises."""


def run_epochs(
    network: torch.nn.Module,
    n_rows: int,
    n_users: int,
    batch_loss: Callable[[torch.Tensor], torch.Tensor],
    check: Callable[[], float],
    config: TrainingConfig,
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Epoch, ...]:
    """Train until validation precision stops rising, and leave the network with its best weights, for use.

    Under the one-cycle schedule only passes after the learning rate's peak count, for stopping and as the best: before
    it a network has seen too little for its precision, measured on few users, to be more than luck.

    Parameters
    ----------
    network
        What is trained.
    n_rows
        Number of training rows: day ones of all warm users.
    n_users
        Number of warm users.
    batch_loss
        Loss of some rows, given their indexes, int64, shape (batch,).
    check
        Precision in %, higher is better, of the network as it is, on validation users.
    config
        Schedule, learning rate, weight decay, epochs, batch size, patience, and how many rows make a pass.
    seed
        Seed of the order of rows.
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
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
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
        total = 0.0
        order = torch.randperm(n_rows, generator=order_rng)
        for rows in torch.chunk(order[: n_batches * batch], n_batches):
            loss = batch_loss(rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if schedule is not None:
                schedule.step()
            total += loss.item()
        network.eval()
        with torch.no_grad():
            precision = check()
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
    return tuple(replace(epoch, kept=epoch.number == best_number) for epoch in history)


TOLERANCE = 1e-5


def export_onnx(network: torch.nn.Module, sample: np.ndarray) -> bytes:
    """Serialise a network and check that ONNX Runtime returns what PyTorch does.

    Parameters
    ----------
    network
        Maps (n, n_inputs) to (n, d).
    sample
        Features to compare on, float32, shape (n, n_inputs) with n >= 2.

    Returns
    -------
    bytes
        The model, without paths or stack traces: the same weights give the same bytes.

    Raises
    ------
    FirstdayError
        The exported model differs from PyTorch by more than 1e-5 of the largest number, or of 1 if that is more.
    """
    network = network.eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of torchvision, which is not used
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.from_numpy(sample[:2]),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            verbose=False,
        )
    if program is None:
        raise FirstdayError("cold model: the ONNX exporter returned nothing; update torch and onnxscript.")
    proto = program.model_proto
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for value in proto.graph.value_info:
        value.ClearField("metadata_props")
    exported: bytes = proto.SerializeToString(deterministic=True)
    with torch.inference_mode():
        expected = network(torch.from_numpy(sample)).numpy()
    difference = float(np.abs(ColdModel(exported).predict(sample) - expected).max())
    if difference > TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise FirstdayError(f"cold model: ONNX differs from PyTorch by {difference:.1e}; please report this.")
    return exported
