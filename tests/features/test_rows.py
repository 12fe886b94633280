"""Features made on demand are those kept in memory."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.features import encoder
from firstday.features.encoder import collect_features
from firstday.recommend.recommender import Recommender


def test_on_demand_or_held_the_rows_are_the_same(
    world: Dataset, split: Split, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = recommender.model
    samples = [model.catalogue.translate(world, split.warm, day)[0] for day in split.warm_day_one]
    held = collect_features(model.encoder, samples)
    monkeypatch.setattr(encoder, "MAX_FEATURE_BYTES", 0)
    made = collect_features(model.encoder, samples)
    assert len(held) == len(made) == len(split.warm) * len(samples)
    asked = np.random.default_rng(0).permutation(len(held))[:150]
    np.testing.assert_allclose(made.take(asked), held.take(asked), atol=1e-6)
    second = np.arange(len(split.warm), 2 * len(split.warm))
    np.testing.assert_array_equal(held.take(second), model.encoder.encode(samples[1]))
