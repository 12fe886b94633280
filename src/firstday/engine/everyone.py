"""Statistics of all warm users, computed in parts: counts and sums.

Embeddings, segments and networks may be trained on a sample of the warm users; these functions compute statistics of
all of them. The same task is sent to each part of the users, on any machine, and the answers are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from firstday.config import SegmentConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.ids import Ids
from firstday.data.splits.histories import MIN_LEARNED_ITEMS
from firstday.data.splits.split import Actions, take_actions
from firstday.embed.embeddings import FoldIn, compute_affinity, select_uses
from firstday.features.encoder import N_AGES, Encoder, average_years, shrink_means
from firstday.impressions.counts import ShownCounts, add_shown, count_shown
from firstday.ranking import unit_rows
from firstday.segment.segments import ItemCounts, Segments, count_items, rank_items
from firstday.sparse import SparseRows, union_rows

AGE = "age"
"""Key of the groups by year of age; those by profile column have the column's name."""
SEGMENT_KEY, EVERYONE_KEY = "firstday: segment", "firstday: everyone"
"""Keys of the groups by nearest segment, and of the group of all users."""
USERS_IN_MEMORY = 8_192
"""Maximum number of users whose vectors and distances to the segments are in memory at a time."""


@dataclass(frozen=True, eq=False)
class StatisticsTask:
    """Everything needed to compute the statistics of a part's warm users, except `held_out` ones.

    User vectors are those of `fold_in` unless they are precomputed; `centroids` are those of the segments, float32,
    shape (n_segments, d). `n_values` has the number of values of each profile column in the whole dataset and, if ages
    are known, of years under `AGE`.
    """

    fold_in: FoldIn
    centroids: np.ndarray
    signals: SignalConfig
    n_values: Mapping[str, int]
    held_out: Ids

    @classmethod
    def of(
        cls, dataset: Dataset, fold_in: FoldIn, centroids: np.ndarray, signals: SignalConfig, held_out: Ids
    ) -> StatisticsTask:
        """Build the task for a dataset or its parts."""
        n_values = {name: len(group.values) for name, group in dataset.groups.items()}
        if dataset.ages is not None:
            n_values[AGE] = N_AGES
        return cls(fold_in, centroids, signals, n_values, held_out)


@dataclass(frozen=True, eq=False)
class Everyone:
    """Counts and sums over the warm users of one part or of all parts.

    `counts` are numbers of users, and of users per item: by value of each profile column, by year of age (key `AGE`),
    by nearest segment (`SEGMENT_KEY`), and of all users (`EVERYONE_KEY`). `sums` are those of users' unit vectors,
    float64, by value and year, shape (n_values, d), and of all users, shape (d,); under `SEGMENT_KEY`, those of squared
    distances to the nearest centroid, shape (n_segments,). `shown` are impressions by nearest segment; None without
    impressions.
    """

    counts: Mapping[str, ItemCounts]
    sums: Mapping[str, np.ndarray]
    shown: ShownCounts | None = None

    @property
    def segments(self) -> ItemCounts:
        """Counts by nearest segment."""
        return self.counts[SEGMENT_KEY]

    @property
    def items(self) -> ItemCounts:
        """Counts of all users as a single group."""
        return self.counts[EVERYONE_KEY]

    @property
    def groups(self) -> dict[str, ItemCounts]:
        """Counts by value of each profile column, and by year of age."""
        return {name: counts for name, counts in self.counts.items() if name not in (SEGMENT_KEY, EVERYONE_KEY)}

    def without_empty_segments(self) -> Everyone:
        """Drop the impressions of segments without users; of counts by segment, see `describe_segments`."""
        if self.shown is None:
            return self
        return replace(self, shown=self.shown.keep_segments(np.flatnonzero(self.segments.sizes)))


def summarise_part(
    part: Dataset, warm_rows: np.ndarray, actions: Actions, task: StatisticsTask, window: Window | None = None
) -> Everyone:
    """Compute the statistics of a part's warm users, with the vectors of a few thousand users in memory at a time.

    `warm_rows` are the `user_ix` of these users, shape (n,), and the rows of `actions` are in their order. The time
    window of the actions has a row for each `user_ix`; None: all times.
    """
    rows = np.flatnonzero(task.held_out.lookup(part.users.take(warm_rows)) < 0)
    users = warm_rows[rows]
    actions = take_actions(actions, rows)
    uses = select_uses(actions, task.signals, len(users), len(task.fold_in.item_vectors))
    nearest, squares, sums = _sum_vectors(part, users, actions, task)
    is_trained_on = uses.lengths() >= MIN_LEARNED_ITEMS
    n_segments = len(task.centroids)
    counts = count_groups(part, users, uses, task.n_values)
    counts[SEGMENT_KEY] = count_items(np.where(is_trained_on, nearest, -1), uses, n_segments)
    sums[SEGMENT_KEY] = np.bincount(nearest, np.where(is_trained_on, squares, 0), n_segments)
    return Everyone(counts, sums, count_shown(part, users, nearest, n_segments, task.signals, window))


