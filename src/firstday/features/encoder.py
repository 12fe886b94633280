"""Encoder: day-one features of users. FeatureRows: features of many users, in memory or computed on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from firstday.config import FeatureConfig, SignalConfig
from firstday.data.events import ITEM, Pair, sort_pairs
from firstday.display import readable
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.features.ages import choose_widths, weigh_years
from firstday.features.signal_batch import SignalBatch
from firstday.features.signals import PICK_SIGNAL, Signals
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows, union_rows

N_AGES = 121
MAX_MEMORY_SHARE = 1 / 3
"""Features up to this share of the memory stay in memory."""
CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with the memory limit of a Linux container, in bytes: control groups 2 and 1. Without a limit: ``max``."""
ROWS_PER_BATCH = 16_384
"""Rows encoded per batch."""


@readable
@dataclass(frozen=True, eq=False)
class Encoder:
    """Encodes signals as features.

    Feature columns, in order:

    - blocks of d columns: the mean vector of users of the same age (if ages are known); for each profile column, the
      mean vector of users with the same value; for each (signal, entity) pair, the mean vector of the entity members
      that the user interacted with (zeros without any); the mean vector of the user's friends among the stored warm
      users (if friends are known); the fold-in vector (if configured)
    - numbers: members per pair (scale: `config.counts`); log(1 + stored friends); the standardised age (0 if unknown)
    """

    pairs: tuple[Pair, ...]  # (signal, entity) pairs that have a block
    target_vectors: Mapping[str, np.ndarray]  # vectors of each entity's members, float32, shape (n_members, d)
    # Mean vector of the users with each value of each profile column, float32, shape (n_values + 1, d). The last row is
    # the overall mean, for missing and unseen values.
    group_means: Mapping[str, np.ndarray]
    age_means: np.ndarray | None  # the same for years of age, shape (121 + 1, d); None without ages
    age_centre: float  # mean of warm users' ages, in years
    age_scale: float  # standard deviation of warm users' ages, in years
    fold_in: FoldIn  # computes the fold-in vector, which is a block if `config.fold_in` is set
    config: FeatureConfig
    signals: SignalConfig
    # For each entity with known items, each item's members of that entity, such as its artists, shape (n_items,
    # n_members); used by blocks derived from items (`config.through_items`) and by the questionnaire.
    members_of_items: Mapping[str, SparseRows] = field(default_factory=dict)
    friend_vectors: np.ndarray | None = None  # unit vectors of stored users, shape (n_stored, d); None without friends
    age_widths: np.ndarray | None = None  # kernel width of each year of age, int64, shape (121,); None without ages

    @property
    def dimensions(self) -> int:
        """Number of dimensions d of a vector."""
        return int(self.fold_in.item_vectors.shape[1])

    @cached_property
    def _means(self) -> dict[str, np.ndarray]:
        """Mean vectors of each profile column's values, with ages as ``age``, in the order of the blocks."""
        ages = {} if self.age_means is None else {"age": self.age_means}
        return {**ages, **self.group_means}

    def blocks(self) -> tuple[str, ...]:
        """Return the names of the blocks of `dimensions` columns, in order."""
        names = [*self._means, *map(" x ".join, self.pairs)]
        if self.friend_vectors is not None:
            names.append("friends")
        if self.config.fold_in:
            names.append("fold_in")
        return tuple(names)

    @property
    def n_inputs(self) -> int:
        """Number of columns that `encode` returns."""
        n_blocks = len(self.blocks())
        n_numbers = len(self.pairs) + (self.friend_vectors is not None) + (self.age_means is not None)
        return n_blocks * self.dimensions + n_numbers

    @cached_property
    def _links(self) -> Mapping[Pair, SparseRows]:
        """The members of each item, for pairs whose blocks are derived from items; see `members_of_items`."""
        members = self.members_of_items
        return {pair: members[pair[1]] for pair in self.pairs if pair[1] in members and self.config.derives(pair)}

    @cached_property
    def read_pairs(self) -> frozenset[Pair]:
        """(signal, entity) pairs whose interactions enter a block, their own or a derived one."""
        return frozenset([*self.pairs, *((signal, ITEM) for signal, _ in self._links)])

    def encode(self, batch: SignalBatch, affinity: SparseRows | None = None) -> np.ndarray:
        """Return the features of each user, float32, shape (n_users, n_inputs), always finite.

        `batch` must use the indexes that the encoder was fitted with. `affinity` is the positive affinity of the batch,
        if it is already computed.
        """
        missing = np.full(batch.n_users, -1, np.int16)  # selects the last row of the means, which is the overall mean
        profile = batch.profile
        blocks = [means[profile.get(name, missing)] for name, means in self._means.items()]
        numbers = []
        for signal, entity in self.pairs:
            rows = self._actions(batch, (signal, entity))
            block, n_members = _summarise(rows, self.target_vectors[entity], batch.n_users)
            counts = n_members.astype(np.float32)
            blocks.append(block)
            numbers.append(np.log1p(counts) if self.config.counts == "log" else counts)
        if self.friend_vectors is not None:
            block, n_friends = _summarise(batch.friends, self.friend_vectors, batch.n_users)
            blocks.append(block)
            numbers.append(np.log1p(n_friends).astype(np.float32))
        if self.config.fold_in:
            liked = batch.affinity(self.signals) if affinity is None else affinity
            blocks.append(unit_rows(self.fold_in.solve(liked)))
        if self.age_means is not None:
            ages = profile.get("age", missing)
            years = np.where(ages >= 0, ages, self.age_centre).astype(np.float32)
            numbers.append((years - self.age_centre) / self.age_scale)
        return np.column_stack([*blocks, *numbers])

    def _actions(self, batch: SignalBatch, pair: Pair) -> SparseRows | None:
        """Return the interactions of a pair, including those derived from items; None if the batch has none."""
        rows = batch.actions.get(pair)
        item_rows = batch.actions.get((pair[0], ITEM))
        if pair not in self._links or item_rows is None:
            return rows
        derived_rows = item_rows.through(self._links[pair])
        return derived_rows if rows is None else union_rows([rows, derived_rows])


