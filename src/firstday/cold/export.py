"""The network as ONNX, checked against PyTorch."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import torch

from firstday.cold.model import INPUT, OUTPUT, ColdModel
from firstday.errors import FirstdayError

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
