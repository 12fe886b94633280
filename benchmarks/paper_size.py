"""Build a model of the paper's size from structured random arrays, in seconds: the input of the load tests.

    python benchmarks/paper_size.py MODEL [--items 50000] [--segments 1000] [--dimensions 128]

Users and items are clustered around tastes, segments use items near them, and the network has the paper's layers with
random weights. The recommendations are meaningless, but a list costs as much as with a trained model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import typer

from firstday.cold.cold_model import ColdModel, Epoch
from firstday.config import Config, parse_config
from firstday.data.events import ITEM, Pair
from firstday.data.ids import Ids
from firstday.embed.embeddings import FoldIn
from firstday.embed.kept_users import WarmUsers
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import N_AGES, Encoder
from firstday.methods.auto import Guard
from firstday.methods.blend import KNOTS, Blending
from firstday.methods.direct import Ranker
from firstday.methods.ease import ItemLinks
from firstday.methods.people import FriendWeights, Neighborhood
from firstday.methods.segments import SegmentLists
from firstday.model.folder import save_model
from firstday.model.item_content import ItemContent
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.segment.segments import ItemCounts, Mixing, Segments, rank_items
from firstday.sparse import SparseRows

PAIRS: tuple[Pair, ...] = tuple(
    sorted(
        [
            *[("favorite", entity) for entity in (ITEM, "artist", "album", "playlist")],
            ("onboarding", "artist"),
            *[(signal, entity) for signal in ("skip", "stream", "ban") for entity in (ITEM, "artist", "album")],
            *[("search", entity) for entity in (ITEM, "artist", "album", "playlist")],
        ],
        key=lambda pair: (pair[1] != ITEM, pair[1], pair[0]),
    )
)
"""The paper's 18 feature blocks of user actions."""

N_TASTES = 200
COUNTRIES = 50
USERS_PER_SEGMENT = 70
N_WARM = 70_000
ITEMS_PER_USER = 50
HISTORY = (Epoch(1, 1.0, 0.0, kept=True),)


