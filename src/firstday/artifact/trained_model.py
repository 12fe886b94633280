"""TrainedModel: everything needed to recommend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from firstday.artifact.calibration import Calibration
from firstday.cold.cold_model import ColdModel
from firstday.cold.ranker import Ranker
from firstday.config import Config
from firstday.data.events import Pair
from firstday.display import readable
from firstday.embed.embeddings import FoldIn
from firstday.embed.kept_users import Neighborhood, WarmUsers
from firstday.errors import FirstdayError
from firstday.features.ages import share_counts
from firstday.features.encoder import Encoder
from firstday.features.signals import Catalogue, SignalBatch, Signals
from firstday.ranking import NO_ITEM, unit_rows
from firstday.segment.new_items import NewItems
from firstday.segment.segments import BELIEF_SMOOTHING, ItemCounts, Mixing, Segments, rank_smoothed, smooth_shares
from firstday.segment.shown_counts import ShownCounts
from firstday.sparse import SparseRows

KNOWLEDGE = ("nothing", "profile", "friends", "1-3", "4+")
"""Classes of users by how much is known of them: nothing that the model understands; a profile and nothing else;
friends, with or without a profile; a signal on 1 to 3 items or members of other entities; on 4 and more."""
FEW = 4
"""Items and members from which on a user is in the last class."""
KEPT_AT_ONCE = 10_000
"""Kept users whose segments are looked for at once: bounds memory."""
FIRST_CHOICE = "blend"
"""What `auto` answers by where nothing was chosen."""


KNOTS = (0, 1, 20)
"""Numbers of things that a user did at which `blend` has weights of their own."""


def _personal_alone() -> tuple[Mapping[str, float], ...]:
    return ({"personal": 1.0},) * len(KNOTS)


def _no_items() -> np.ndarray:
    return np.zeros(0, dtype=np.int32)


@readable
@dataclass(frozen=True)
class Blending:
    """The weights of `blend`, fitted on validation users.

    Parameters
    ----------
    weights
        For users who did each number of things in `KNOTS`: the weight of each component, by the name of its strategy,
        the same components for all. From one thing on, weights follow the logarithm of the number.
    """

    weights: tuple[Mapping[str, float], ...] = field(default_factory=_personal_alone)

    def at(self, n_known: np.ndarray) -> dict[str, np.ndarray]:
        """Return the weights of each component for users who did so many things, float32, shape (n_users,)."""
        shares = share_of_knots(n_known)
        names = self.weights[0]
        return {name: shares @ np.array([of[name] for of in self.weights], dtype=np.float32) for name in names}


def share_of_knots(n_known: np.ndarray) -> np.ndarray:
    """Return how much the weights at each of `KNOTS` count for users who did so much, float32, (n_users, n_knots)."""
    to_many = np.minimum(np.log(np.maximum(n_known, 1)) / np.log(KNOTS[-1]), 1)
    nothing = n_known == 0
    shares = [nothing, np.where(nothing, 0, 1 - to_many), np.where(nothing, 0, to_many)]
    return np.stack(shares, axis=1).astype(np.float32)


@readable
@dataclass(frozen=True)
class ClassEvidence:
    """What validation users of one class tell of strategies.

    Parameters
    ----------
    n_users
        How many there were.
    users
        Who they were: those of the ``class``; where they are few, users who did more, with that taken ``away``; where
        there are none, nobody, and the choice is that of the next class (``neighbor``), mixed with the fallback.
    fallback
        The better of `group` and `popular` for them.
    best
        What `auto` answers this class by.
    precision
        Of each strategy's own lists, in %.
    intervals
        The ends of its 95 % interval over the users.
    """

    n_users: int
    users: Literal["class", "away", "neighbor"]
    fallback: str
    best: str
    precision: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@readable
@dataclass(frozen=True)
class Selection:
    """Which strategy answers whom, chosen on validation users.

    Parameters
    ----------
    classes
        For each class of `KNOWLEDGE`; empty: `auto` is `blend`.
    """

    classes: tuple[ClassEvidence, ...] = ()

    def best_of(self, knowledge: int) -> str:
        """Return what `auto` answers a class of `KNOWLEDGE` by, given its position."""
        return self.classes[knowledge].best if self.classes else FIRST_CHOICE


@readable
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
    segment_smoothing
        Number of average users added to each segment for the lists of `segment`; 0: none, as in the paper.
    mixing
        How `soft_segments` weighs segments.
    learned
        What other methods learned, by name: those of `config.methods`.
    ranker
        Features -> ranked items; None where `config.ranker` is not enabled.
    warm
        Warm users to compare new ones with; None where `config.recommend.warm_users` is 0.
    neighborhood
        How `neighbors` and `friends` weigh them.
    item_weights
        How much each item speaks for others, shape (n_items, n_items); None where `blend` does not weigh that.
    blending
        How `blend` weighs the other strategies.
    selection
        Which strategy `auto` answers by.
    calibrations
        For each strategy whose scores become probabilities of use, by name: how, chosen on validation users.
    unlisted
        Indexes of items that no list has, int32, ascending: where vectors are precomputed, those that came without one.
    shown_counts
        How often each segment was shown an item, and used it after that; None where the tables have no impressions.
    trend
        Weighted log ratio of each item's recent to overall share of uses, float32, shape (n_items,); None
        without timestamps.
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
    segment_smoothing: float = 0.0
    mixing: Mixing = field(default_factory=Mixing)
    learned: Mapping[str, Any] = field(default_factory=dict)
    ranker: Ranker | None = None
    warm: WarmUsers | None = None
    neighborhood: Neighborhood = field(default_factory=Neighborhood)
    item_weights: SparseRows | None = None
    blending: Blending = field(default_factory=Blending)
    selection: Selection = field(default_factory=Selection)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    unlisted: np.ndarray = field(default_factory=_no_items)
    shown_counts: ShownCounts | None = None
    trend: np.ndarray | None = None

    def _repr_facts_(self) -> Mapping[str, Any]:
        data, metrics = self.facts.get("data", {}), self.facts.get("metrics", {})
        facts = {name: data[name] for name in ("dataset", "warm_users") if name in data}
        facts |= {"items": self.n_items, "segments": len(self.segments), "dimensions": self.dimensions}
        facts["strategy"] = self.config.recommend.strategy
        if precision := metrics.get("precision"):
            facts[f"P@{metrics['k']}, %"] = {name: round(value, 1) for name, value in precision.items()}
        return facts

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

    def read_signals(self, users: Sequence[Signals]) -> tuple[SignalBatch, list[tuple[str, ...]]]:
        """Turn signals in the caller's ids into indexes; see `firstday.features.signals.Catalogue.read`."""
        return self.catalogue.read(users, self.config.signals)

    @cached_property
    def shared_groups(self) -> Mapping[str, ItemCounts]:
        """`profile_groups`, in which years of age have users of near years too, see `Encoder.age_widths`."""
        widths = None if self.signal_encoder is None else self.signal_encoder.age_widths
        if widths is None or "age" not in self.profile_groups:
            return self.profile_groups
        return {**self.profile_groups, "age": share_counts(self.profile_groups["age"], widths)}

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
    def kept_by_segment(self) -> SparseRows:
        """The kept warm users of each segment, shape (n_segments, n_kept); the model must keep warm users."""
        assert self.warm is not None
        vectors, n_kept = self.warm.vectors, len(self.warm)
        parts = [self.segments.assign(vectors[at : at + KEPT_AT_ONCE]) for at in range(0, n_kept, KEPT_AT_ONCE)]
        return SparseRows.from_pairs(np.concatenate(parts), np.arange(n_kept), None, len(self.segments), n_kept)

    @cached_property
    def vector_covariance(self) -> np.ndarray:
        """Covariance of the scoring vectors over all items, float32, shape (d, d)."""
        centred = self.scoring_vectors.astype(np.float64)
        centred -= centred.mean(axis=0)
        covariance: np.ndarray = (centred.T @ centred / max(1, len(centred))).astype(np.float32)
        return covariance

    @cached_property
    def without_vector(self) -> np.ndarray:
        """Indexes of the items whose vector is zero: no list by vectors has them."""
        return np.flatnonzero(~self.scoring_vectors.any(axis=1))

    @cached_property
    def place_of_ranked(self) -> np.ndarray:
        """The place of each item among those that the ranker ranks, -1 for others, int32, shape (n_items,)."""
        assert self.ranker is not None
        place = np.full(self.n_items, NO_ITEM, dtype=np.int32)
        place[self.ranker.items] = np.arange(len(self.ranker.items))
        return place

    @cached_property
    def popularity(self) -> np.ndarray:
        """Share of warm users who use each item, float32, shape (n_items,)."""
        shares = self.everyone.counts.column_sums() / max(1, int(self.everyone.sizes[0]))
        return shares.astype(np.float32)

    @cached_property
    def new_items(self) -> np.ndarray:
        """Indexes of the items that no warm user uses, int32, ascending: what is known of them is what was shown."""
        return np.flatnonzero(self.everyone.counts.column_sums() == 0).astype(np.int32)

    @cached_property
    def segment_lists(self) -> tuple[np.ndarray, np.ndarray]:
        """The lists of `segment`: items and shares of each segment; see `rank_smoothed`."""
        listed = self.popularity.copy()
        listed[self.unlisted] = 0
        return rank_smoothed(self.segments, listed, self.segment_smoothing)

    @cached_property
    def smoothed_shares(self) -> np.ndarray:
        """Share of users of each segment's top items, leaning on everyone's, float32, shape (n_segments, n_top)."""
        return smooth_shares(self.segments, self.popularity, self.mixing)

    @cached_property
    def believed_shares(self) -> np.ndarray:
        """The same as far as evidence is weighed by them (`BELIEF_SMOOTHING`), float32, shape (n_segments, n_top)."""
        return smooth_shares(self.segments, self.popularity, Mixing(smoothing=BELIEF_SMOOTHING))

    @cached_property
    def popular_items(self) -> np.ndarray:
        """All items, most popular first, ties by the lower index, int32, shape (n_items,)."""
        return np.lexsort((np.arange(self.n_items), -self.popularity)).astype(np.int32)

    @cached_property
    def rates_of_new_items(self) -> NewItems | None:
        """What impressions tell of new items that a list may have; None where none are counted, or nothing is new."""
        if self.shown_counts is None:
            return None
        items = self.new_items[~np.isin(self.new_items, self.unlisted)]
        return NewItems.of(self.shown_counts, items) if len(items) else None

    @cached_property
    def listed_items(self) -> np.ndarray:
        """The items that a list may have, in the order of `popular_items`."""
        if not len(self.unlisted):
            return self.popular_items
        return self.popular_items[~np.isin(self.popular_items, self.unlisted)]
