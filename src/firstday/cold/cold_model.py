"""ColdModel: a trained network as arrays; its forward pass needs NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from firstday.display import readable

SHORTEST = 1e-12
"""What a shorter row is divided by in place of its length, as in `torch.nn.functional.normalize`."""
USERS_AT_ONCE = 8192


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
class Layer:
    """A linear layer and, where it has a `scale`, ReLU and batch normalisation after it.

    Parameters
    ----------
    weights
        One row for each input, float32, shape (n_inputs, width).
    bias
        float32, shape (width,).
    scale, shift
        Of the batch normalisation: ReLU(x) * scale + shift, float32, shape (width,); None: the layer is linear.
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
        In order.
    length
        Euclidean length of each predicted row; None: what the last layer gives.
    history
        How training went.
    """

    layers: tuple[Layer, ...]
    length: float | None = None
    history: tuple[Epoch, ...] = field(default=())

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the predicted vectors.

        Parameters
        ----------
        features
            float32, shape (n, n_inputs), from the encoder.

        Returns
        -------
        numpy.ndarray
            float32, shape (n, d).
        """
        starts = range(0, max(1, len(features)), USERS_AT_ONCE)
        return np.concatenate([self._predict(features[start : start + USERS_AT_ONCE]) for start in starts])

    def _predict(self, rows: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            rows = layer.apply(rows)
        if self.length is not None:
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.maximum(lengths, np.float32(SHORTEST)) * np.float32(self.length)
        return rows