def _sum_vectors(
    part: Dataset, users: np.ndarray, actions: Actions, task: StatisticsTask
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return each user's nearest segment, the squared distance to its centroid, and the sums of unit vectors."""
    from threadpoolctl import threadpool_limits

    centroids = task.centroids.astype(np.float64)  # so that the order of summation affects only exact ties
    half_squares = (centroids**2).sum(axis=1) / 2
    d = centroids.shape[1]
    codes = {name: codes_of(part, name, users) for name in task.n_values}
    sums: dict[str, np.ndarray] = {name: np.zeros((n, d)) for name, n in task.n_values.items()}
    total = np.zeros(d)
    nearest = np.zeros(len(users), np.int64)
    squares = np.zeros(len(users))
    with threadpool_limits(1, "blas"):  # for small systems, threads mostly wait for each other
        for batch, vectors in _batch_vectors(part, users, actions, task):
            closeness = vectors @ centroids.T - half_squares
            nearest[batch] = closeness.argmax(axis=1)
            difference = vectors - centroids[nearest[batch]]
            squares[batch] = (difference**2).sum(axis=1)
            total += vectors.sum(axis=0)
            for name, group_sums in sums.items():
                group_sums += _sum_by_code(vectors, codes[name][batch], len(group_sums))
    return nearest, squares, {**sums, EVERYONE_KEY: total}


def _batch_vectors(
    part: Dataset, users: np.ndarray, actions: Actions, task: StatisticsTask
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of `users`, and their unit vectors, float64, of a few thousand users at a time."""
    affinity = compute_affinity(actions, task.signals, len(users), len(task.fold_in.item_vectors))
    for start in range(0, len(users), USERS_IN_MEMORY):
        batch = np.arange(start, min(start + USERS_IN_MEMORY, len(users)))
        if part.user_vectors is None:
            vectors = task.fold_in.solve(affinity.take(batch))
        else:
            vectors = part.user_vectors[users[batch]]
        yield batch, unit_rows(vectors).astype(np.float64)


def count_groups(
    part: Dataset, users: np.ndarray, uses: SparseRows, n_values: Mapping[str, int]
) -> dict[str, ItemCounts]:
    """Count users and their items by value of each profile column or age, and of all users under `EVERYONE_KEY`."""
    counts = {name: count_items(codes_of(part, name, users), uses, n) for name, n in n_values.items()}
    counts[EVERYONE_KEY] = count_items(np.zeros(len(users), dtype=np.int64), uses, 1)
    return counts


def merge(parts: Iterable[Everyone]) -> Everyone:
    """Add up the statistics of one or more parts.

    Sums are in float64, in the given order. Item counts are exact up to 2^24 users per item and group.
    """
    answers = list(parts)
    counts = {name: _add_counts([part.counts[name] for part in answers]) for name in answers[0].counts}
    sums = {name: np.add.reduce([part.sums[name] for part in answers]) for name in answers[0].sums}
    return Everyone(counts, sums, add_shown(part.shown for part in answers))


def _add_counts(parts: Sequence[ItemCounts]) -> ItemCounts:
    counts = union_rows([part.counts for part in parts])
    return ItemCounts(counts, np.add.reduce([part.sizes for part in parts]))


def describe_segments(segments: Segments, everyone: Everyone, config: SegmentConfig) -> Segments:
    """Return trained segments with the sizes, item counts and spreads of all warm users; drop those without users."""
    nonempty = np.flatnonzero(everyone.segments.sizes)
    counts = ItemCounts(everyone.segments.counts.take(nonempty), everyone.segments.sizes[nonempty])
    n_top = min(config.top_items, counts.counts.n_columns)
    top = rank_items(counts, everyone.items.counts.column_sums(), n_top)
    spread = everyone.sums[SEGMENT_KEY][nonempty] / counts.sizes
    return Segments(segments.centroids[nonempty], counts, top, spread.astype(np.float32))


def describe_encoder(encoder: Encoder, everyone: Everyone) -> Encoder:
    """Return the encoder with the mean vectors of profile groups and ages of all warm users."""
    overall = everyone.sums[EVERYONE_KEY] / np.maximum(1, everyone.items.sizes)
    shrinkage = encoder.config.group_shrinkage
    means = {}
    for name, counts in everyone.groups.items():
        if name != AGE:
            means[name] = shrink_means(everyone.sums[name], counts.sizes, overall, shrinkage)
    encoder = replace(encoder, group_means=means)
    if AGE not in everyone.counts:
        return encoder
    n_users = everyone.counts[AGE].sizes
    age_means, widths = average_years(everyone.sums[AGE], n_users, overall, encoder.config)
    return replace(encoder, age_means=age_means, age_widths=widths)


def codes_of(part: Dataset, name: str, users: np.ndarray) -> np.ndarray:
    """Return the code of each user's value in a profile column, or the age: integers, shape (n,), -1 if missing."""
    codes = part.ages if name == AGE else part.groups[name].codes
    return np.full(len(users), -1) if codes is None else codes[users]


def _sum_by_code(vectors: np.ndarray, codes: np.ndarray, n_values: int) -> np.ndarray:
    """Return the sum of vectors by code, float64, shape (n_values, d)."""
    is_known = codes >= 0
    columns = vectors[is_known].T
    return np.stack([np.bincount(codes[is_known], column, n_values) for column in columns], axis=1)
