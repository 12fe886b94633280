"""The paper's network, and its training: day-one features -> mature unit vectors (PAPER, step 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from firstday.cold.cold_model import ColdModel
from firstday.cold.train_ranker import LaterItems
from firstday.cold.training_loop import export_onnx, run_epochs
from firstday.config import ColdModelConfig
from firstday.features.encoder import FeatureRows
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows


def hidden_layers(n_inputs: int, hidden: tuple[int, ...]) -> tuple[list[nn.Module], int]:
    """Make hidden layers, each linear, ReLU, batch normalisation; return them and the width of the last one."""
    layers: list[nn.Module] = []
    width = n_inputs
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.BatchNorm1d(size)]
        width = size
    return layers, width


class ColdNetwork(nn.Module):
    """Feed-forward: each hidden layer is linear, ReLU, batch normalisation; the output has length 1.

    Beyond the paper, it may have a second output beside the first.

    Parameters
    ----------
    n_inputs
        Columns of the encoder.
    hidden
        Widths of the hidden layers.
    dimensions
        Numbers in an embedding.
    n_outputs
        How many vectors it gives, side by side.
    """

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], dimensions: int, n_outputs: int = 1) -> None:
        super().__init__()
        layers, width = hidden_layers(n_inputs, hidden)
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_outputs * dimensions))
        self.dimensions = dimensions

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (n, n_inputs) to unit vectors (n, n_outputs * dimensions)."""
        vectors = self.layers(features)
        if vectors.shape[1] == self.dimensions:
            return nn.functional.normalize(vectors, dim=1)
        outputs = vectors.unflatten(1, (-1, self.dimensions))  # (n, n_outputs, dimensions)
        return nn.functional.normalize(outputs, dim=2).flatten(1)


CANDIDATES = 1024
"""Warm users that may be neighbours in one step, at most; of more, each step draws its own."""
MOST_ITEMS = 2048
"""Items that count, at most: the most used ones. Time and memory grow with them."""
TEMPERATURE = 0.06
"""Difference in cosine at which a neighbour's weight falls by e in training; for lists it is chosen afterwards."""
SMOOTHING = 0.02
"""Weight of everyone's habits beside all neighbours together."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def make_neighbor_loss(goals: torch.Tensor, uses: SparseRows, day_ones: Sequence[SparseRows], *, seed: int) -> Loss:
    """Return a function from predicted vectors, (batch, d), and the rows they are of, (batch,), to a loss.

    It is minus the logarithm of the probability, in nats, of each item that a user went on to use, where one is drawn
    from all uses of warm users, weighted by their nearness, and of everyone. The user is no neighbour of their own, and
    one who went on to use n items counts as the square root of n.

    Parameters
    ----------
    goals
        Mature vectors of length 1, shape (n_warm, d).
    uses
        Items that each warm user uses, shape (n_warm, n_items).
    day_ones
        Items used on day one in each sample; see `LaterItems`.
    seed
        Seed of who are candidates in each step.
    """
    later = LaterItems(uses, day_ones, MOST_ITEMS)
    everyone = SMOOTHING * torch.from_numpy(later.shares.astype(np.float32))  # (n_kept,)
    rng = np.random.default_rng(seed)
    n_warm = len(goals)
    every_user = np.arange(n_warm)
    all_used = torch.from_numpy(later.used_by(every_user)) if n_warm <= CANDIDATES else None

    def loss(vectors: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        if all_used is not None:
            candidates, used = every_user, all_used
        else:
            candidates = rng.choice(n_warm, CANDIDATES, replace=False)
            used = torch.from_numpy(later.used_by(candidates))
        nearness = vectors @ goals[candidates].T / TEMPERATURE  # (batch, n_candidates)
        own = (rows % n_warm)[:, None] == torch.from_numpy(candidates)[None]
        shares = torch.softmax(nearness.masked_fill(own, -torch.inf), dim=1) @ used + everyone  # (batch, n_kept)
        logs = shares.log() - shares.sum(dim=1, keepdim=True).log()
        wanted = torch.from_numpy(later.wanted_after(rows.numpy()))
        n_wanted = wanted.sum(dim=1).clamp(min=1)
        weights = n_wanted.rsqrt()
        total: torch.Tensor = -((wanted * logs).sum(dim=1) * weights).sum() / (wanted.sum(dim=1) * weights).sum().clamp(
            min=1
        )
        return total

    return loss


def train_cold_model(
    features: FeatureRows,
    targets: np.ndarray,
    validation_features: np.ndarray,
    validate: Callable[[np.ndarray], float],
    config: ColdModelConfig,
    *,
    later: tuple[SparseRows, Sequence[SparseRows]] | None = None,
    seed: int,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ColdModel:
    """Train until validation precision stops rising, and keep the best network; see `run_epochs`.

    Parameters
    ----------
    features
        One or more day-one samples of the warm users.
    targets
        Mature vectors, float32, shape (n_warm, d); scaled to length 1 here.
    validation_features
        float32, shape (n_validation, n_inputs).
    validate
        Precision in %, higher is better, of predicted vectors of shape (n_validation, d).
    config
        Layers, learning rate, epochs, batch size, patience.
    later
        Items that each warm user uses in all, shape (n_warm, n_items), and those used on day one in each sample; for
        `neighbor_weight`, which counts for nothing without them.
    seed
        Seed of the weights and of the order of users.
    threads
        Threads; 0: as torch decides.
    progress
        Called with epochs done and epochs at most.

    Returns
    -------
    ColdModel
        Exported and checked against PyTorch, with the history of training.
    """
    if threads:
        torch.set_num_threads(threads)
    goals = torch.from_numpy(unit_rows(targets))  # (n_warm, d)
    held_out = torch.from_numpy(validation_features)
    neighbor_loss = make_neighbor_loss(goals, *later, seed=seed) if later and config.neighbor_weight else None
    d, n_outputs = targets.shape[1], 1 if neighbor_loss is None else 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ColdNetwork(features.n_inputs, config.hidden, d, n_outputs)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        vectors = network(torch.from_numpy(features.take(rows.numpy())))  # (batch, n_outputs * d)
        distance: torch.Tensor = (vectors[:, :d] - goals[rows % len(goals)]).square().sum(dim=1).mean()
        if neighbor_loss is not None:
            distance = distance + config.neighbor_weight * neighbor_loss(vectors[:, d:], rows)
        return distance

    history = run_epochs(
        network,
        len(features),
        features.n_users,
        loss,
        lambda: validate(network(held_out)[:, :d].numpy()),
        config,
        seed=seed,
        progress=progress,
    )
    return ColdModel(export_onnx(network, validation_features), history)
