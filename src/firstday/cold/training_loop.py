"""The loop that networks are trained by, with early stopping, and their export to ONNX."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper

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


class UnitLength(torch.nn.Module):
    """Scales rows to one length; zeros stay zeros.

    Parameters
    ----------
    length
        The length.
    """

    def __init__(self, length: float = 1.0) -> None:
        super().__init__()
        self.length = length

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map (n, width) to (n, width)."""
        return torch.nn.functional.normalize(vectors, dim=1) * self.length


TOLERANCE = 1e-5
OPSET, IR_VERSION = 18, 10
"""Of ONNX; read by ONNX Runtime from 1.18 on."""


def export_onnx(network: torch.nn.Module, sample: np.ndarray) -> bytes:
    """Serialise a network and check that ONNX Runtime returns what PyTorch does.

    PyTorch's own exporter would trace and optimise for a second and more what are a few layers one after another.

    Parameters
    ----------
    network
        Maps (n, n_inputs) to (n, d) by its layers in their order: `Linear`, `ReLU`, `BatchNorm1d`, `Dropout` and
        `UnitLength`.
    sample
        Features to compare on, float32, shape (n, n_inputs) with n >= 1.

    Returns
    -------
    bytes
        The model: the same weights give the same bytes.

    Raises
    ------
    FirstdayError
        The network has another kind of layer, or the exported model differs from PyTorch by more than 1e-5 of the
        largest number, or of 1 if that is more.
    """
    network = network.eval()
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    at = INPUT
    for number, layer in enumerate(each for each in network.modules() if not [*each.children()]):
        for operator, inputs, settings in _operators_of(layer):
            named = {f"{number}.{operator}.{name}": value for name, value in inputs.items()}
            constants += [numpy_helper.from_array(value, name) for name, value in named.items()]
            nodes.append(helper.make_node(operator, [at, *named], [f"{number}.{operator}"], **settings))
            at = f"{number}.{operator}"
    nodes.append(helper.make_node("Identity", [at], [OUTPUT]))
    with torch.inference_mode():
        expected = network(torch.from_numpy(sample)).numpy()
    shapes = {INPUT: sample.shape[1], OUTPUT: expected.shape[1]}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in shapes.items()]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="firstday")
    exported: bytes = model.SerializeToString(deterministic=True)
    difference = float(np.abs(ColdModel(exported).predict(sample) - expected).max())
    if difference > TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise FirstdayError(f"cold model: ONNX differs from PyTorch by {difference:.1e}; please report this.")
    return exported


def _operators_of(layer: torch.nn.Module) -> list[tuple[str, Mapping[str, np.ndarray], Mapping[str, Any]]]:
    """Return the ONNX operators that a layer becomes, one after another: name, constant inputs and settings of each."""
    numbers = {name: value.detach().numpy() for name, value in layer.state_dict().items()}
    match layer:
        case torch.nn.Linear():
            return [("Gemm", {name: numbers[name] for name in ("weight", "bias")}, {"transB": 1})]
        case torch.nn.ReLU():
            return [("Relu", {}, {})]
        case torch.nn.BatchNorm1d():
            inputs = {name: numbers[name] for name in ("weight", "bias", "running_mean", "running_var")}
            return [("BatchNormalization", inputs, {"epsilon": layer.eps})]
        case torch.nn.Dropout():
            return []
        case UnitLength():
            length = np.array(layer.length, dtype=np.float32)
            return [("LpNormalization", {}, {"axis": 1, "p": 2}), ("Mul", {"length": length}, {})]
    raise FirstdayError(f"cold model: a layer of the kind {type(layer).__name__} cannot be written as ONNX.")