def make_model(n_items: int = 50_000, n_segments: int = 1_000, dimensions: int = 128, seed: int = 0) -> TrainedModel:
    """Build the model."""
    rng = np.random.default_rng(seed)
    config = parse_config({"embedding": {"dimensions": dimensions}, "segments": {"n_segments": n_segments}})
    tastes = unit_rows(rng.normal(size=(N_TASTES, dimensions)))

    def around(taste_of: np.ndarray, noise: float) -> np.ndarray:
        return unit_rows(tastes[taste_of] + noise * unit_rows(rng.normal(size=(len(taste_of), dimensions))))

    taste_of_item = rng.integers(N_TASTES, size=n_items)
    popularity = 1 / (10 + rng.permutation(n_items))
    lengths = np.sqrt(popularity / popularity.max()) * rng.gamma(
        4, 0.25, size=n_items
    )  # as in ALS, rare items have short vectors
    items = (around(taste_of_item, 0.8) * lengths[:, None]).astype(np.float32)
    taste_of_segment = np.arange(n_segments) % N_TASTES
    centroids = 0.8 * around(taste_of_segment, 0.5)
    used = _uses(rng, n_segments, n_items, popularity, taste_of_segment, taste_of_item)
    sizes = {"artist": n_items // 5, "album": n_items // 3, "playlist": n_items // 10}
    targets = {ITEM: unit_rows(items)}
    targets |= {name: around(rng.integers(N_TASTES, size=n), 0.6) for name, n in sizes.items()}
    countries = tuple(f"C{number:02}" for number in range(COUNTRIES))
    everyone = ItemCounts(
        SparseRows.from_pairs(np.zeros(n_items, np.int64), np.arange(n_items), used.counts.column_sums(), 1, n_items),
        np.array([used.sizes.sum()]),
    )
    encoder = Encoder(
        PAIRS,
        targets,
        {"country": 0.5 * around(rng.integers(N_TASTES, size=COUNTRIES + 1), 0.5)},
        0.5 * around(rng.integers(N_TASTES, size=N_AGES + 1), 0.5),
        27.0,
        8.0,
        FoldIn(items, "least-squares", 15.0, 1.0),
        config.features,
        config.signals,
    )
    warm = _warm_users(rng, around, taste_of_item)
    input_centroids = rng.normal(size=(100, encoder.n_inputs)).astype(np.float32)
    return TrainedModel(
        config=config,
        catalogue=Catalogue(
            Ids.of([f"item-{ix:05}" for ix in range(n_items)]),
            {name: Ids.of([f"{name}-{ix:05}" for ix in range(n)]) for name, n in sizes.items()},
            {"country": countries},
            True,
            config.signals.names,
            tuple(f"Title {ix} of taste {taste}" for ix, taste in enumerate(taste_of_item)),
            warm.ids,
        ),
        signal_encoder=encoder,
        fold_in=encoder.fold_in,
        similarity="dot",
        cold=_network(encoder.n_inputs, dimensions, config, seed),
        segments=_segments(centroids, used),
        everyone=everyone,
        profile_groups={"country": _first(used, COUNTRIES), "age": _first(used, N_AGES)},
        warm=warm,
        learned={
            "input_clusters": _segments(input_centroids, _first(used, 100)),
            "direct": _ranker(encoder.n_inputs, everyone, config, seed),
            "edlae": ItemLinks(_item_weights(everyone, rng)),
            "segment": SegmentLists(),
            "soft_segments": Mixing(),
            "neighbors": Neighborhood(),
            "friends": FriendWeights(),
            "blend": Blending(
                ({"direct": 0.3, "personal": 0.3, "soft_segments": 0.2, "popular": 0.2, "edlae": 0.1},) * len(KNOTS)
            ),
            "auto": Guard(),
            "content": ItemContent(
                Ids.of([f"artist_id=artist-{ix:05}" for ix in range(sizes["artist"])]),
                np.pad(targets["artist"], ((0, 0), (0, 1))).astype(np.float32),
                projection=np.zeros((0, dimensions + 1), np.float32),
                centre=np.zeros(dimensions + 1, np.float32),
                n_hidden=n_items // 5,
                cosine=0.5,
                odds=np.array([-3.0, 4, 1, 0, 1, 0, 0]),
                usual_odds=np.array([-3.0, 4, 1, 0, 1, 0, 0]),
            ),
        },
        facts={
            "data": {"dataset": "random", "warm_users": int(used.sizes.sum()), "items": n_items},
            "metrics": {"users": "none", "k": 50, "precision": {}},
        },
    )


def _item_weights(everyone: ItemCounts, rng: np.random.Generator) -> SparseRows:
    """Draw 100 random weights for each of the 4,096 most used items."""
    counts = everyone.counts.column_sums()
    items = np.argsort(-counts, kind="stable")[:4_096]
    rows = np.repeat(items, 100)
    others = rng.choice(items, 100 * len(items))
    weights = rng.normal(size=len(rows)).astype(np.float32)
    return SparseRows.from_pairs(rows, others, weights, len(counts), len(counts))


def _uses(
    rng: np.random.Generator,
    n_segments: int,
    n_items: int,
    popularity: np.ndarray,
    taste_of_segment: np.ndarray,
    taste_of_item: np.ndarray,
) -> ItemCounts:
    """Draw the items that segments use: popular ones, and far more often those of their own taste."""
    columns = []
    counts = []
    for segment in range(n_segments):
        weight = popularity * np.where(taste_of_item == taste_of_segment[segment], 100, 1)
        drawn = rng.multinomial(20 * USERS_PER_SEGMENT, weight / weight.sum())
        columns.append(np.flatnonzero(drawn))
        counts.append(np.minimum(drawn[columns[-1]], USERS_PER_SEGMENT))
    rows = np.repeat(np.arange(n_segments), [len(of_segment) for of_segment in columns])
    return ItemCounts(
        SparseRows.from_pairs(rows, np.concatenate(columns), np.concatenate(counts), n_segments, n_items),
        np.full(n_segments, USERS_PER_SEGMENT, dtype=np.int64),
    )


def _first(counted: ItemCounts, n: int) -> ItemCounts:
    """Return n groups, cycling through the given ones."""
    rows = np.arange(n) % len(counted.sizes)
    return ItemCounts(counted.counts.take(rows), counted.sizes[rows])


def _warm_users(
    rng: np.random.Generator, around: Callable[[np.ndarray, float], np.ndarray], taste_of_item: np.ndarray
) -> WarmUsers:
    """Draw warm users, each of whom uses items of their own taste."""
    taste = rng.integers(N_TASTES, size=N_WARM)
    by_taste = np.argsort(taste_of_item, kind="stable")
    starts = np.searchsorted(taste_of_item[by_taste], np.arange(N_TASTES + 1))
    first = starts[taste]
    n = np.diff(starts)[taste]
    chosen = by_taste[first[:, None] + (rng.random((N_WARM, ITEMS_PER_USER)) * n[:, None]).astype(np.int64)]
    rows = np.repeat(np.arange(N_WARM), ITEMS_PER_USER)
    uses = SparseRows.from_pairs(rows, chosen.ravel(), None, N_WARM, len(taste_of_item)).ones()
    return WarmUsers(Ids.of([f"warm-{ix:05}" for ix in range(N_WARM)]), around(taste, 0.8), uses)


def _segments(centroids: np.ndarray, used: ItemCounts) -> Segments:
    top = rank_items(used, used.counts.column_sums(), 300)
    return Segments(centroids, used, top, np.full(len(centroids), 0.5, np.float32))


def _network(n_inputs: int, dimensions: int, config: Config, seed: int) -> ColdModel:
    """Export the paper's network with random weights."""
    import torch

    from firstday.cold.train_cold_model import ColdNetwork
    from firstday.cold.training_loop import export_network

    torch.manual_seed(seed)
    network = ColdNetwork(n_inputs, config.cold_model.hidden, dimensions)
    return export_network(network, HISTORY)


def _ranker(n_inputs: int, everyone: ItemCounts, config: Config, seed: int) -> Ranker:
    """Export a ranker with random weights over the most used items."""
    import torch
    from torch import nn

    from firstday.cold.train_cold_model import hidden_layers
    from firstday.cold.training_loop import export_network

    counts = everyone.counts.column_sums()
    items = np.sort(np.argsort(-counts, kind="stable")[: config.ranker.most_items]).astype(np.int32)
    shares = np.maximum(counts[items], 1) / counts.sum()
    torch.manual_seed(seed)
    layers, width = hidden_layers(n_inputs, config.ranker.hidden, config.ranker.dropout)
    weights = nn.Linear(width, len(items)).weight.detach().numpy().copy()
    return Ranker(export_network(nn.Sequential(*layers), HISTORY), items, weights, np.log(shares).astype(np.float32))


def main(model: Path, items: int = 50_000, segments: int = 1_000, dimensions: int = 128) -> None:
    """Write the model into a folder."""
    save_model(make_model(items, segments, dimensions), model)


if __name__ == "__main__":
    typer.run(main)
