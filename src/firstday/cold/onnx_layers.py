"""Layers of PyTorch, one after the other, as an ONNX model. Needs torch and onnx.

PyTorch's own exporter does it for any module, and takes 2 to 5 seconds of a core for these few operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from firstday.cold.cold_model import INPUT, OUTPUT

OPSET, IR_VERSION = 18, 8
"""Of the end of 2022: every ONNX Runtime that firstday allows reads them."""
SHORTEST = 1e-12
"""What a shorter row is divided by in place of its length, as in `torch.nn.functional.normalize`."""


class UnitLength(nn.Module):
    """Scales each row to Euclidean length 1."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (n, width) to (n, width)."""
        return nn.functional.normalize(rows, dim=1)


class UnitScale(nn.Module):
    """Scales each row to root mean square 1."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (n, width) to (n, width)."""
        scaled: torch.Tensor = nn.functional.normalize(rows, dim=1) * float(rows.shape[1]) ** 0.5
        return scaled


def write_onnx(network: nn.Sequential, n_inputs: int) -> bytes:
    """Write layers as they are when they predict: a model from (n, n_inputs) to (n, width).

    Parameters
    ----------
    network
        Linear, ReLU, BatchNorm1d, Dropout (nothing, in a prediction), `UnitLength`, `UnitScale`, sequences of these.
    n_inputs
        Columns of the input.

    Returns
    -------
    bytes
        The same weights give the same bytes.

    Raises
    ------
    TypeError
        A layer of another kind.
    """
    nodes: list[onnx.NodeProto] = []
    weights: list[TensorProto] = []

    def add(operator: str, inputs: list[str], arrays: tuple[Any, ...] = (), **settings: Any) -> str:
        names = [f"{len(nodes)}.{place}" for place in range(len(arrays))]
        for name, array in zip(names, arrays, strict=True):
            values = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
            weights.append(numpy_helper.from_array(values, name))
        nodes.append(helper.make_node(operator, [*inputs, *names], [f"{len(nodes)}"], **settings))
        return str(nodes[-1].output[0])

    last, width = INPUT, n_inputs
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            last, width = add("Gemm", [last], (layer.weight, layer.bias), transB=1), layer.out_features
        elif isinstance(layer, nn.ReLU):
            last = add("Relu", [last])
        elif isinstance(layer, nn.BatchNorm1d):
            moments = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            last = add("BatchNormalization", [last], moments, epsilon=layer.eps)
        elif isinstance(layer, (UnitLength, UnitScale)):
            length = add("Max", [add("ReduceL2", [last], (np.array([1]),))], (np.array([SHORTEST], dtype=np.float32),))
            last = add("Div", [last, length])
            if isinstance(layer, UnitScale):
                last = add("Mul", [last], (np.array([width**0.5], dtype=np.float32),))
        elif not isinstance(layer, (nn.Sequential, nn.Dropout)):
            raise TypeError(f"cold model: {type(layer).__name__} is a layer that write_onnx does not know; teach it.")
    add("Identity", [last])
    nodes[-1].output[0] = OUTPUT
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", n_inputs])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", width])],
        weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="firstday"
    )
    written: bytes = model.SerializeToString(deterministic=True)
    return written
