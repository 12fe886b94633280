"""Training of MeLU, whose last layer is adapted to a user by a few gradient steps on the user's first items.

Needs torch.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import nn
from torch.func import grad, vmap

from firstday.baselines.melu import Melu
from firstday.cold.device import choose_device, seeded, to_numpy
from firstday.cold.train_cold_model import hidden_layers
from firstday.cold.train_ranker import find_later
from firstday.cold.training_loop import FixedLength, export_network, run_epochs
from firstday.config import MeluConfig
from firstday.progress import Progress
from firstday.recommend.spec import LearningData, VectorPrecision
from firstday.sparse import SparseRows, stack_rows

SUPPORT_ITEMS = 50
"""Maximum number of support items per day-one sample in training, sampled if there are more. Inference uses all."""


class MeluNetwork(nn.Module):
    """Features -> hidden activations -> vector; the last layer takes `config.inner_steps` gradient steps per user.

    `gram` is the mean of v v' over all items, shape (dimensions, dimensions).
    """

    def __init__(
        self, n_inputs: int, hidden: tuple[int, ...], dimensions: int, gram: torch.Tensor, config: MeluConfig
    ) -> None:
        super().__init__()
        layers, width = hidden_layers(n_inputs, hidden)
        self.body = nn.Sequential(*layers, FixedLength(width**0.5))
        self.head = nn.Linear(width, dimensions)
        self.gram: torch.Tensor
        self.register_buffer("gram", gram, persistent=False)
        self.config = config

    def user_loss(self, vector: torch.Tensor, items: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar, of a user's vector (d,) on items (m, d), masked by `mask` (m,)."""
        support_error = ((1 - items @ vector).square() * mask).sum() / mask.sum().clamp(min=1)
        negative_error = vector @ self.gram @ vector  # mean of (v.p)^2 over all items v
        loss: torch.Tensor = support_error + self.config.negative_weight * negative_error
        return loss

    def forward(self, features: torch.Tensor, items: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map features (n, n_inputs) to vectors (n, d) adapted to items (n, m, d), masked by `mask` (n, m).

        The steps change the output of the last layer, which is equivalent to changing its weights; see
        `firstday.baselines.melu.Melu`.
        """
        hidden = self.body(features)  # (n, width)
        vectors: torch.Tensor = self.head(hidden)  # (n, d)
        step_size = self.config.inner_rate * (1 + hidden.square().mean(dim=1, keepdim=True))  # (n, 1)
        step_size = step_size * mask.any(dim=1, keepdim=True)  # users without items are not adapted
        for _ in range(self.config.inner_steps):
            gradients: torch.Tensor = vmap(grad(self.user_loss))(vectors, items, mask)  # (n, d)
            vectors = vectors - step_size * gradients
        return vectors


def train_melu(data: LearningData, validate: VectorPrecision, progress: Progress) -> Melu:
    """Meta-train on warm users: day-one items are the support set, other used items the query set.

    Both sets have the loss of `firstday.baselines.melu.Melu`, and gradients flow through the adaptation. Differences
    from the article: since there are no ratings, used items have relevance 1, and all items are negatives with a small
    weight, by their Gram matrix. The network takes the features of our encoder and returns a vector, not a rating, so
    only the user side is adapted.

    Settings used, of `melu`: the adaptation, query items, learning rate; of `cold_model`: layers, schedule, epochs,
    batch size, patience; seed, threads and device.

    H. Lee, J. Im, S. Jang, H. Cho, S. Chung, "MeLU: Meta-Learned User Preference Estimator for Cold-Start
    Recommendation", KDD 2019, algorithm 1. C. Finn, P. Abbeel, S. Levine, "Model-Agnostic Meta-Learning", ICML 2017.
    """
    config = data.config
    settings = config.melu
    device = choose_device(config.device, config.threads)
    item_vectors = data.embeddings.scoring_vectors
    n_items, d = item_vectors.shape
    squares = np.square(item_vectors, dtype=np.float64).sum(axis=1)
    scale = float(np.sqrt(squares[data.uses.columns].mean())) or 1.0  # root mean square over the used items
    scaled = item_vectors / np.float32(scale)
    gram = torch.from_numpy(scaled.T @ scaled / np.float32(n_items))  # (d, d)
    liked_vectors = data.liked_vectors / np.float32(scale)
    items = torch.from_numpy(np.concatenate([liked_vectors, np.zeros((1, d), np.float32)])).to(device)  # -1 pads
    has_vector = np.asarray(liked_vectors.any(axis=1))
    rng = np.random.default_rng(config.seed)
    day_one_items = stack_rows(data.liked)  # (n_samples * n_warm, n_items)
    support = _sample_support(day_one_items, has_vector, rng)  # (n_samples * n_warm, most items)
    draws = np.random.default_rng(config.seed + 1)

    def adapt(inputs: torch.Tensor, support_items: np.ndarray) -> torch.Tensor:
        max_items = max(1, int((support_items >= 0).sum(axis=1).max()))
        support_ix = torch.from_numpy(support_items[:, :max_items]).to(device)  # (batch, most items of one user)
        vectors: torch.Tensor = network(inputs, items[support_ix], (support_ix >= 0).float())
        return vectors

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        vectors = adapt(torch.from_numpy(data.features.take(rows)).to(device), support[rows])  # (batch, d)
        queries = find_later(data.uses, day_one_items, rows)
        later = torch.from_numpy(_sample_columns(queries, settings.query_items, draws)).to(
            device
        )  # (batch, query_items)
        losses: torch.Tensor = vmap(network.user_loss)(vectors, items[later], (later >= 0).float())
        return losses.mean()

    held_out = torch.from_numpy(data.validation_features).to(device)
    validation_support = _sample_support(data.validation_liked, has_vector, rng)
    with seeded(config.seed, device):
        network = MeluNetwork(data.features.n_inputs, config.cold_model.hidden, d, gram, settings)
        history = run_epochs(
            network,
            len(data.features),
            data.features.n_users,
            batch_loss,
            lambda: validate(to_numpy(nn.functional.normalize(adapt(held_out, validation_support), dim=1))),
            config.cold_model.override("learning_rate", settings.learning_rate),
            seed=config.seed,
            device=device,
            progress=partial(progress, "melu"),
        )
    return Melu(
        export_network(network.body, history),
        to_numpy(network.head.weight),
        to_numpy(network.head.bias),
        gram.numpy(),
        scale,
        settings,
    )


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
