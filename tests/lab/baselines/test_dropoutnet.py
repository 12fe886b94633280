"""DropoutNet: it learns from the preference vector and without it."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.lab.baselines.dropoutnet import DropoutNet, fit_dropoutnet
from firstday.progress import no_progress
from tests.obvious import CONFIG, Rising, make_data, mean_cosine


def train(**settings: object) -> DropoutNet:
    config = CONFIG
    for name, value in settings.items():
        config = config.override(f"plugins.dropoutnet.{name}", value)
    return fit_dropoutnet(make_data(config)[0], Rising(), no_progress)


@pytest.fixture(scope="module")
def half() -> DropoutNet:
    """Trained with every second preference vector hidden."""
    return train(preference_dropout=0.5)


def cosine(model: DropoutNet) -> float:
    """Return how near predictions for cold users are to their tastes."""
    data, tastes = make_data()
    predicted = model.predict(data.validation_features, data.validation_liked, data.embeddings.item_vectors)
    np.testing.assert_allclose(np.linalg.norm(predicted, axis=1), 1, atol=1e-5)
    return mean_cosine(predicted, tastes)


def cosine_of_warm(model: DropoutNet) -> float:
    """Return how near predictions are where the preference vector is given and features say nothing."""
    data, tastes = make_data()
    blank = np.zeros_like(data.validation_features)
    return mean_cosine(model.network.predict(np.concatenate([tastes.astype(np.float32), blank], axis=1)), tastes)


def test_it_learns_with_and_without_the_preference_vector(half: DropoutNet) -> None:
    assert cosine(half) > 0.9
    assert cosine_of_warm(half) > 0.8


def test_without_dropout_it_fails_cold_users_and_with_dropout_alone_warm_ones(half: DropoutNet) -> None:
    never = train(preference_dropout=0.0)
    always = train(preference_dropout=1.0)
    assert cosine(never) < cosine(half) - 0.1
    assert cosine_of_warm(always) < cosine_of_warm(half) - 0.15
