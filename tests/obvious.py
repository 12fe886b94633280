"""Warm users of three tastes: features hint at the taste, items of day one show it."""

from __future__ import annotations

import numpy as np

from firstday.config import Config, parse_config
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.features.encoder import hold_features
from firstday.ranking import unit_rows
from firstday.recommend.spec import LearningData
from firstday.sparse import SparseRows
from tests.synthetic import SEED, THREADS

N_INPUTS = 10
D = 3
N_TASTES = 3
ITEMS_OF_TASTE = 20
CONFIG: Config = parse_config(
    {
        "seed": SEED,
        "threads": THREADS,
        "cold_model": {"hidden": [16, 8], "epochs": 12, "batch_size": 32, "patience": 100},
        "plugins": {
            "dropoutnet": {"items_per_step": 30},
            "melu": {"negative_weight": 5.0},  # a third of all items are to a user's taste, far more than in a service
        },
    }
)


def make_data(config: Config = CONFIG, n: int = 200, n_validation: int = 40) -> tuple[LearningData, np.ndarray]:
    """Return what to learn from, and the direction of each validation user's taste, shape (n_validation, D)."""
    rng = np.random.default_rng(5)
    taste = rng.integers(N_TASTES, size=n + n_validation)
    users = (np.eye(N_TASTES, D)[taste] + rng.normal(0, 0.05, (len(taste), D))).astype(np.float32)
    of_item = np.repeat(np.arange(N_TASTES), ITEMS_OF_TASTE)
    items = (np.eye(N_TASTES, D)[of_item] + rng.normal(0, 0.05, (len(of_item), D))).astype(np.float32)
    used = [rng.choice(np.flatnonzero(of_item == mine), 10, replace=False) for mine in taste]
    features = []
    liked = []
    for _ in range(2):
        features.append(np.eye(N_TASTES, N_INPUTS)[taste] + rng.normal(0, 0.3, (len(taste), N_INPUTS)))
        sizes = rng.integers(4, size=len(taste))
        first = [mine[:size].tolist() for mine, size in zip(used, sizes, strict=True)]
        liked.append(SparseRows.from_lists(first, len(items)))
    warm = np.arange(n)
    held_out = np.arange(n, n + n_validation)
    warm_days = [sample.take(warm) for sample in liked]
    data = LearningData(
        config=config,
        features=hold_features(np.concatenate([sample[warm].astype(np.float32) for sample in features]), 2),
        liked=warm_days,
        uses=SparseRows.from_lists([used[user].tolist() for user in warm], len(items)),
        embeddings=Embeddings(users[warm], items, FoldIn(items, "mean"), "dot"),
        validation_features=features[0][held_out].astype(np.float32),
        validation_liked=liked[0].take(held_out),
        day_one_uses=warm_days,
        day_one_excluded=warm_days,
        validation_excluded=liked[0].take(held_out),
    )
    return data, np.eye(N_TASTES, D)[taste[held_out]]


def no_opinion(_vectors: np.ndarray) -> float:
    """Find every network equally good: the first that counts is kept."""
    return 0.0


class Rising:
    """Finds every network better than the one before it: the last one is kept."""

    def __init__(self) -> None:
        self.checks = 0

    def __call__(self, vectors: np.ndarray) -> float:
        """Return the number of the check."""
        self.checks += 1
        return self.checks


def mean_cosine(vectors: np.ndarray, directions: np.ndarray) -> float:
    """Return the mean cosine of predicted vectors with directions."""
    return float((unit_rows(vectors) * directions).sum(axis=1).mean())
