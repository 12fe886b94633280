"""MeLU as a cold model: a network whose last layer is adapted to each user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from firstday.cold.cold_model import ColdModel
from firstday.config import Section
from firstday.display import readable
from firstday.methods.item_scores import find_later
from firstday.progress import Progress
from firstday.ranking import unit_rows
from firstday.recommend.spec import ColdModelSpec, LearningData, VectorPrecision
from firstday.sparse import SparseRows, stack_rows

if TYPE_CHECKING:
    import torch

SUPPORT_ITEMS = 50
"""Maximum number of support items per day-one sample in training, sampled if there are more. Inference uses all."""
ADAPTED_USERS = 1024
"""Number of users adapted per batch; bounds the memory for the item vectors."""


class MeluConfig(Section):
    """MeLU (Lee et al., KDD 2019), a baseline for the cold model."""

    inner_steps: NonNegativeInt = 1
    """Gradient steps of the last layer per user, on day-one items."""
    inner_rate: PositiveFloat = 0.1
    """Learning rate of these steps for biases; for weights, it is divided by the layer's width."""
    negative_weight: NonNegativeFloat = 20.0
    """Weight of the mean over all items relative to the mean over used items, in the loss."""
    query_items: PositiveInt = 32
    """Items from after day one on which an adapted user is evaluated in training, redrawn at every step."""
    learning_rate: PositiveFloat = 1e-2
    """As in `cold_model`."""


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
            used = item_vectors[items.columns] / np.float32(self.scale)  # (entries, d)
            adapted = vectors[rows]  # (rows, d)
            for _ in range(self.config.inner_steps):
                errors = 1 - np.einsum("ed,ed->e", used, adapted[row])
                attraction = np.add.reduceat(errors[:, None] * used, items.starts[:-1], axis=0) / lengths
                gradient = 2 * (self.config.negative_weight * adapted @ self.gram - attraction)
                adapted = adapted - step_size[rows, None] * gradient
            vectors[rows] = adapted
        return unit_rows(vectors)


