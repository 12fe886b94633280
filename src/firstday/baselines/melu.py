"""MeLU as a cold model: a network whose last layer is adapted to each user. Inference needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.cold.cold_model import ColdModel, Epoch
from firstday.display import readable
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows
from firstday.recommend.spec import ColdModelSpec, JudgeVectors, LearningData
from firstday.sparse import SparseRows

ADAPTED_USERS = 1024
"""Number of users adapted per batch; bounds the memory for the item vectors."""


@readable
@dataclass(frozen=True, eq=False)
class Melu:
    """A network whose last layer is adapted to each user by gradient steps on the user's day-one items.

    The last layer maps hidden activations h to a vector p = W h + b. The loss of a user with items v is

        mean of (1 - p.v)^2 over the user's items  +  negative_weight x mean of (p.v)^2 over all items,

    and each step is ``b -= rate x dL/db``, ``W -= rate / width x dL/dW``, per user. As dL/dW is the outer product of
    dL/dp and h, the steps on W and b change p by ``-rate x (1 + |h|^2 / width) x dL/dp``, so no matrix per user is
    needed. Users without items are not adapted.

    Parameters
    ----------
    body
        Features -> hidden activations with a root mean square of 1.
    weights, bias
        Last layer: float32, shape (d, width) and (d,).
    gram
        Mean of v v' over all items, float32, shape (d, d).
    scale
        Divisor of item vectors in the loss (and in `gram`).
    steps, rate, negative_weight
        Settings of the adaptation, as in `firstday.config.MeluConfig`.

    References
    ----------
    H. Lee, J. Im, S. Jang, H. Cho, S. Chung, "MeLU: Meta-Learned User Preference Estimator for Cold-Start
    Recommendation", KDD 2019. All items as negatives by their Gram matrix: Y. Hu, Y. Koren, C. Volinsky, ICDM 2008.
    """

    body: ColdModel
    weights: np.ndarray
    bias: np.ndarray
    gram: np.ndarray
    scale: float
    steps: int
    rate: float
    negative_weight: float

    @property
    def history(self) -> tuple[Epoch, ...]:
        """Training history."""
        return self.body.history

    def predict(self, features: np.ndarray, liked: SparseRows, item_vectors: np.ndarray) -> np.ndarray:
        """Return the predicted vectors, float32, shape (n, d), each of length 1; see `ColdModelValue.predict`."""
        hidden = self.body.predict(features)
        vectors = hidden @ self.weights.T + self.bias  # (n, d)
        step_size = self.rate * (1 + np.square(hidden).mean(axis=1))  # (n,)
        for start in range(0, len(vectors), ADAPTED_USERS):
            rows = np.arange(start, min(start + ADAPTED_USERS, len(vectors)))
            vectors[rows] = self._adapt(vectors[rows], step_size[rows], liked.take(rows), item_vectors)
        return unit_rows(vectors)

    def _adapt(
        self, vectors: np.ndarray, step_size: np.ndarray, liked: SparseRows, item_vectors: np.ndarray
    ) -> np.ndarray:
        """Return the users' vectors after the gradient steps on their items."""
        used = item_vectors[liked.columns]  # (entries, d)
        has_vector = used.any(axis=1)
        liked, used = liked.keep(has_vector), used[has_vector] / np.float32(self.scale)
        lengths = liked.lengths()
        has_items = np.flatnonzero(lengths)
        if not len(has_items):
            return vectors
        row = np.repeat(np.arange(len(has_items)), lengths[has_items])
        adapted = vectors[has_items]
        for _ in range(self.steps):
            errors = 1 - np.einsum("ed,ed->e", used, adapted[row])
            attraction = (
                np.add.reduceat(errors[:, None] * used, liked.starts[has_items], axis=0) / lengths[has_items, None]
            )
            gradient = 2 * (self.negative_weight * adapted @ self.gram - attraction)
            adapted = adapted - step_size[has_items, None] * gradient
        vectors[has_items] = adapted
        return vectors


def fit_melu(data: LearningData, validate: JudgeVectors, progress: Progress = no_progress) -> Melu:
    """Train MeLU; see `firstday.baselines.train_melu.train_melu`."""
    from firstday.baselines.train_melu import train_melu

    return train_melu(data, validate, progress)


MELU = ColdModelSpec(
    name="melu",
    title="MeLU",
    describe="MeLU (Lee et al., KDD 2019): adapts its last layer to each user by gradient steps on the day's items.",
    fit=fit_melu,
    value=Melu,
)
