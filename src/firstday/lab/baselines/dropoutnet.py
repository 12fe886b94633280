"""DropoutNet as a cold model: a network trained to predict with or without a preference vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from firstday.cold.cold_model import ColdModel
from firstday.config import Fraction, Section
from firstday.display import readable
from firstday.progress import Progress
from firstday.ranking import unit_rows
from firstday.recommend.spec import ColdModelSpec, LearningData, VectorPrecision
from firstday.sparse import SparseRows


class DropoutNetConfig(Section):
    """DropoutNet (Volkovs et al., NeurIPS 2017), a baseline for the cold model."""

    preference_dropout: Fraction = 0.5
    """Share of users whose warm vector is hidden from the input, redrawn at every step."""
    items_per_step: PositiveInt = 1000
    """Items whose scores the network learns to reproduce, redrawn at every step."""
    learning_rate: PositiveFloat = 1e-2
    """As in `cold_model`."""


@readable
@dataclass(frozen=True, eq=False)
class DropoutNet:
    """A network from a preference vector and features, concatenated, to the predicted vector.

    It is trained with dropout of the preference vector, which is zeros for a cold user.
    """

    network: ColdModel

    def predict(
        self,
        features: np.ndarray,
        liked: SparseRows,  # noqa: ARG002
        item_vectors: np.ndarray,
    ) -> np.ndarray:
        """Return the predicted vectors, float32, shape (n, d), each of length 1; see `ColdModelValue.predict`."""
        return self.network.predict(as_cold(features, item_vectors.shape[1]))


def as_cold(features: np.ndarray, dimensions: int) -> np.ndarray:
    """Return the network's input for cold users, float32, shape (n, dimensions + n_inputs)."""
    return np.concatenate([np.zeros((len(features), dimensions), np.float32), features], axis=1)


def fit_dropoutnet(data: LearningData, validate: VectorPrecision, progress: Progress) -> DropoutNet:
    """Train a network to reproduce the item scores of the warm vector, with and without that vector as input.

    The input is the user's warm unit vector concatenated with the day-one features. At every step, the warm vectors of
    a random subset of users are replaced by zeros. The loss is the mean squared difference of scores on items sampled
    at every step. Unlike in the article, item vectors are fixed: there is no second network for cold items.

    Settings used, in addition to `DropoutNetConfig`, of `cold_model`: layers, schedule, epochs,
    batch size, patience; seed, threads and device.

    M. Volkovs, G. Yu, T. Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017,
    section 4.1 (objective and input dropout).
    """
    import torch

    from firstday.cold.device import choose_device, seeded, to_numpy
    from firstday.cold.train_cold_model import ColdNetwork
    from firstday.cold.training_loop import export_network, run_epochs

    config = data.config
    settings: DropoutNetConfig = DROPOUTNET.settings_in(config)
    device = choose_device(config.device, config.threads)
    item_vectors = data.embeddings.scoring_vectors
    n_warm, d = data.embeddings.user_vectors.shape
    warm = torch.from_numpy(unit_rows(data.embeddings.user_vectors)).to(device)  # (n_warm, d)
    item_rows = item_vectors[item_vectors.any(axis=1)]
    items = torch.from_numpy(item_rows / np.sqrt(np.square(item_rows).sum(axis=1).mean())).to(device)  # (n_known, d)
    draws = torch.Generator().manual_seed(config.seed + 1)  # on the CPU, so that draws are the same on every device

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        inputs = torch.from_numpy(data.features.take(rows)).to(device)
        target_vectors = warm[torch.from_numpy(rows % n_warm).to(device)]  # (batch, d)
        is_kept = (torch.rand(len(rows), 1, generator=draws) >= settings.preference_dropout).to(device)
        vectors = network.layers(torch.cat([target_vectors * is_kept, inputs], dim=1))  # (batch, d), of any length
        sample = torch.randint(len(items), (settings.items_per_step,), generator=draws).to(device)
        return ((vectors - target_vectors) @ items[sample].T).square().mean()

    held_out = torch.from_numpy(as_cold(data.validation_features, d)).to(device)
    with seeded(config.seed, device):
        network = ColdNetwork(d + data.features.n_inputs, config.cold_model.hidden, d)
        history = run_epochs(
            network,
            len(data.features),
            data.features.n_users,
            batch_loss,
            lambda: validate(to_numpy(network(held_out))),
            config.cold_model.override("learning_rate", settings.learning_rate),
            seed=config.seed,
            device=device,
            progress=partial(progress, "dropoutnet"),
        )
    return DropoutNet(export_network(network, history))


DROPOUTNET = ColdModelSpec(
    name="dropoutnet",
    title="DropoutNet",
    describe="DropoutNet (Volkovs et al., NeurIPS 2017): "
    "trained to work without the vector that a cold user does not have yet.",
    settings=DropoutNetConfig,
    fit=fit_dropoutnet,
    value=DropoutNet,
)
