"""The baselines' networks are the same each time they are trained on one device."""

from __future__ import annotations

from typing import Any

import pytest

from firstday.config import Config, DeviceName
from firstday.lab.baselines.dropoutnet import fit_dropoutnet
from firstday.lab.baselines.melu import fit_melu
from firstday.lab.baselines.mult_dae import train_autoencoder
from firstday.progress import no_progress
from firstday.recommend.spec import UseData
from tests.cold.test_device import PRESENT, check_bytes
from tests.networks import network_bytes
from tests.obvious import make_data, no_opinion


def fit_all(config: Config) -> dict[str, Any]:
    """Train every network on a few users; return its numbers."""
    data, _ = make_data(config, n=64)
    training = UseData(data.uses, data.uses, config.seed, config.threads, config.device)
    layers = train_autoencoder(data.uses, training, steps=1, width=4, dropout=0.5, weight_decay=0.01)
    melu = fit_melu(data, no_opinion, no_progress)
    return {
        "dropoutnet": network_bytes(fit_dropoutnet(data, no_opinion, no_progress).network),
        "melu": (network_bytes(melu.body), melu.weights.tobytes(), melu.bias.tobytes(), melu.gram.tobytes()),
        "mult_dae": [layer.tobytes() for layer in layers],
    }


@pytest.mark.parametrize("device", PRESENT)
def test_one_seed_gives_the_same_bytes_on_one_device(device: DeviceName) -> None:
    check_bytes(fit_all, device)
