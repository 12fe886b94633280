"""TrainedModel: everything needed to recommend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from firstday.artifact.calibration import Calibration
from firstday.cold.cold_model import ColdModel
from firstday.cold.ranker import Ranker
from firstday.config import Config
from firstday.data.events import Pair
from firstday.embed.embeddings import FoldIn
from firstday.embed.kept_users import Neighborhood, WarmUsers
from firstday.errors import FirstdayError
from firstday.features.encoder import Encoder
from firstday.features.signals import Catalogue
from firstday.ranking import unit_rows
from firstday.segment.segments import ItemCounts, Mixing, Segments, smooth_shares
from firstday.sparse import SparseRows

BOUNDS = (1, 4)
"""Items liked so far at which the second and the third class of users begin: 0, 1 to 3, 4 and more."""


def _personal_alone() -> tuple[Mapping[str, float], ...]:
    return tuple({"personal": 1.0} for _ in range(len(BOUNDS) + 1))


def _no_items() -> np.ndarray:
    return np.zeros(0, dtype=np.int32)


@dataclass(frozen=True)
class Blending:
    """The weights, chosen on validation users.

    Parameters
    ----------
    weights
        For each class of users, least known first: the weight of each component, by the name of its strategy.
    """

    weights: tuple[Mapping[str, float], ...] = field(default_factory=_personal_alone)

    def class_of(self, n_liked: np.ndarray) -> np.ndarray:
        """Return the class of users by how many items they like so far, integers, shape (n,)."""
        classes: np.ndarray = np.digitize(n_liked, BOUNDS)
        return classes


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """The result of training.

    Parameters
    ----------
    config
        The configuration that it was trained with.
    catalogue
        The names that it understands.
    signal_encoder
        Signals -> features; None in a model of released features, which answers queries with computed day ones alone.
    fold_in
        How a user's vector follows from the items' vectors, which it holds.
    similarity
        How a user's vector scores items.
    cold
        Features -> predicted mature vector.
    segments
        Clusters of warm users' vectors.
    input_clusters
        Clusters of warm users' day-one features (for `input_clusters`).
    everyone
        How many warm users use each item, one row.
    profile_groups
        The same by value of each profile column, and by year of age under ``age``.
    facts
        For people to read, JSON values only: `data`, counts of the training data, and `metrics`, on validation users.
    mixing
        How `soft_segments` weighs segments.
    learned
        What other methods learned, by name: those of `config.methods`.
    ranker
        Features -> ranked items; None where `config.ranker` is not enabled.
    warm
        Warm users to compare new ones with, and light ones who may be friends; None where
        `config.recommend.warm_users` is 0.
    neighborhood
        How `neighbors` and `friends` weigh them.
    blending
        How `blend` weighs the other strategies.
    calibrations
        For each strategy whose scores become probabilities of use, by name: how, chosen on validation users.
    unlisted
        Indexes of items that no list has, int32, ascending: where vectors are precomputed, those that came without one.
    """

    config: Config
    catalogue: Catalogue
    signal_encoder: Encoder | None
    fold_in: FoldIn
    similarity: Literal["dot", "cosine"]
    cold: ColdModel
    segments: Segments
    input_clusters: Segments
    everyone: ItemCounts
    profile_groups: Mapping[str, ItemCounts]
    facts: Mapping[str, Any] = field(default_factory=dict)
    mixing: Mixing = field(default_factory=Mixing)
    learned: Mapping[str, Any] = field(default_factory=dict, metadata={"codec": "registry"})
    ranker: Ranker | None = None
    warm: WarmUsers | None = None
    neighborhood: Neighborhood = field(default_factory=Neighborhood)
    blending: Blending = field(default_factory=Blending)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    unlisted: np.ndarray = field(default_factory=_no_items)

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return len(self.catalogue.items)

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return int(self.fold_in.item_vectors.shape[1])

    @property
    def encoder(self) -> Encoder:
        """Signals -> features.

        Raises
        ------
        FirstdayError
            The model is one of released features and cannot read signals.
        """
        if self.signal_encoder is None:
            raise FirstdayError(
                "model: it was trained on released features and cannot read signals; train one on tables."
            )
        return self.signal_encoder

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The (signal, entity) pairs that the features have a block for."""
        return () if self.signal_encoder is None else self.signal_encoder.pairs

    @property
    def knows_friends(self) -> bool:
        """Whether the features have a block for friends."""
        return self.signal_encoder is not None and self.signal_encoder.friend_vectors is not None

    @property
    def members_of_items(self) -> Mapping[str, SparseRows]:
        """For each entity whose items are known: which of its members each item belongs to, (n_items, n_members)."""
        return {} if self.signal_encoder is None else self.signal_encoder.members_of_items

    @cached_property
    def scoring_vectors(self) -> np.ndarray:
        """What a user's vector is multiplied with to score items, float32, shape (n_items, d)."""
        items = self.fold_in.item_vectors
        return unit_rows(items) if self.similarity == "cosine" else items

    @cached_property
    def items_without_vector(self) -> np.ndarray:
        """Indexes of items without a vector: no warm user used them, or none was brought along for them."""
        return np.flatnonzero(~self.scoring_vectors.any(axis=1))

    @cached_property
    def popularity(self) -> np.ndarray:
        """Share of warm users who use each item, float32, shape (n_items,)."""
        shares = self.everyone.counts.column_sums() / max(1, int(self.everyone.sizes[0]))
        return shares.astype(np.float32)

    @cached_property
    def smoothed_shares(self) -> np.ndarray:
        """Share of users of each segment's top items, leaning on everyone's, float32, shape (n_segments, n_top)."""
        return smooth_shares(self.segments, self.popularity, self.mixing)

    @cached_property
    def popular_items(self) -> np.ndarray:
        """All items, most popular first, ties by the lower index, int32, shape (n_items,)."""
        return np.lexsort((np.arange(self.n_items), -self.popularity)).astype(np.int32)

    @cached_property
    def listed_items(self) -> np.ndarray:
        """The items that a list may have, in the order of `popular_items`."""
        if not len(self.unlisted):
            return self.popular_items
        return self.popular_items[~np.isin(self.popular_items, self.unlisted)]
