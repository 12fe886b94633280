"""TrainedModel: all that is needed to recommend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from firstday.cold.cold_model import ColdModel
from firstday.config import Config
from firstday.data.ids import NOT_STORED
from firstday.display import readable
from firstday.embed.embeddings import FoldIn
from firstday.embed.kept_users import WarmUsers
from firstday.errors import FirstdayError
from firstday.features.ages import pool_counts
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import Encoder
from firstday.features.signal_batch import SignalBatch
from firstday.features.signals import Signals
from firstday.impressions.counts import ShownCounts
from firstday.model.calibration import Calibration
from firstday.ranking import unit_rows
from firstday.segment.segments import ItemCounts, Mixing, Segments, smooth_shares
from firstday.sparse import SparseRows

T = TypeVar("T")
KNOWLEDGE = ("nothing", "profile", "friends", "1-3", "4+")
"""Classes of users by the signals known to the model: none; profile only; friends, with or without a profile;
interactions with 1 to 3 items or members of other entities; interactions with 4 or more."""
N_REFERENCE_ITEMS = 100
"""Number of items by whose scores a user's level is measured."""
FEW = 4
"""Minimum number of items and entity members of the last class."""


@readable
@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """Result of training.

    Parameters
    ----------
    config
        Training configuration.
    catalogue
        Known names and ids.
    signal_encoder
        Signals -> features; None for a model of the released features, which only answers queries with precomputed day
        ones.
    fold_in
        Item vectors, and the computation of a user's vector from them.
    similarity
        Similarity of user and item vectors, by which items are scored.
    cold
        Features -> predicted mature vector.
    segments
        Clusters of warm users' vectors.
    everyone
        Number of warm users who use each item, one row.
    profile_groups
        Number of warm users who use each item, by value of each profile column, and by year of age under ``age``.
    facts
        Descriptive facts, as JSON values: `data`, counts of the training data, and `metrics`, on validation users.
    learned
        Learned values of methods by name: what they learned, and the settings chosen on validation users. Values that
        several strategies read, such as the log's clock, are among them.
    warm
        Stored warm users; None if `config.recommend.warm_users` is 0.
    calibrations
        Calibration of scores to probabilities of use by strategy name, fitted on validation users.
    unlisted
        Indexes of items that are in no list, int32, ascending; see `Dataset.find_unlisted`.
    updated
        Indexes of items with values that updates stated, not the table `items`, int32, ascending.
    shown_counts
        Impressions and subsequent uses per segment and item; None if the tables have no impressions.
    stored_covariance
        Covariance of the scoring vectors, if it is known.
    derived, compiled_rules
        Caches: of values that methods derive, and of compiled rules.
    """

    config: Config
    catalogue: Catalogue
    signal_encoder: Encoder | None
    fold_in: FoldIn
    similarity: Literal["dot", "cosine"]
    cold: ColdModel
    segments: Segments
    everyone: ItemCounts
    profile_groups: Mapping[str, ItemCounts]
    facts: Mapping[str, Any] = field(default_factory=dict)
    learned: Mapping[str, Any] = field(default_factory=dict)
    warm: WarmUsers | None = None
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    unlisted: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    updated: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    shown_counts: ShownCounts | None = None
    stored_covariance: np.ndarray | None = field(default=None, repr=False, metadata=NOT_STORED)
    derived: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, metadata=NOT_STORED)
    compiled_rules: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, metadata=NOT_STORED)

    def _repr_facts_(self) -> Mapping[str, Any]:
        data = self.facts.get("data", {})
        metrics = self.facts.get("metrics", {})
        facts = {name: data[name] for name in ("dataset", "warm_users") if name in data}
        facts |= {"items": self.n_items, "segments": len(self.segments), "dimensions": self.dimensions}
        facts["strategy"] = self.config.recommend.strategy
        if precision := metrics.get("precision"):
            facts[f"P@{metrics['k']}, %"] = {name: round(value, 1) for name, value in precision.items()}
        return facts

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.catalogue.items)

    @property
    def dimensions(self) -> int:
        """Number of dimensions d of a vector."""
        return int(self.fold_in.item_vectors.shape[1])

    @property
    def encoder(self) -> Encoder:
        """Signals -> features; raises `FirstdayError` if the model was trained on released features."""
        if self.signal_encoder is None:
            raise FirstdayError(
                "model: was trained on the released features and cannot read signals; train one on tables."
            )
        return self.signal_encoder

    def read_signals(self, users: Sequence[Signals]) -> tuple[SignalBatch, list[tuple[str, ...]]]:
        """Translate signals from the caller's ids into indexes; see `firstday.features.catalogue.Catalogue.read`."""
        return self.catalogue.read(users, self.config.signals)

    @cached_property
    def shared_groups(self) -> Mapping[str, ItemCounts]:
        """`profile_groups` with ages smoothed over near years; see `Encoder.age_widths`."""
        widths = None if self.signal_encoder is None else self.signal_encoder.age_widths
        if widths is None or "age" not in self.profile_groups:
            return self.profile_groups
        return {**self.profile_groups, "age": pool_counts(self.profile_groups["age"], widths)}

    @property
    def members_of_items(self) -> Mapping[str, SparseRows]:
        """For each entity with known items, the members that each item belongs to, shape (n_items, n_members)."""
        return {} if self.signal_encoder is None else self.signal_encoder.members_of_items

    @cached_property
    def scoring_vectors(self) -> np.ndarray:
        """Item vectors whose dot product with a user's vector is the score, float32, shape (n_items, d)."""
        items = self.fold_in.item_vectors
        return unit_rows(items) if self.similarity == "cosine" else items

    @cached_property
    def kept_by_segment(self) -> SparseRows:
        """Stored warm users of each segment, shape (n_segments, n_stored); requires `warm`."""
        assert self.warm is not None
        vectors = self.warm.vectors
        n_kept = len(self.warm)
        batches = np.array_split(vectors, n_kept // 10_000 + 1)  # bounds memory
        parts = [self.segments.assign(batch) for batch in batches]
        return SparseRows.from_pairs(np.concatenate(parts), np.arange(n_kept), None, len(self.segments), n_kept)

    @cached_property
    def vector_covariance(self) -> np.ndarray:
        """Covariance of the scoring vectors over all items, float32, shape (d, d)."""
        if self.stored_covariance is not None:
            return self.stored_covariance
        covariance = np.cov(self.scoring_vectors.astype(np.float64), rowvar=False, bias=True)
        return np.atleast_2d(covariance).astype(np.float32)

    @cached_property
    def without_vector(self) -> np.ndarray:
        """Indexes of items with a zero vector, which lists by vector similarity omit."""
        return np.flatnonzero(~self.scoring_vectors.any(axis=1))

    @cached_property
    def popularity(self) -> np.ndarray:
        """Share of warm users who use each item, from 0 to 1: float32, shape (n_items,)."""
        shares = self.everyone.counts.column_sums() / max(1, int(self.everyone.sizes[0]))
        return shares.astype(np.float32)

    @property
    def mixing(self) -> Mixing:
        """How segments near a vector are weighted; chosen for `soft_segments`."""
        return self.learned["soft_segments"]

    @cached_property
    def smoothed_shares(self) -> np.ndarray:
        """Shares of each segment's top items, smoothed as `mixing` says, float32, shape (n_segments, n_top)."""
        return smooth_shares(self.segments, self.popularity, self.mixing)

    def with_learned(self, **learned: Any) -> TrainedModel:
        """Return the model with other learned values of methods, None for none."""
        values = {name: value for name, value in {**self.learned, **learned}.items() if value is not None}
        return replace(self, learned=values)

    def derive(self, function: Callable[[TrainedModel], T]) -> T:
        """Return `function(self)`, computed once: what one method derives from the model."""
        if function not in self.derived:
            self.derived[function] = function(self)
        return self.derived[function]

    @cached_property
    def popular_items(self) -> np.ndarray:
        """All items by descending popularity, ties by index: int32, shape (n_items,)."""
        return np.argsort(-self.popularity, kind="stable").astype(np.int32)

    @property
    def reference_items(self) -> np.ndarray:
        """The most used items, by whose scores a user's level is measured, int32, shape (n_reference,)."""
        return self.popular_items[:N_REFERENCE_ITEMS]

    @cached_property
    def listed(self) -> np.ndarray:
        """Mask of items that may be listed, bool, shape (n_items,)."""
        listed = np.ones(self.n_items, dtype=bool)
        listed[self.unlisted] = False
        return listed
