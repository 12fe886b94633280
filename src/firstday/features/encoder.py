"""FeatureRows: day-one features of many users, computed when asked for where they would not fit in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from firstday.config import FeatureConfig, SignalConfig
from firstday.data.events import ITEM, Pair, sort_pairs
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.features.signals import PICK_SIGNAL, SignalBatch, Signals
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows, stack_rows, union_rows

N_AGES = 121
FEW_ENTRIES = 4096
"""Up to that many interactions are averaged in one go."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Everything needed to turn signals into features.

    Columns of the result, in this order: the mean vector of the users of the same age (if ages are known), one such
    block for each profile column, one block for each (signal, entity) pair with the mean vector of what the user did
    it to (zeros where nothing), the mean vector of the user's friends among established users (if friends are known),
    the fold-in vector (if configured), one count for each pair, log(1 + number of such friends), and the age in
    standard deviations from the mean age (an unknown age is the mean age).

    Parameters
    ----------
    pairs
        The (signal, entity) pairs that have a block.
    target_vectors
        Vectors that the blocks average, by entity: float32, shape (n_targets, d).
    group_means
        Mean vectors of each profile column's values: float32, shape (n_values + 1, d); the last row is the overall
        mean, for users whose value is missing or was never seen.
    age_means
        The same by year of age, shape (121 + 1, d); None without ages.
    age_centre, age_scale
        Mean and standard deviation of warm users' ages, in years.
    fold_in
        How a fold-in vector is solved; used as a block where `config.fold_in`.
    config, signals
        The settings of features and signals.
    members_of_items
        For each entity whose items are known: which of its members each item belongs to, shape (n_items, n_members);
        for blocks that follow from items (`config.through_items`) and for the questionnaire.
    friend_vectors
        Vectors of the established users who may be friends, of length 1, float32, shape (n_people, d); None without
        friends.
    """

    pairs: tuple[Pair, ...]
    target_vectors: Mapping[str, np.ndarray]
    group_means: Mapping[str, np.ndarray]
    age_means: np.ndarray | None
    age_centre: float
    age_scale: float
    fold_in: FoldIn
    config: FeatureConfig
    signals: SignalConfig
    members_of_items: Mapping[str, SparseRows] = field(default_factory=dict)
    friend_vectors: np.ndarray | None = None

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return int(self.fold_in.item_vectors.shape[1])

    def blocks(self) -> tuple[str, ...]:
        """Name the blocks of `dimensions` columns, in order."""
        ages = () if self.age_means is None else ("age",)
        friends = () if self.friend_vectors is None else ("friends",)
        fold_in = ("fold_in",) if self.config.fold_in else ()
        done = (f"{signal} x {entity}" for signal, entity in self.pairs)
        return (*ages, *self.group_means, *done, *friends, *fold_in)

    @property
    def n_inputs(self) -> int:
        """How many columns `encode` returns."""
        n_numbers = len(self.pairs) + (self.friend_vectors is not None) + (self.age_means is not None)
        return len(self.blocks()) * self.dimensions + n_numbers

    def encode(self, batch: SignalBatch) -> np.ndarray:
        """Return the features of each user.

        Parameters
        ----------
        batch
            What is known of the users, in the indexes that the encoder was fitted with.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_users, n_inputs), always finite.
        """
        features = np.zeros((batch.n_users, self.n_inputs), dtype=np.float32)
        d = self.dimensions
        blocks = iter(features[:, at : at + d] for at in range(0, features.shape[1], d))
        ages = np.full(batch.n_users, -1, np.int16) if batch.ages is None else batch.ages
        if self.age_means is not None:
            next(blocks)[:] = self.age_means[ages]  # -1 takes the last row: the overall mean
        for name, means in self.group_means.items():
            codes = batch.groups.get(name)
            next(blocks)[:] = means[codes] if codes is not None else means[-1]
        counts = features[:, len(self.blocks()) * d :]
        done: dict[str, list[tuple[int, np.ndarray, SparseRows]]] = {}
        for number, pair in enumerate(self.pairs):
            block, rows = next(blocks), self._actions(batch, pair)
            if rows is not None and rows.n_entries:  # else the zeros that are there
                done.setdefault(pair[1], []).append((number, block, rows))
        for entity, told in done.items():
            stacked = stack_rows([rows for _, _, rows in told])
            lengths = stacked.lengths()
            means = _mean_vectors(stacked, lengths, self.target_vectors[entity])
            for at, (number, block, _) in enumerate(told):
                users = slice(at * batch.n_users, (at + 1) * batch.n_users)
                block[:], counts[:, number] = means[users], lengths[users]
        if self.friend_vectors is not None:
            block = next(blocks)
            if batch.friends is not None and batch.friends.n_entries:
                n_friends = batch.friends.lengths()
                block[:] = _mean_vectors(batch.friends, n_friends, self.friend_vectors)
                counts[:, len(self.pairs)] = np.log1p(n_friends)
        if self.config.fold_in:
            next(blocks)[:] = unit_rows(self.fold_in.solve(batch.affinity(self.signals)))
        if self.config.counts == "log":
            counts[:, : len(self.pairs)] = np.log1p(counts[:, : len(self.pairs)])
        if self.age_means is not None:
            age = np.where(ages >= 0, ages, self.age_centre).astype(np.float32)
            features[:, -1] = (age - self.age_centre) / self.age_scale
        return features

    def _actions(self, batch: SignalBatch, pair: Pair) -> SparseRows | None:
        """Return what users did of one pair, by itself or through items; None where nobody did."""
        signal, entity = pair
        rows = batch.actions.get(pair)
        through = batch.actions.get((signal, ITEM))
        if through is not None and entity in self.members_of_items and pair in self.config.derived_pairs:
            reached = through.through(self.members_of_items[entity])
            rows = reached if rows is None else union_rows([rows, reached])
        return rows


def pick_signal(encoder: Encoder, entity: str) -> str:
    """Return the signal of a yes: `onboarding` if warm users have it with this entity, else another liking."""
    signals = encoder.signals
    names = (PICK_SIGNAL, *signals.use, *signals.liked)
    return next((name for name in names if (name, entity) in encoder.pairs), signals.use[0])


def understand_picks(encoder: Encoder, signals: Signals) -> Signals:
    """Return a user's signals with picks as the model learned yeses (`pick_signal`), else they would not move it."""
    if not any(signal == PICK_SIGNAL for signal, _, _ in signals.interactions):
        return signals
    interactions = [
        (pick_signal(encoder, entity) if signal == PICK_SIGNAL else signal, entity, identity)
        for signal, entity, identity in signals.interactions
    ]
    return Signals(age=signals.age, interactions=interactions, friends=signals.friends, **signals.groups)


