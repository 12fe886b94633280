"""ColdModel: a trained network as arrays; its forward pass needs NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from firstday.display import readable

SHORTEST = 1e-12
"""What a shorter row is divided by in place of its length, as in `torch.nn.functional.normalize`."""
USERS_AT_ONCE = 8192
WIDE = 1024
"""Inputs from which on zeros are looked for: fewer are multiplied sooner than looked at."""
COLUMNS_AT_ONCE = 64
"""Columns that are looked at together."""
MOSTLY = 0.75
"""Share of rows with numbers from which on columns count as full."""


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
        product: np.ndarray = multiply_wide(rows, self.weights) + self.bias
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


def multiply_wide(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return features @ weights, float32, shape (n, width), for features of shape (n, n_inputs).

    Day-one features are wide, and most blocks are zeros for most users: who banned nothing has no mean vector of banned
    items. For one user, reading the weights is what a prediction costs, so those of such blocks are not read.
    """
    if features.shape[1] < WIDE:
        return np.asarray(features @ weights)
    product = np.zeros((len(features), weights.shape[1]), dtype=np.float32)
    for rows, columns in find_parts(features):
        if rows is None:
            product += features[:, columns] @ weights[columns]
        else:
            product[rows] += features[rows, columns] @ weights[columns]
    return product


def find_parts(features: np.ndarray) -> list[tuple[np.ndarray | None, slice]]:
    """Find where features are not zero: runs of columns, each with the rows that have a number there.

    Parameters
    ----------
    features
        float32, shape (n, n_inputs).

    Returns
    -------
    list
        Rows, int64, None for all of them, and columns. Every number of the features that is not zero is in one part.
    """
    n, width = features.shape
    n_whole = width // COLUMNS_AT_ONCE
    filled = np.ones((n, n_whole + 1), dtype=bool)  # the last columns count as full
    filled[:, :n_whole] = features[:, : n_whole * COLUMNS_AT_ONCE].reshape(n, n_whole, COLUMNS_AT_ONCE).any(axis=2)
    n_filled = filled.sum(axis=0)
    filled[:, n_filled > MOSTLY * n] = True
    starts = np.flatnonzero(np.append(True, (filled[:, 1:] != filled[:, :-1]).any(axis=0))).tolist()
    parts: list[tuple[np.ndarray | None, slice]] = []
    for start, end in zip(starts, [*starts[1:], n_whole + 1], strict=True):
        if n_filled[start]:
            rows = None if n_filled[start] > MOSTLY * n else np.flatnonzero(filled[:, start])
            parts.append((rows, slice(start * COLUMNS_AT_ONCE, min(end * COLUMNS_AT_ONCE, width))))
    return parts
