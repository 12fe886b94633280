"""A small service with obvious tastes: four clusters of items, users who keep to one of them, and friends alike."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import polars as pl

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset, Entity, Group
from firstday.data.events import ITEM, UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.recommend.registry import find_method
from firstday.sparse import SparseRows

SEED = int(os.environ.get("FIRSTDAY_TEST_SEED", "0"))
"""Of all that is made and trained once for many tests; they must pass with any."""
THREADS = int(os.environ.get("FIRSTDAY_TEST_THREADS", "1"))
"""Threads that train it; they must pass with any number."""

N_USERS = 400
N_CLUSTERS = 4
N_ITEMS = 121
UNUSED_ITEM = 120
"""An item that nobody ever touched."""
ARTISTS_PER_CLUSTER = 6
COLD_MODELS = tuple(filter(find_method, ("dropoutnet", "melu")))
"""Those of firstday.lab, if it is installed."""
COUNTRIES = ("BR", "DE", "FR", "JP")

CONFIG: dict[str, Any] = {
    "seed": SEED,
    "threads": THREADS,
    "embedding": {"dimensions": 12, "als_iterations": 8},
    "segments": {"n_segments": 8, "top_items": 60, "restarts": 1},
    "cold_model": {"hidden": [32, 16], "epochs": 8, "batch_size": 64, "patience": 20},
    "ranker": {"hidden": [32], "epochs": 5, "batch_size": 64, "patience": 10},
    "sampled": {"min_items": 8, "day_ones": 3},
    "recommend": {"k": 20, "input_clusters": 6, "group_smoothing": 10.0},
}


def small_config(**sections: Any) -> Config:
    """Make the configuration of these tests, with some sections' settings laid over."""
    merged = {
        name: {**CONFIG.get(name, {}), **values} if isinstance(values, dict) else values
        for name, values in sections.items()
    }
    return parse_config({**CONFIG, **merged})


def brief_config(**sections: Any) -> Config:
    """Make a configuration that trains as little as it can, for tests that look at everything but the networks."""
    little: dict[str, Any] = {
        "cold_model": {"hidden": [8], "epochs": 1},
        "ranker": {"enabled": False},
        "sampled": {"day_ones": 1},
    }
    return small_config(
        **{**sections, **{name: {**values, **sections.get(name, {})} for name, values in little.items()}}
    )


def taste_of_users(n_users: int = N_USERS) -> np.ndarray:
    """Return the cluster that each user keeps to."""
    return np.arange(n_users) % N_CLUSTERS


def cluster_of_items() -> np.ndarray:
    """Return the cluster of each item, -1 for the unused one."""
    clusters = np.arange(N_ITEMS) % N_CLUSTERS
    clusters[UNUSED_ITEM] = -1
    return clusters


def artist_of(item: int) -> int:
    """Return the artist of an item; an artist keeps to one cluster and has five items."""
    rank, cluster = divmod(item, N_CLUSTERS)
    return cluster * ARTISTS_PER_CLUSTER + rank % ARTISTS_PER_CLUSTER