def _summarise(rows: SparseRows | None, vectors: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean vector of each user's members, and their number; zeros for None."""
    if rows is None:
        return np.zeros((n_users, vectors.shape[1]), dtype=np.float32), np.zeros(n_users)
    return rows.mean_vectors(vectors), rows.lengths()


def pick_signal(encoder: Encoder, entity: str) -> str:
    """Return a pick's signal: the first of onboarding, use and liked signals with a block, else the first of use."""
    signals = encoder.signals
    names = (PICK_SIGNAL, *signals.use, *signals.liked)
    return next((name for name in names if (name, entity) in encoder.pairs), signals.use[0])


def understand_picks(encoder: Encoder, signals: Signals) -> Signals:
    """Replace the onboarding signal with one for which the model has a block (`pick_signal`)."""
    if not any(action.signal == PICK_SIGNAL for action in signals.interactions):
        return signals
    interactions = []
    for action in signals.interactions:
        if action.signal == PICK_SIGNAL:
            action = replace(action, signal=pick_signal(encoder, action.entity))
        interactions.append(action)
    return signals.copy(interactions=interactions)


def fit_encoder(
    embeddings: Embeddings,
    warm: SignalBatch,
    entity_items: Mapping[str, SparseRows],
    n_group_values: Mapping[str, int],
    config: FeatureConfig,
    signals: SignalConfig,
    friend_vectors: np.ndarray | None = None,
) -> Encoder:
    """Fit the feature statistics on the day ones and profiles of warm users only (step 2 of the paper).

    Only pairs that occur in `warm`, or are derived from items, get a block: any other block would be zero in training
    and noise at inference. Group means shrink towards the overall mean by `config.group_shrinkage` pseudo-users, so
    that a group with a single user does not reveal that user's vector, the target of the cold model. `entity_items` has
    the items of each entity's members, shape (n_members, n_items). `friend_vectors`, unit vectors of the stored users,
    are used if any warm user has a friend among them.
    """
    users = unit_rows(embeddings.user_vectors)
    overall = users.mean(axis=0)
    items = unit_rows(embeddings.item_vectors) if config.unit_vectors else embeddings.item_vectors
    members_of_items = {entity: rows.transpose() for entity, rows in entity_items.items() if rows.n_entries}
    observed = {pair for pair, rows in warm.actions.items() if rows.n_entries}
    signals_of_items = [signal for signal, entity in observed if entity == ITEM]
    through_items = filter(config.derives, product(signals_of_items, members_of_items))
    pairs = sort_pairs(observed.union(through_items))
    target_vectors = {}
    for _, entity in pairs:
        target_vectors[entity] = items if entity == ITEM else entity_items[entity].mean_vectors(items)
    group_means = {}
    for name, n_values in n_group_values.items():
        sums, sizes = _add_vectors(users, warm.groups[name], n_values)
        group_means[name] = shrink_means(sums, sizes, overall, config.group_shrinkage)
    has_friends = warm.friends is not None and warm.friends.n_entries > 0
    return Encoder(
        pairs=pairs,
        target_vectors=target_vectors,
        group_means=group_means,
        **_fit_ages(users, overall, warm.ages, config),
        fold_in=embeddings.fold_in,
        config=config,
        signals=signals,
        members_of_items=members_of_items,
        friend_vectors=friend_vectors if has_friends else None,
    )


def _fit_ages(users: np.ndarray, overall: np.ndarray, ages: np.ndarray | None, config: FeatureConfig) -> dict[str, Any]:
    """Return the fields of `Encoder` on ages, which are None if none is known."""
    if ages is None:
        return {"age_means": None, "age_centre": 0.0, "age_scale": 1.0}
    sums, sizes = _add_vectors(users, ages, N_AGES)
    means, widths = average_years(sums, sizes, overall, config)
    known = ages[ages >= 0]
    centre, scale = (float(known.mean()), float(known.std()) or 1.0) if len(known) else (0.0, 1.0)
    return {"age_means": means, "age_widths": widths, "age_centre": centre, "age_scale": scale}


def _add_vectors(vectors: np.ndarray, codes: np.ndarray, n_values: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of user vectors and the number of users by code."""
    has_code = codes >= 0
    members = SparseRows.from_pairs(codes[has_code], np.flatnonzero(has_code), None, n_values, len(vectors))
    sizes = members.lengths().astype(np.float32)
    return members.mean_vectors(vectors) * sizes[:, None], sizes


def average_years(
    sums: np.ndarray, sizes: np.ndarray, overall: np.ndarray, config: FeatureConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean vector of each year of age, pooled with neighbouring years and shrunk, and the kernel widths.

    Means are as in `shrink_means`, shape (n_years + 1, d); for widths, see `Encoder.age_widths`.
    """
    widths = choose_widths(sizes, config.age_users)
    weights = weigh_years(widths).astype(sums.dtype)  # years of width 1 stay bit-identical
    return shrink_means(weights @ sums, weights @ sizes, overall, config.group_shrinkage), widths


def shrink_means(sums: np.ndarray, sizes: np.ndarray, overall: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return (sum + shrinkage * overall) / (size + shrinkage) for each value, followed by the overall mean.

    `sums`, shape (n_values, d), are sums of the vectors of each value's users, `sizes`, shape (n_values,), the numbers
    of these users, and `shrinkage` is in pseudo-users. The result is float32, shape (n_values + 1, d).
    """
    weight = sizes[:, None] + shrinkage
    # The mean of a value without users is bit-identical to that of a missing value.
    means = np.where(sizes[:, None] > 0, (sums + shrinkage * overall) / np.maximum(weight, 1e-9), overall)
    return np.concatenate([means, overall[None]]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Features of one or more day ones per user: row `s * n_users + u` is sample `s` of user `u`.

    Parameters
    ----------
    n_users, n_samples
        Number of users, and of day ones per user.
    n_inputs
        Number of columns.
    take
        Returns the features of the given rows, float32, shape (n_rows, n_inputs).
    """

    n_users: int
    n_samples: int
    n_inputs: int
    take: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return self.n_users * self.n_samples


def hold_features(features: np.ndarray, n_samples: int = 1) -> FeatureRows:
    """Wrap an array of features, shape (n_samples * n_users, n_inputs)."""
    return FeatureRows(len(features) // n_samples, n_samples, features.shape[1], features.__getitem__)


def collect_features(encoder: Encoder, samples: Sequence[SignalBatch]) -> FeatureRows:
    """Encode one or more day-one samples of the same users: at once if they fit in memory, else on demand."""
    n_users = samples[0].n_users

    def take(rows: np.ndarray) -> np.ndarray:
        selection = np.empty((len(rows), encoder.n_inputs), dtype=np.float32)
        for number, sample in enumerate(samples):
            positions = np.flatnonzero(rows // n_users == number)
            if len(positions):
                selection[positions] = encoder.encode(sample.take(rows[positions] % n_users))
        return selection

    n_rows = len(samples) * n_users
    if n_rows * encoder.n_inputs * 4 > MAX_MEMORY_SHARE * memory_bytes():
        return FeatureRows(n_users, len(samples), encoder.n_inputs, take)
    features = np.empty((n_rows, encoder.n_inputs), dtype=np.float32)
    for start in range(0, n_rows, ROWS_PER_BATCH):
        rows = np.arange(start, min(start + ROWS_PER_BATCH, n_rows))
        features[rows] = take(rows)
    return hold_features(features, len(samples))


def memory_bytes() -> int:
    """Return the memory of the machine, or the limit of the container if lower, in bytes."""
    limits = [path.read_text().strip() for path in map(Path, CONTAINER_LIMITS) if path.exists()]
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(int(limit) for limit in limits if limit.isdigit())])
