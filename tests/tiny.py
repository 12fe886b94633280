"""Five users and six items, and a model of them made by hand: every number can be worked out with a pencil.

The vectors have two numbers: what is liked in the east, what is liked in the north.

| user | country | age | uses           | vector |        | item | vector     | artist | used by |
|------|---------|-----|----------------|--------|        |------|------------|--------|---------|
| u1   | FR      | 20  | i1, i2         | east   |        | i1   | (1, 0)     | a1     | 3 of 5  |
| u2   | FR      | 30  | i1, i2, i3     | east   |        | i2   | (.75, .25) | a1     | 2       |
| u3   |         | 20  | i1, i3         | east   |        | i3   | (.5, .5)   |        | 3       |
| u4   | DE      | 40  | i4, i5         | north  |        | i4   | (0, 1)     | a2     | 2       |
| u5   | DE      |     | i3, i4         | north  |        | i5   | (.25, .75) | a2     | 1       |
                                                          | i6   | (0, 0)     |        | nobody  |

Items have columns for filters, such as a genre and a year (`COLUMNS`).

Segment 0 is u1, u2 and u3 (centroid: east), segment 1 is u4 and u5 (centroid: north). The network predicts the sum of
the mean vectors of the user's age, country, streamed items, favorite artists and friends; it is deaf to bans and skips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from firstday.cold.cold_model import ColdModel, Layer
from firstday.config import Config, parse_config
from firstday.data.events import ITEM
from firstday.data.ids import Ids
from firstday.embed.embeddings import FoldIn
from firstday.embed.kept_users import WarmUsers
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import Encoder
from firstday.methods.auto import Guard
from firstday.methods.blend import Blending
from firstday.methods.clock import Clock
from firstday.methods.direct import Ranker
from firstday.methods.ease import Ease, ItemLinks
from firstday.methods.latest import Latest
from firstday.methods.people import FriendWeights, Neighborhood
from firstday.methods.segments import SegmentLists
from firstday.model.item_content import ItemContent
from firstday.model.trained_model import TrainedModel
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import NO_RULES, ItemRules, Quota, compile_rules
from firstday.segment.segments import ItemCounts, Mixing, Segments
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from tests.synthetic import COLD_MODELS

N_ITEMS = 6
D = 2
EAST = (1.0, 0.0)
NORTH = (0.0, 1.0)
NOWHERE = (0.0, 0.0)
ITEM_VECTORS = np.array([EAST, (0.75, 0.25), (0.5, 0.5), NORTH, (0.25, 0.75), NOWHERE], np.float32)
COLUMNS = {
    "added_at": pl.Series(["2026-10-01T00:00:00Z"] * 5 + ["2026-12-01T00:00:00Z"]),
    "artist_id": pl.Series([["a1"], ["a1"], [], ["a2"], ["a2"], []], dtype=pl.List(pl.String)),
    "genre": pl.Series([["jazz"], ["jazz", "pop"], ["pop"], ["rock"], ["jazz", "rock"], []]),
    "in_stock": pl.Series([True, True, True, True, False, None]),
    "licensed_in": pl.Series([["FR", "DE"], ["FR"], ["DE"], ["FR"], [], ["FR"]], dtype=pl.List(pl.String)),
    "mood": pl.Series(["calm", "calm", "wild", None, "wild", "wild"]),
    "year": pl.Series([2019.0, 2020.0, 2021.0, 2022.0, 2023.0, None]),
}
USES = SparseRows.from_lists([[0, 1], [0, 1, 2], [0, 2], [3, 4], [2, 3]], N_ITEMS)
_PAIRS = USES.transpose().through(USES)
TOGETHER = _PAIRS.keep(_PAIRS.columns != _PAIRS.row_of_entry())
"""How many use both of two items."""
TWO_OF_FIVE = float(np.log(2 / 5))
HALVE = 1 / np.log(2)
"""A temperature at which a weight halves for every whole number of distance."""

CONFIG: Config = parse_config(
    {
        "threads": 1,
        "signals": {"persistence": 0.9},
        "methods": list(COLD_MODELS),
        "features": {"group_shrinkage": 0, "age_users": 0, "counts": "plain", "unit_vectors": False, "fold_in": False},
        "recommend": {"k": 4, "group_smoothing": 2, "strategy": "segment"},
    }
)
PAIRS = (("ban", ITEM), ("skip", ITEM), ("stream", ITEM), ("favorite", "artist"))
BLOCKS = ("age", "country", "ban x item", "skip x item", "stream x item", "favorite x artist", "friends")
"""What the columns of features are, two each; a count of each pair follows, log(1 + friends), and the age."""
HEEDED = ("age", "country", "stream x item", "favorite x artist", "friends")
"""The blocks that networks add up."""
N_INPUTS = len(BLOCKS) * D + len(PAIRS) + 2


def make_clock(terms: Sequence[float], *, is_kept: bool = True) -> Clock:
    """Make a clock with a term for each item."""
    return Clock(7.0, 1.0, is_kept, np.array(terms, np.float32), 2.0, 1.0, 0.1, 100, 10)


def make_network(weights: np.ndarray) -> ColdModel:
    """Make the network that multiplies its input with weights, shape (n_inputs, n_outputs)."""
    return ColdModel((Layer(weights.astype(np.float32), np.zeros(weights.shape[1], np.float32)),))


def sum_blocks(blocks: Sequence[str] = HEEDED) -> np.ndarray:
    """Return the weights that add up blocks of the features, shape (N_INPUTS, 2)."""
    weights = np.zeros((N_INPUTS, D), np.float32)
    for name in blocks:
        at = BLOCKS.index(name) * D
        weights[at : at + D] = np.eye(D)
    return weights


def count_users(lists: Sequence[dict[int, int]], sizes: Sequence[int]) -> ItemCounts:
    """Make the counts of groups: users of each item, and of all."""
    rows = np.repeat(np.arange(len(lists)), [len(counts) for counts in lists])
    columns = np.array([item for counts in lists for item in counts], dtype=np.int64)
    users = np.array([n for counts in lists for n in counts.values()], dtype=np.float32)
    return ItemCounts(SparseRows.from_pairs(rows, columns, users, len(lists), N_ITEMS), np.array(sizes, np.int64))


def make_encoder() -> Encoder:
    """Make the encoder: countries and ages stand for the tastes of their users, unknown ones for none."""
    age_means = np.zeros((122, D), np.float32)
    age_means[[20, 30]], age_means[40] = EAST, NORTH
    return Encoder(
        pairs=PAIRS,
        target_vectors={
            ITEM: ITEM_VECTORS,
            "artist": np.array([(0.875, 0.125), (0.125, 0.875)], np.float32),
        },
        group_means={"country": np.array([NORTH, EAST, NOWHERE, NOWHERE], np.float32)},
        age_means=age_means,
        age_centre=30.0,
        age_scale=10.0,
        fold_in=FoldIn(ITEM_VECTORS, "mean"),
        config=CONFIG.features,
        signals=CONFIG.signals,
        members_of_items={"artist": SparseRows.from_lists([[0], [0], [], [1], [1], []], 2)},
        friend_vectors=np.array([EAST, EAST, EAST, NORTH, NORTH], np.float32),
    )


def make_baselines() -> dict[str, Any]:
    """Make what methods that must be named could have learned: of i6 they know nothing."""
    learned = {"ease": Ease(np.arange(5), (TOGETHER.dense()[:5, :5] > 0).astype(np.float32))}
    if COLD_MODELS:
        from tests.lab.baselines.by_hand import make_baselines_of_lab

        learned |= make_baselines_of_lab()
    return learned


def make_base_methods() -> dict[str, Any]:
    """Make what the methods of every model could have learned."""
    towards = np.zeros((2, N_INPUTS), np.float32)
    towards[0, 2], towards[1, 3] = 1, 1  # the country's block
    logarithms = np.log(np.array([[4, 1], [2, 1], [1, 1], [1, 4], [1, 2]], np.float32))
    return {
        "input_clusters": Segments(  # u1 and u2, who are from FR, and the others
            centroids=towards[::-1].copy(),
            items=count_users([{0: 1, 2: 2, 3: 2, 4: 1}, {0: 2, 1: 2, 2: 1}], [3, 2]),
            top_items=np.array([[2, 3, 0, 4], [0, 1, 2, -1]], np.int32),
            spread=np.zeros(2, np.float32),
        ),
        "direct": Ranker(make_network(sum_blocks()), np.arange(5, dtype=np.int32), logarithms, np.zeros(5, np.float32)),
        "edlae": ItemLinks(
            SparseRows.from_pairs(  # who likes i1 likes i3, and even more i2; i5 and i1 do not go together
                np.array([0, 0, 4]), np.array([1, 2, 0]), np.array([3, 1, -1], np.float32), N_ITEMS, N_ITEMS
            )
        ),
        "latest": Latest("artist", DAY_US * np.arange(1, N_ITEMS + 1)),  # an item a day
        "segment": SegmentLists(smoothing=0.0),
        "soft_segments": Mixing(temperature=HALVE, smoothing=1.0),
        "neighbors": Neighborhood(temperature=HALVE, smoothing=0.5),
        "friends": FriendWeights(smoothing=1.0),
        "blend": Blending(
            (
                {"direct": 0.0, "personal": 0.0, "soft_segments": 0.5, "popular": 1.0, "edlae": 0.0},
                {"direct": 0.5, "personal": 1.0, "soft_segments": 0.0, "popular": 0.5, "edlae": 0.5},
                {"direct": 0.0, "personal": 1.0, "soft_segments": 0.0, "popular": 0.0, "edlae": 2.0},
            )
        ),
        "auto": Guard(),
    }


def with_learned(model: TrainedModel, **learned: Any) -> TrainedModel:
    """Return the model with other learned values of some methods."""
    return replace(model, learned={**model.learned, **learned})


def without_learned(model: TrainedModel, *names: str) -> TrainedModel:
    """Return the model without the learned values of some methods."""
    return replace(model, learned={name: value for name, value in model.learned.items() if name not in names})


def make_model() -> TrainedModel:
    """Make the model; nothing in it is learned."""
    every_age = count_users(
        [{20: {0: 2, 1: 1, 2: 1}, 30: {0: 1, 1: 1, 2: 1}, 40: {3: 1, 4: 1}}.get(age, {}) for age in range(121)],
        [{20: 2, 30: 1, 40: 1}.get(age, 0) for age in range(121)],
    )
    encoder = make_encoder()
    return TrainedModel(
        config=CONFIG,
        catalogue=Catalogue(
            items=Ids.of([f"i{ix}" for ix in range(1, 7)]),
            entities={"artist": Ids.of(["a1", "a2"])},
            groups={"country": ("DE", "FR", "ZZ")},  # nobody is from ZZ
            has_ages=True,
            signals=CONFIG.signals.names,
            titles=("One", "Two", "Three", "Four", "Five", ""),
            people=Ids.of([f"u{ix}" for ix in range(1, 6)]),
            columns=COLUMNS,
        ),
        signal_encoder=encoder,
        fold_in=encoder.fold_in,
        similarity="dot",
        cold=make_network(sum_blocks()),
        segments=Segments(
            centroids=np.array([EAST, NORTH], np.float32),
            items=count_users([{0: 3, 1: 2, 2: 2}, {2: 1, 3: 2, 4: 1}], [3, 2]),
            top_items=np.array([[0, 2, 1], [3, 2, 4]], np.int32),
            spread=np.zeros(2, np.float32),
        ),
        everyone=count_users([{0: 3, 1: 2, 2: 3, 3: 2, 4: 1}], [5]),
        profile_groups={
            "country": count_users([{2: 1, 3: 2, 4: 1}, {0: 2, 1: 2, 2: 1}, {}], [2, 2, 0]),
            "age": every_age,
        },
        facts={"data": {"dataset": "tiny", "warm_users": 5}, "metrics": {"k": 4, "precision": {}}},
        learned={
            **make_base_methods(),
            **make_baselines(),
            "links": SparseRows.from_pairs(  # i1 goes with i2, a bit less with i3; i4 with i5
                np.array([0, 0, 3]), np.array([1, 2, 4]), np.array([0.5, 0.4, 0.6], np.float32), N_ITEMS, N_ITEMS
            ),
        },
        warm=WarmUsers(
            Ids.of([f"u{ix}" for ix in range(1, 6)]), np.array([EAST, EAST, EAST, NORTH, NORTH], np.float32), USES
        ),
    )


ODDS = np.array([-3.0, 4.0, 1.0, 0.0, 1.0, 0.0, 0.0])
"""Log-odds of use of new items: the intercept, and the weights of likeness, popularity, three other inputs of which
only the success counts, and the number known."""


def make_content(**changes: Any) -> ItemContent:
    """Make what could have been learned: artists, the words "east" and "north" and own vectors stand for a direction.

    The log-odds of use are 4 times the dot product of vectors and the logarithm of the popularity, less 3.
    """
    directions = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
    content = ItemContent(
        terms=Ids.of(["east", "north", "artist_id=a1", "artist_id=a2"]),
        means=np.tile(directions, (2, 1)),
        projection=directions,
        centre=np.array([0, 0, TWO_OF_FIVE], np.float32),
        n_hidden=5,
        cosine=1.0,
        odds=ODDS,
        usual_odds=ODDS,
    )
    return replace(content, **changes)


def make_recommender() -> Recommender:
    """Make the recommender of the model."""
    return Recommender(make_model())


@cache
def _compile_no_rules() -> ItemRules:
    return compile_rules(make_model(), [NO_RULES], {})


def make_quota(*closed: int) -> Quota:
    """Return the quota of a user's list, without rules."""
    quota = Quota(_compile_no_rules(), np.zeros(0, dtype=np.int32))
    quota.open[list(closed)] = False
    return quota
