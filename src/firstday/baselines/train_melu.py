"""Training of MeLU: a last layer that few gradient steps on a user's first items adapt to that user. Needs torch."""

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
from firstday.cold.training_loop import UnitLength, export_network, run_epochs
from firstday.config import MeluConfig
from firstday.progress import Progress
from firstday.recommend.spec import JudgeVectors, LearningData
from firstday.sparse import SparseRows, stack_rows

SUPPORT_ITEMS = 50
"""Maximum support items per day-one sample in training, sampled if there are more. Inference uses all."""


class MeluNetwork(nn.Module):
    """Features -> hidden activations -> vector; the last layer takes `config.inner_steps` gradient steps per user.

    `gram` is the mean of v v' over all items, shape (dimensions, dimensions).
    """

    def __init__(
        self, n_inputs: int, hidden: tuple[int, ...], dimensions: int, gram: torch.Tensor, config: MeluConfig
    ) -> None:
        super().__init__()
        layers, width = hidden_layers(n_inputs, hidden)
        self.body = nn.Sequential(*layers, UnitLength(width**0.5))
        self.head = nn.Linear(width, dimensions)
        self.gram: torch.Tensor
        self.register_buffer("gram", gram, persistent=False)
        self.config = config

    def user_loss(self, vector: torch.Tensor, items: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return one user's scalar loss of a vector (d,) on items (m, d), masked by `there` (m,)."""
        missed = ((1 - items @ vector).square() * there).sum() / there.sum().clamp(min=1)
        everywhere = vector @ self.gram @ vector  # mean of (v.p)^2 over all items v
        loss: torch.Tensor = missed + self.config.negative_weight * everywhere
        return loss

    def forward(self, features: torch.Tensor, items: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Map features (n, n_inputs) to vectors (n, d) adapted to items (n, m, d), masked by `there` (n, m).

        The step on the last layer is taken on its output, which is equivalent; see `firstday.baselines.melu.Melu`.
        """
        hidden = self.body(features)  # (n, width)
        vectors: torch.Tensor = self.head(hidden)  # (n, d)
        reach = self.config.inner_rate * (1 + hidden.square().mean(dim=1, keepdim=True))  # (n, 1)
        reach = reach * there.any(dim=1, keepdim=True)  # users without items are not adapted
        for _ in range(self.config.inner_steps):
            slopes: torch.Tensor = vmap(grad(self.user_loss))(vectors, items, there)  # (n, d)
            vectors = vectors - reach * slopes
        return vectors


def train_melu(data: LearningData, validate: JudgeVectors, progress: Progress) -> Melu:
    """Meta-train on warm users: day-one items are the support set, their other used items the query set.

    Support and query loss are those of `firstday.baselines.melu.Melu`; gradients flow through the adaptation.
    Differences from the article: as there are no ratings, used items have relevance 1, and all items are negatives with
    a small weight, by their Gram matrix; the network takes the features of our encoder and returns a vector, not a
    rating, so only the user side is adapted.

    Parameters
    ----------
    data
        Training data: liked day-one items are the support sets, other used items the query sets. Settings used, of
        `melu`: the adaptation, query items, learning rate; of `cold_model`: layers, schedule, epochs, batch size,
        patience; seed, threads and device.
    validate
        Returns the precision in % of predicted vectors of shape (n_validation, d); higher is better.
    progress
        Called after each epoch.

    Returns
    -------
    Melu
        Exported and verified against PyTorch, with the training history.

    References
    ----------
    H. Lee, J. Im, S. Jang, H. Cho, S. Chung, "MeLU: Meta-Learned User Preference Estimator for Cold-Start
    Recommendation", KDD 2019, algorithm 1. C. Finn, P. Abbeel, S. Levine, "Model-Agnostic Meta-Learning", ICML 2017.
    """
    config = data.config
    settings = config.melu
    place = choose_device(config.device, config.threads)
    item_vectors = data.embeddings.scoring_vectors
    n_items, d = item_vectors.shape
    squares = np.square(item_vectors, dtype=np.float64).sum(axis=1)
    scale = float(np.sqrt(squares[data.uses.columns].mean())) or 1.0  # of used items, which vectors are adapted to
    scaled = item_vectors / np.float32(scale)
    gram = torch.from_numpy(scaled.T @ scaled / np.float32(n_items))  # (d, d)
    liked_vectors = data.liked_vectors / np.float32(scale)
    items = torch.from_numpy(np.concatenate([liked_vectors, np.zeros((1, d), np.float32)])).to(place)  # -1 pads
    has_vector = np.asarray(liked_vectors.any(axis=1))
    rng = np.random.default_rng(config.seed)
    known = stack_rows(data.liked)  # (n_samples * n_warm, n_items)
    support = _padded(known, has_vector, rng)  # (n_samples * n_warm, most items)
    draws = np.random.default_rng(config.seed + 1)

    def adapted(inputs: torch.Tensor, support_items: np.ndarray) -> torch.Tensor:
        most = max(1, int((support_items >= 0).sum(axis=1).max()))
        chosen = torch.from_numpy(support_items[:, :most]).to(place)  # (batch, most items of one user)
        vectors: torch.Tensor = network(inputs, items[chosen], (chosen >= 0).float())
        return vectors

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        vectors = adapted(torch.from_numpy(data.features.take(rows)).to(place), support[rows])  # (batch, d)
        queries = find_later(data.uses, known, rows)
        later = torch.from_numpy(_drawn(queries, settings.query_items, draws)).to(place)  # (batch, query_items)
        losses: torch.Tensor = vmap(network.user_loss)(vectors, items[later], (later >= 0).float())
        return losses.mean()

    held_out = torch.from_numpy(data.validation_features).to(place)
    first = _padded(data.validation_liked, has_vector, rng)
    with seeded(config.seed, place):
        network = MeluNetwork(data.features.n_inputs, config.cold_model.hidden, d, gram, settings)
        history = run_epochs(
            network,
            len(data.features),
            data.features.n_users,
            batch_loss,
            lambda: validate(to_numpy(nn.functional.normalize(adapted(held_out, first), dim=1))),
            config.cold_model.override("learning_rate", settings.learning_rate),
            seed=config.seed,
            device=place,
            progress=partial(progress, "melu"),
        )
    return Melu(
        export_network(network.body, history),
        to_numpy(network.head.weight),
        to_numpy(network.head.bias),
        gram.numpy(),
        scale,
        settings.inner_steps,
        settings.inner_rate,
        settings.negative_weight,
    )


def _padded(rows: SparseRows, has_vector: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each row's columns that have a vector, at most `SUPPORT_ITEMS`, padded with -1."""
    rows = rows.keep(has_vector[rows.columns])
    rows = rows.keep(rows.draw(np.full(rows.n_rows, SUPPORT_ITEMS), rng))
    lengths = rows.lengths()
    table = np.full((rows.n_rows, max(1, int(lengths.max(initial=0)))), -1, dtype=np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = rows.columns
    return table


def _drawn(matrix: SparseRows, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample n columns of each row with replacement, shape (n_rows, n); -1 for empty rows."""
    lengths = matrix.lengths()[:, None]
    entries = matrix.starts[:-1, None] + (rng.random((matrix.n_rows, n)) * lengths).astype(np.int64)
    return np.append(matrix.columns, -1)[np.where(lengths > 0, entries, -1)].astype(np.int64)
