"""The ranker learns which items go with which features, and predicts without torch what torch does."""

from __future__ import annotations

from typing import Any

import numpy as np

from firstday.config import Config, RankerConfig
from firstday.methods.direct import Ranker, fit_ranker
from firstday.methods.item_scores import find_later
from firstday.progress import no_progress
from firstday.sparse import SparseRows
from tests.obvious import ITEMS_OF_TASTE, N_TASTES, Rising, make_data

CONFIG = RankerConfig(hidden=(16,), epochs=15, batch_size=32, patience=100)


def train(**settings: Any) -> tuple[Ranker, np.ndarray, np.ndarray]:
    """Return a ranker of the obvious data, validation users' features, and their tastes."""
    data, directions = make_data(Config(threads=1, ranker=CONFIG.override(settings)))
    return fit_ranker(data, Rising(), no_progress), data.validation_features, directions.argmax(axis=1)


def test_items_of_the_own_taste_come_first() -> None:
    ranker, features, taste = train()
    scores = ranker.score(ranker.body.predict(features))
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-4)
    best = ranker.items[np.argsort(-scores, axis=1)[:, :ITEMS_OF_TASTE]]
    assert (best // ITEMS_OF_TASTE == taste[:, None]).mean() > 0.85
    losses = [epoch.loss for epoch in ranker.history]
    assert losses[-1] < losses[0]
    assert losses[-1] < np.log(N_TASTES * ITEMS_OF_TASTE)  # better than chance, in nats for each item


def test_items_of_day_one_are_no_target() -> None:
    uses = SparseRows.from_lists([[0, 1, 2], [0, 1, 2], [2, 3, 4], [3, 4]], 6)
    day_ones = SparseRows.from_lists([[0], [], [2], [4], [1, 2], [0], [], [3]], 6)  # two samples of each user
    later = find_later(uses, day_ones, np.array([0, 4, 7]))  # users 0, 0 and 3
    assert [later.row(row).tolist() for row in range(3)] == [[1, 2], [0], [4]]


def test_only_the_most_used_items_are_ranked() -> None:
    ranker, features, _ = train(most_items=7, epochs=2)
    assert len(ranker.items) == 7
    assert ranker.score(ranker.body.predict(features)).shape == (len(features), 7)
