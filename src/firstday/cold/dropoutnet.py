"""Train DropoutNet: (preference vector, day-one features) -> vector whose scores are those of the preference vector."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from firstday.cold.cold_model import ColdModel
from firstday.cold.peer_data import PeerData
from firstday.cold.peers import DropoutNet, preference_of
from firstday.cold.train_cold_model import ColdNetwork
from firstday.cold.training_loop import export_onnx, run_epochs
from firstday.config import Config
from firstday.ranking import unit_rows


def train_dropoutnet(
    data: PeerData,
    validate: Callable[[np.ndarray], float],
    config: Config,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> DropoutNet:
    """Train a network to score items as the warm user's vector does, with and without seeing that vector.

    The input is the user's warm vector of length 1 beside the day-one features; at every step the warm vector of some
    users, drawn anew, is replaced by what a cold user has (`config.transform`). The loss is the mean squared
    difference of scores of items drawn anew for every step. Items are warm here and keep their vectors, where the
    article has a second network for cold items.

    Parameters
    ----------
    data
        What it learns from.
    validate
        Precision in %, higher is better, of predicted vectors of shape (n_validation, d).
    config
        Of `dropoutnet`: dropout, transform, items in a step, learning rate; of `cold_model`: layers, schedule, epochs,
        batch size, patience; seed and threads.
    progress
        Called with epochs done and epochs at most.

    Returns
    -------
    DropoutNet
        Exported and checked against PyTorch, with the history of training.

    References
    ----------
    M. Volkovs, G. Yu, T. Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017,
    sections 4.1 (objective and input dropout) and 4.2 (inference with a transform).
    """
    mine = config.dropoutnet
    if config.threads:
        torch.set_num_threads(config.threads)
    item_vectors = data.embeddings.scoring_vectors
    n_warm, d = data.embeddings.user_vectors.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = ColdNetwork(d + data.features.n_inputs, config.cold_model.hidden, d)
    warm = torch.from_numpy(unit_rows(data.embeddings.user_vectors))  # (n_warm, d)
    absent = [preference_of(liked, data.liked_vectors, mine.transform) for liked in data.liked]
    instead = torch.from_numpy(np.concatenate(absent))  # (n_samples * n_warm, d)
    known = item_vectors[item_vectors.any(axis=1)]
    items = torch.from_numpy(known / np.sqrt(np.square(known).sum(axis=1).mean()))  # (n_known, d)
    draws = torch.Generator().manual_seed(config.seed + 1)

    def batch_loss(rows: torch.Tensor) -> torch.Tensor:
        user = rows % n_warm
        content = torch.from_numpy(data.features.take(rows.numpy()))  # (batch, n_inputs)
        dropped = torch.rand(len(rows), 1, generator=draws) < mine.preference_dropout
        preference = torch.where(dropped, instead[rows], warm[user])  # (batch, d)
        vectors = network.layers(torch.cat([preference, content], dim=1))  # (batch, d), of any length
        some = items[torch.randint(len(items), (mine.items_per_step,), generator=draws)]  # (items_per_step, d)
        loss: torch.Tensor = ((vectors - warm[user]) @ some.T).square().mean()
        return loss

    as_cold = preference_of(data.validation_liked, data.liked_vectors, mine.transform)
    held_out = np.concatenate([as_cold, data.validation_features], axis=1)  # (n_validation, d + n_inputs)
    history = run_epochs(
        network,
        len(data.features),
        data.features.n_users,
        batch_loss,
        lambda: validate(network(torch.from_numpy(held_out)).numpy()),
        config.cold_model.model_copy(update={"learning_rate": mine.learning_rate}),
        seed=config.seed,
        progress=progress,
    )
    return DropoutNet(ColdModel(export_onnx(network, held_out), history), mine.transform)
