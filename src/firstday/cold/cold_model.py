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

    Parameters
    ----------
    number
        From 1.
    loss
        Mean training loss; for the cold model, the squared distance between predicted and mature unit vectors.
    precision
        P@K of validation users, in %, for early stopping: of `direct` for the ranker; for the cold model, as
        `cold_model.stop_by` says. None if not measured.
    kept
        Whether the model has the weights of this epoch.
    """

    number: int
    loss: float
    precision: float | None
    kept: bool = False


@readable
@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer, with ReLU and batch normalisation if `scale` is not None.

    Parameters
    ----------
    weights
        float32, shape (n_inputs, width).
    bias
        float32, shape (width,).
    scale, shift
        Batch normalisation, ReLU(x) * scale + shift: float32, shape (width,); None for a linear layer.
    """

    weights: np.ndarray
    bias: np.ndarray
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None

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
    """Predicts the mature embedding of a cold user.

    Parameters
    ----------
    layers
        In order of application.
    length
        Euclidean length to which each output row is scaled; None: not scaled.
    history
        Training history.
    """

    layers: tuple[Layer, ...]
    length: float | None = None
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