def fit_melu(data: LearningData, validate: VectorPrecision, progress: Progress) -> Melu:
    """Meta-train on warm users: day-one items are the support set, other used items the query set.

    Both sets have the loss of `Melu`, and gradients flow through the adaptation. Differences from the article: since
    there are no ratings, used items have relevance 1, and all items are negatives with a small weight, by their Gram
    matrix. The network takes the features of our encoder and returns a vector, not a rating, so only the user side is
    adapted.

    Settings used, in addition to `MeluConfig`, of `cold_model`: layers, schedule, epochs,
    batch size, patience; seed, threads and device.

    H. Lee, J. Im, S. Jang, H. Cho, S. Chung, "MeLU: Meta-Learned User Preference Estimator for Cold-Start
    Recommendation", KDD 2019, algorithm 1. C. Finn, P. Abbeel, S. Levine, "Model-Agnostic Meta-Learning", ICML 2017.
    """
    import torch
    from torch import nn
    from torch.func import grad, vmap

    from firstday.cold.device import choose_device, seeded, to_numpy
    from firstday.cold.train_cold_model import hidden_layers
    from firstday.cold.training_loop import FixedLength, export_network, run_epochs

    config = data.config
    settings: MeluConfig = MELU.settings_in(config)
    device = choose_device(config.device, config.threads)
    item_vectors = data.embeddings.scoring_vectors
    n_items, d = item_vectors.shape
    squares = np.square(item_vectors, dtype=np.float64).sum(axis=1)
    scale = float(np.sqrt(squares[data.uses.columns].mean())) or 1.0  # root mean square over the used items
    scaled = item_vectors / np.float32(scale)
    gram = scaled.T @ scaled / np.float32(n_items)  # (d, d)
    user_loss = partial(_user_loss, gram=torch.from_numpy(gram).to(device), negative_weight=settings.negative_weight)
    liked_vectors = data.liked_vectors / np.float32(scale)
    items = torch.from_numpy(np.concatenate([liked_vectors, np.zeros((1, d), np.float32)])).to(device)  # -1 pads
    has_vector = np.asarray(liked_vectors.any(axis=1))
    rng = np.random.default_rng(config.seed)
    day_one_items = stack_rows(data.liked)  # (n_samples * n_warm, n_items)
    support = _sample_support(day_one_items, has_vector, rng)  # (n_samples * n_warm, most items)
    draws = np.random.default_rng(config.seed + 1)

    def adapt(inputs: torch.Tensor, support_items: np.ndarray) -> torch.Tensor:
        """Map features to vectors adapted to items; steps on the output equal steps on the last layer's weights."""
        max_items = max(1, int((support_items >= 0).sum(axis=1).max()))
        support_ix = torch.from_numpy(support_items[:, :max_items]).to(device)  # (batch, most items of one user)
        mask = (support_ix >= 0).float()
        hidden = body(inputs)  # (batch, width)
        vectors: torch.Tensor = last(hidden)  # (batch, d)
        step_size = settings.inner_rate * (1 + hidden.square().mean(dim=1, keepdim=True))  # (batch, 1)
        step_size = step_size * mask.any(dim=1, keepdim=True)  # users without items are not adapted
        for _ in range(settings.inner_steps):
            gradients: torch.Tensor = vmap(grad(user_loss))(vectors, items[support_ix], mask)  # (batch, d)
            vectors = vectors - step_size * gradients
        return vectors

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        vectors = adapt(torch.from_numpy(data.features.take(rows)).to(device), support[rows])  # (batch, d)
        queries = _sample_columns(find_later(data.uses, day_one_items, rows), settings.query_items, draws)
        later = torch.from_numpy(queries).to(device)  # (batch, query_items)
        losses: torch.Tensor = vmap(user_loss)(vectors, items[later], (later >= 0).float())
        return losses.mean()

    held_out = torch.from_numpy(data.validation_features).to(device)
    validation_support = _sample_support(data.validation_liked, has_vector, rng)
    with seeded(config.seed, device):
        layers, width = hidden_layers(data.features.n_inputs, config.cold_model.hidden)
        body = nn.Sequential(*layers, FixedLength(width**0.5))
        last = nn.Linear(width, d)
        history = run_epochs(
            nn.ModuleList([body, last]),
            len(data.features),
            data.features.n_users,
            batch_loss,
            lambda: validate(to_numpy(nn.functional.normalize(adapt(held_out, validation_support), dim=1))),
            config.cold_model.override("learning_rate", settings.learning_rate),
            seed=config.seed,
            device=device,
            progress=partial(progress, "melu"),
        )
    return Melu(export_network(body, history), to_numpy(last.weight), to_numpy(last.bias), gram, scale, settings)


def _user_loss(
    vector: torch.Tensor, items: torch.Tensor, mask: torch.Tensor, *, gram: torch.Tensor, negative_weight: float
) -> torch.Tensor:
    """Return the loss, a scalar, of a user's vector (d,) on items (m, d), masked by `mask` (m,); see `Melu`."""
    support_error = ((1 - items @ vector).square() * mask).sum() / mask.sum().clamp(min=1)
    negative_error = vector @ gram @ vector  # mean of (v.p)^2 over all items v
    return support_error + negative_weight * negative_error


def _sample_support(rows: SparseRows, has_vector: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return at most `SUPPORT_ITEMS` columns of each row, sampled from those with a vector, padded with -1."""
    rows = rows.keep(has_vector[rows.columns])
    rows = rows.keep(rows.draw(np.full(rows.n_rows, SUPPORT_ITEMS), rng))
    lengths = rows.lengths()
    table = np.full((rows.n_rows, max(1, int(lengths.max(initial=0)))), -1, dtype=np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = rows.columns
    return table


def _sample_columns(matrix: SparseRows, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample n columns of each row with replacement, shape (n_rows, n); -1 for empty rows."""
    lengths = matrix.lengths()[:, None]
    entries = matrix.starts[:-1, None] + (rng.random((matrix.n_rows, n)) * lengths).astype(np.int64)
    return np.append(matrix.columns, -1)[np.where(lengths > 0, entries, -1)].astype(np.int64)


MELU = ColdModelSpec(
    name="melu",
    title="MeLU",
    describe="MeLU (Lee et al., KDD 2019): adapts its last layer to each user by gradient steps on the day's items.",
    settings=MeluConfig,
    fit=fit_melu,
    value=Melu,
)