def fit_encoder(
    embeddings: Embeddings,
    warm: SignalBatch,
    entity_items: Mapping[str, SparseRows],
    n_group_values: Mapping[str, int],
    config: FeatureConfig,
    signals: SignalConfig,
    friend_vectors: np.ndarray | None = None,
) -> Encoder:
    """Compute the statistics of the features, of warm users alone.

    Parameters
    ----------
    embeddings
        Step 1's result; its `user_vectors` are in the order of `warm`.
    warm
        Warm users' day one and profile: the pairs that anyone has in it get a block, and those that follow from
        items. A pair that only others have would be a block of zeros in training, and noise afterwards.
    entity_items
        The items of each entity's members, shape (n_members, n_items).
    n_group_values
        How many values each profile column has.
    config, signals
        Settings.
    friend_vectors
        Vectors of those who may be friends, see `Encoder`; used where any warm user has such a friend.

    References
    ----------
    PAPER, step 2. A group's mean shrinks towards the overall mean by `config.group_shrinkage` users, so that a
    group of one is no copy of that user's target.
    """
    users = unit_rows(embeddings.user_vectors)
    overall = users.mean(axis=0)
    items = embeddings.item_vectors
    if config.unit_vectors:
        items = unit_rows(items)
    done = [pair for pair, rows in warm.actions.items() if rows.n_entries]
    derived = [
        (signal, entity)
        for signal, entity in config.derived_pairs
        if (signal, ITEM) in done and entity in entity_items and entity_items[entity].n_entries
    ]
    pairs = sort_pairs({*done, *derived})
    members = {entity: rows.transpose() for entity, rows in entity_items.items() if rows.n_entries}
    targets = {entity: items if entity == ITEM else entity_items[entity].mean_vectors(items) for _, entity in pairs}
    means = {
        name: _shrunk_means(users, warm.groups[name], n_values, overall, config.group_shrinkage)
        for name, n_values in n_group_values.items()
    }
    age_means, centre, scale = None, 0.0, 1.0
    if warm.ages is not None:
        age_means = _shrunk_means(users, warm.ages, N_AGES, overall, config.group_shrinkage)
        known = warm.ages[warm.ages >= 0]
        if len(known):
            centre, scale = float(known.mean()), float(known.std()) or 1.0
    if warm.friends is None or not warm.friends.n_entries:
        friend_vectors = None
    return Encoder(
        pairs,
        targets,
        means,
        age_means,
        centre,
        scale,
        embeddings.fold_in,
        config,
        signals,
        members,
        friend_vectors,
    )


