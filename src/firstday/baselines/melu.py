"""MeLU as a cold model: a network whose last layer is adapted to each user. Inference needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.cold.cold_model import ColdModel
from firstday.config import MeluConfig
from firstday.display import readable
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows
from firstday.recommend.spec import ColdModelSpec, LearningData, VectorPrecision
from firstday.sparse import SparseRows

ADAPTED_USERS = 1024
"""Number of users adapted per batch; bounds the memory for the item vectors."""


@readable
@dataclass(frozen=True, eq=False)
class Melu:
    """A network whose last layer is adapted to each user by gradient steps on the user's day-one items.

    `body` maps features to hidden activations h with a root mean square of 1. The last layer maps them to a vector
    p = W h + b, with the float32 `weights` W, shape (d, width), and `bias` b, shape (d,). The loss of a user with items
    v is

        mean of (1 - p.v)^2 over the user's items  +  negative_weight x mean of (p.v)^2 over all items,

    and each step is ``b -= rate x dL/db``, ``W -= rate / width x dL/dW``, per user. As dL/dW is the outer product of
    dL/dp and h, the steps on W and b change p by ``-rate x (1 + |h|^2 / width) x dL/dp``, so no matrix per user is
    needed. Users without items are not adapted.

    `gram` is the mean of v v' over all items, float32, shape (d, d). Item vectors are divided by `scale`, in `gram`,
    too. `config` has the number of steps, their rate, and negative_weight.

    H. Lee, J. Im, S. Jang, H. Cho, S. Chung, "MeLU: Meta-Learned User Preference Estimator for Cold-Start
    Recommendation", KDD 2019. All items as negatives by their Gram matrix: Y. Hu, Y. Koren, C. Volinsky, ICDM 2008.
    """

    body: ColdModel
    weights: np.ndarray
    bias: np.ndarray
    gram: np.ndarray
    scale: float
    config: MeluConfig

    def predict(self, features: np.ndarray, liked: SparseRows, item_vectors: np.ndarray) -> np.ndarray:
        """Return the predicted vectors, float32, shape (n, d), each of length 1; see `ColdModelValue.predict`."""
        hidden = self.body.predict(features)
        vectors = hidden @ self.weights.T + self.bias  # (n, d)
        step_size = self.config.inner_rate * (1 + np.square(hidden).mean(axis=1))  # (n,)
        has_vector = np.asarray(item_vectors.any(axis=1))
        liked = liked.keep(has_vector[liked.columns])
        with_items = np.flatnonzero(liked.lengths())
        for start in range(0, len(with_items), ADAPTED_USERS):
            rows = with_items[start : start + ADAPTED_USERS]
            items = liked.take(rows)
            row = items.row_of_entry()
            lengths = items.lengths()[:, None]
            used, adapted = (
                item_vectors[items.columns] / np.float32(self.scale),
                vectors[rows],
            )  # (entries, d), (rows, d)
            for _ in range(self.config.inner_steps):
                errors = 1 - np.einsum("ed,ed->e", used, adapted[row])
                attraction = np.add.reduceat(errors[:, None] * used, items.starts[:-1], axis=0) / lengths
                gradient = 2 * (self.config.negative_weight * adapted @ self.gram - attraction)
                adapted = adapted - step_size[rows, None] * gradient
            vectors[rows] = adapted
        return unit_rows(vectors)


def fit_melu(data: LearningData, validate: VectorPrecision, progress: Progress = no_progress) -> Melu:
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