def make_world(n_users: int = N_USERS, seed: int = SEED) -> Dataset:
    """Make the dataset: signals stream, favorite, skip, ban, search and onboarding, on items, artists and genres."""
    rng = np.random.default_rng(seed)
    tastes = taste_of_users(n_users)
    clusters = cluster_of_items()
    rows: list[tuple[int, str, str, int, float]] = []
    for user, taste in enumerate(tastes):
        rows += _acts(
            user, np.flatnonzero(clusters == taste), np.flatnonzero((clusters != taste) & (clusters >= 0)), rng
        )
    events = pl.DataFrame(
        rows,
        schema={
            "user_ix": pl.Int32,
            "signal": pl.String,
            "entity": pl.String,
            "target_ix": pl.Int32,
            "weight": pl.Float32,
        },
        orient="row",
    ).with_columns(pl.Series("timestamp", rng.permutation(len(rows))).cast(UTC_MICROSECONDS))
    country = np.where(rng.random(n_users) < 0.7, tastes, rng.integers(N_CLUSTERS, size=n_users))
    country[rng.random(n_users) < 0.1] = -1
    ages = 18 + 8 * tastes + rng.integers(8, size=n_users)
    ages[rng.random(n_users) < 0.2] = -1
    artists = [[item for item in range(N_ITEMS - 1) if artist_of(item) == a] for a in range(24)]
    genres = [np.flatnonzero(clusters == c).tolist() for c in range(N_CLUSTERS)]
    return Dataset(
        name="synthetic",
        users=Ids.of([f"u{ix:03}" for ix in range(n_users)]),
        items=Ids.of([f"i{ix:03}" for ix in range(N_ITEMS)]),
        events=Events.of(events),
        entities={
            "artist": Entity(Ids.of([f"a{ix:02}" for ix in range(24)]), SparseRows.from_lists(artists, N_ITEMS)),
            "genre": Entity(Ids.of([f"g{ix}" for ix in range(N_CLUSTERS)]), SparseRows.from_lists(genres, N_ITEMS)),
        },
        groups={
            "country": Group(COUNTRIES, country.astype(np.int32)),
            "gender": Group(("f", "m"), rng.integers(2, size=n_users).astype(np.int32)),
        },
        ages=ages.astype(np.int16),
        friends=_befriend(tastes, np.random.default_rng(seed + 1)),
        titles=tuple(f"Item {ix}" for ix in range(N_ITEMS)),
    )


def _befriend(tastes: np.ndarray, rng: np.random.Generator) -> SparseRows:
    """Give two thirds of the users three friends each, nine in ten of their own taste; friendship is mutual."""
    users = np.repeat(np.flatnonzero(rng.random(len(tastes)) < 2 / 3), 3)
    alike = [rng.choice(np.flatnonzero(tastes == tastes[user])) for user in users]
    friends = np.where(rng.random(len(users)) < 0.9, alike, rng.integers(len(tastes), size=len(users)))
    users, friends = users[users != friends], friends[users != friends]
    rows = np.concatenate([users, friends])
    columns = np.concatenate([friends, users])
    return SparseRows.from_pairs(rows, columns, None, len(tastes), len(tastes)).ones()


def _acts(
    user: int, own: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> list[tuple[int, str, str, int, float]]:
    """Make what one user did: 14 to 20 items used, nine in ten of their own cluster, and the rest around it."""
    liking = 1 / np.arange(3, len(own) + 3)
    n_used = int(rng.integers(14, 21))
    n_other = int(rng.binomial(n_used, 0.1))
    used = rng.choice(own, n_used - n_other, replace=False, p=liking / liking.sum()).tolist()
    strange = rng.permutation(other)
    used += strange[:n_other].tolist()
    acts = [("stream", ITEM, item, float(rng.integers(1, 5))) for item in used]
    acts += [("favorite", ITEM, item, 1.0) for item in used if rng.random() < 0.2]
    acts += [("skip", ITEM, int(item), 1.0) for item in (*strange[-2:], used[0])]
    acts += [("ban", ITEM, int(item), 1.0) for item in strange[-4:-3] if rng.random() < 0.5]
    acts += [("search", ITEM, int(item), 1.0) for item in rng.choice(own, 3, replace=False)]
    acts += [("onboarding", ITEM, int(item), 1.0) for item in rng.choice(own, 1) if rng.random() < 0.2]
    artists = np.unique([artist_of(int(item)) for item in own])
    acts += [("onboarding", "artist", int(a), 1.0) for a in rng.choice(artists, 2, replace=False) if rng.random() < 0.5]
    acts += [("stream", "artist", int(a), 2.0) for a in rng.choice(artists, 4, replace=False)]
    acts += [("favorite", "artist", int(a), 1.0) for a in rng.choice(artists, 2, replace=False)]
    acts += [("ban", "artist", artist_of(int(item)), 1.0) for item in strange[-1:] if rng.random() < 0.2]
    acts += [("favorite", "genre", int(own[0]) % N_CLUSTERS, 1.0)] if rng.random() < 0.5 else []
    return [(user, *act) for act in acts]