def _mean_vectors(rows: SparseRows, lengths: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return what `rows.mean_vectors` does, with less ado for the few entries of a request."""
    if not 0 < rows.n_entries <= FEW_ENTRIES:
        return rows.mean_vectors(vectors)
    filled = np.flatnonzero(lengths)
    means = np.zeros((rows.n_rows, vectors.shape[1]), dtype=np.float32)
    sums = np.add.reduceat(vectors[rows.columns], rows.starts[filled], axis=0)
    means[filled] = sums / lengths[filled, None].astype(np.float32)
    return means


def _shrunk_means(
    vectors: np.ndarray, codes: np.ndarray, n_values: int, overall: np.ndarray, shrinkage: float
) -> np.ndarray:
    """Return (sum of the group + shrinkage x overall) / (size + shrinkage) for each value, then the overall mean."""
    known = codes >= 0
    members = SparseRows.from_pairs(codes[known], np.flatnonzero(known), None, n_values, len(vectors))
    sizes = members.lengths()[:, None].astype(np.float32)
    sums = members.mean_vectors(vectors) * sizes
    weight = sizes + shrinkage
    means = np.where(weight > 0, (sums + shrinkage * overall) / np.maximum(weight, 1e-9), overall)
    return np.concatenate([means, overall[None]]).astype(np.float32)


HELD_SHARE = 3
"""Features are kept where they take up to so many times less than the machine's memory."""
HELD_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // HELD_SHARE
"""Features of up to this size are kept."""
ROWS_AT_ONCE = 16_384
"""Rows that are made at once."""


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Features of several day ones of the same users: row `s * n_users + u` is sample `s` of user `u`.

    Parameters
    ----------
    n_users, n_samples
        How many users there are, and day ones of each.
    n_inputs
        Columns of a row.
    take
        Returns the features of the given rows, float32, shape (n_rows, n_inputs).
    """

    n_users: int
    n_samples: int
    n_inputs: int
    take: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return self.n_users * self.n_samples


def hold_features(samples: Sequence[np.ndarray]) -> FeatureRows:
    """Take features that are in memory, each sample of shape (n_users, n_inputs)."""
    rows = samples[0] if len(samples) == 1 else np.concatenate(samples)
    return FeatureRows(len(samples[0]), len(samples), samples[0].shape[1], lambda asked: rows[asked])


def collect_features(encoder: Encoder, samples: Sequence[SignalBatch]) -> FeatureRows:
    """Make the features of one or more samples of the same users: kept if they are small enough, else made anew."""
    n_users = samples[0].n_users

    def take(rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), encoder.n_inputs), dtype=np.float32)
        for number, sample in enumerate(samples):
            at = np.flatnonzero(rows // n_users == number)
            if len(at):
                found[at] = encoder.encode(sample.take(rows[at] % n_users))
        return found

    n_rows = len(samples) * n_users
    if n_rows * encoder.n_inputs * 4 > HELD_BYTES:
        return FeatureRows(n_users, len(samples), encoder.n_inputs, take)
    held = np.empty((n_rows, encoder.n_inputs), dtype=np.float32)
    for at in range(0, n_rows, ROWS_AT_ONCE):
        rows = np.arange(at, min(at + ROWS_AT_ONCE, n_rows))
        held[rows] = take(rows)
    return FeatureRows(n_users, len(samples), encoder.n_inputs, lambda asked: held[asked])
