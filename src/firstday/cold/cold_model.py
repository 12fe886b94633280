"""ColdModel: the trained network as ONNX, run by ONNX Runtime; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime

from firstday.cold.wide_layer import WideLayer
from firstday.display import readable

INPUT, OUTPUT = "features", "vectors"


@dataclass(frozen=True)
class Epoch:
    """One pass of training.

    Parameters
    ----------
    number
        From 1.
    loss
        Mean over the training samples: of the cold model, the squared distance of predicted to mature unit
        vectors.
    learning_rate
        At the end of the pass.
    precision
        Validation P@K in % by which training stops: of the cold model the mean of `segment` and `personal`, of the
        ranker that of `direct`; None where it was not measured.
    kept
        Whether the model is the network as it was after this pass.
    """

    number: int
    loss: float
    learning_rate: float
    precision: float | None
    kept: bool = False


@readable
@dataclass(frozen=True, eq=False)
class ColdModel:
    """Predicts the mature embedding of a cold user.

    Parameters
    ----------
    onnx
        The network, serialised; where there is a `first` layer, what comes after it.
    history
        How training went.
    first
        The first layer, where it is wide.
    """

    onnx: bytes
    history: tuple[Epoch, ...] = field(default=())
    first: WideLayer | None = None

    @cached_property
    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # a row is tiny; more threads would cost more than they bring
        return onnxruntime.InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the predicted vectors.

        Parameters
        ----------
        features
            float32, shape (n, n_inputs), from the encoder.

        Returns
        -------
        numpy.ndarray
            float32, shape (n, d), each of length 1.
        """
        if not len(features):
            return np.zeros((0, self._session.get_outputs()[0].shape[1]), dtype=np.float32)
        chunks = [features[at : at + 8192] for at in range(0, len(features), 8192)]
        if self.first is not None:
            chunks = [self.first.apply(chunk) for chunk in chunks]
        return np.concatenate([self._session.run([OUTPUT], {INPUT: chunk})[0] for chunk in chunks])
