"""Export of trained networks to ONNX, for other runtimes. Needs onnx, which the extra `train` installs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from firstday.cold.cold_model import MIN_LENGTH, ColdModel

INPUT = "features"
OUTPUT = "vectors"
OPSET, IR_VERSION = 18, 8
"""Versions of late 2022, which all later runtimes can read."""


def write_onnx(network: ColdModel) -> bytes:
    """Serialise a network as an ONNX model from ``features``, (n, n_inputs), to ``vectors``, (n, d).

    The network may be ``recommender.model.cold``, whose inputs are the output of ``recommender.model.encoder``. Equal
    networks give equal bytes.
    """
    nodes: list[onnx.NodeProto] = []
    weights: list[TensorProto] = []

    def add(operator: str, inputs: list[str], *arrays: np.ndarray, **settings: Any) -> str:
        names = [f"{len(nodes)}.{position}" for position in range(len(arrays))]
        weights.extend(numpy_helper.from_array(array, name) for name, array in zip(names, arrays, strict=True))
        nodes.append(helper.make_node(operator, [*inputs, *names], [f"{len(nodes)}"], **settings))
        return str(nodes[-1].output[0])

    output = INPUT
    for layer in network.layers:
        output = add("Gemm", [output], layer.weights, layer.bias)
        if layer.scale is not None and layer.shift is not None:
            output = add("Add", [add("Mul", [add("Relu", [output])], layer.scale)], layer.shift)
    if network.length is not None:
        length = add("Max", [add("ReduceL2", [output], np.array([1]))], np.array([MIN_LENGTH], dtype=np.float32))
        output = add("Mul", [add("Div", [output, length])], np.array([network.length], dtype=np.float32))
    add("Identity", [output])
    nodes[-1].output[0] = OUTPUT
    n_inputs = len(network.layers[0].weights)
    width = len(network.layers[-1].bias)
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
    return model.SerializeToString(deterministic=True)
