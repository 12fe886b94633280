"""ColdModel: a trained network as arrays, whose forward pass needs only NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.display import readable

MIN_LENGTH = 1e-12
"""Lower bound of the norm in normalisation, as in `torch.nn.functional.normalize`."""


@dataclass(frozen=True)
class Epoch:
    """One epoch of training.

    The loss of the cold model is the squared distance between predicted and mature unit vectors. Precision decides when
    training stops: that of `direct` for the ranker, and that chosen by `cold_model.stop_by` for the cold model.
    """

    number: int  # from 1
    loss: float  # mean over the epoch
    precision: float | None  # P@K of validation users, in %; None if not measured
    kept: bool = False  # whether the model has the weights of this epoch


@readable
@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer, followed by ReLU(x) * scale + shift (batch normalisation) if `scale` is not None; all float32."""

    weights: np.ndarray  # shape (n_inputs, width)
    bias: np.ndarray  # shape (width,)
    scale: np.ndarray | None = None  # shape (width,)
    shift: np.ndarray | None = None  # shape (width,)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Map rows of shape (n, n_inputs) to rows of shape (n, width)."""
        product: np.ndarray = rows @ self.weights + self.bias
        if self.scale is not None and self.shift is not None:
            np.maximum(product, 0, out=product)
            product *= self.scale
            product += self.shift
        return product


@readable
@dataclass(frozen=True, eq=False)
class ColdModel:
    """Predicts the mature embedding of a cold user."""

    layers: tuple[Layer, ...]  # in order of application
    length: float | None = None  # Euclidean length to which each output row is scaled; None: not scaled
    history: tuple[Epoch, ...] = ()

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Map features, float32, shape (n, n_inputs), to predicted vectors, float32, shape (n, d)."""
        rows = features
        for layer in self.layers:
            rows = layer.apply(rows)
        if self.length is not None:
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.maximum(lengths, np.float32(MIN_LENGTH)) * np.float32(self.length)
        return rows
