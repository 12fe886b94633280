"""Statistics of all warm users, computed in parts: counts and sums.

Embeddings, segments and networks may be trained on a sample of warm users. These functions describe all of them: each
part of the users answers the same question, on whatever machine it is, and the answers are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from firstday.config import SegmentConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.ids import Ids
from firstday.data.splits.histories import LEAST_LEARNED
from firstday.data.splits.split import Actions, take_actions
from firstday.embed.embeddings import FoldIn, compute_affinity, select_uses
from firstday.features.encoder import N_AGES, Encoder, average_years, shrink_means
from firstday.ranking import unit_rows
from firstday.segment.segments import ItemCounts, Segments, count_items, rank_items
from firstday.segment.shown_counts import ShownCounts, add_shown, count_shown
from firstday.sparse import SparseRows, union_rows

AGE = "age"
"""Key of the groups by year of age, in addition to those by profile column."""
SEGMENT, EVERYONE = "firstday: segment", "firstday: everyone"
"""Keys of the groups by nearest segment, and of all users."""
USERS_IN_MEMORY = 8_192
"""Maximum number of users whose vectors, and distances to the segments, are in memory."""


@dataclass(frozen=True, eq=False)
class Question:
    """Everything a part of the users needs to describe its warm users.

    Parameters
    ----------
    fold_in
        Computes user vectors, unless they are precomputed.
    centroids
        Centroids of the segments, float32, shape (n_segments, d).
    signals
        Signals that count as use, and their weights.
    n_values
        Number of values of each profile column in the whole dataset; if ages are known, number of years under ``age``.
    held_out
        Ids of excluded users: those for early stopping or evaluation.
    """

    fold_in: FoldIn
    centroids: np.ndarray
    signals: SignalConfig
    n_values: Mapping[str, int]
    held_out: Ids

    @classmethod
    def of(
        cls, dataset: Dataset, fold_in: FoldIn, centroids: np.ndarray, signals: SignalConfig, held_out: np.ndarray
    ) -> Question:
        """Make the question for a dataset or its parts; `held_out` is `user_ix`, shape (n,)."""
        n_values = {name: len(group.values) for name, group in dataset.groups.items()}
        if dataset.ages is not None:
            n_values[AGE] = N_AGES
        return cls(fold_in, centroids, signals, n_values, Ids(dataset.users.take(held_out)))


@dataclass(frozen=True, eq=False)
class Everyone:
    """Counts and sums over the warm users of one part or of all.

    Parameters
    ----------
    counts
        Counts of users and their items: by value of each profile column, by year of age under `AGE`, by nearest segment
        under `SEGMENT`, and of all users under `EVERYONE`.
    sums
        Sum of unit-length user vectors by value of the same groups, float64, shape (n_values, d); of all users, shape
        (d,); and for `SEGMENT`, of squared distances to the nearest centroid, shape (n_segments,).
    shown
        Impressions by nearest segment; None without impressions.
    """

    counts: Mapping[str, ItemCounts]
    sums: Mapping[str, np.ndarray]
    shown: ShownCounts | None = None

    @property
    def segments(self) -> ItemCounts:
        """Counts by nearest segment."""
        return self.counts[SEGMENT]

    @property
    def items(self) -> ItemCounts:
        """Counts of all users as a single group."""
        return self.counts[EVERYONE]

    @property
    def groups(self) -> dict[str, ItemCounts]:
        """Counts by value of each profile column, and by year of age."""
        return {name: counts for name, counts in self.counts.items() if name not in (SEGMENT, EVERYONE)}

    @property
    def n_users(self) -> int:
        """Number of warm users."""
        return int(self.items.sizes[0])

    def summarise_ages(self) -> tuple[float, float]:
        """Return the mean and standard deviation of known ages in years; 0 and 1 without any."""
        years, sizes = np.arange(N_AGES), self.counts[AGE].sizes
        n = int(sizes.sum())
        if not n:
            return 0.0, 1.0
        mean = float(sizes @ years) / n
        return mean, float(np.sqrt(sizes @ (years - mean) ** 2 / n)) or 1.0


def describe_part(
    part: Dataset, warm_rows: np.ndarray, actions: Actions, question: Question, window: Window | None = None
) -> Everyone:
    """Compute counts and sums of a part's warm users, with vectors of a few thousand users in memory at a time.

    Parameters
    ----------
    part
        Some users of a dataset, with all of its items, entities and values of profile columns.
    warm_rows
        `user_ix` of its warm users, shape (n,); held-out users are skipped.
    actions
        All their actions, rows in the order of `warm_rows`.
    question
        The same for every part.
    window
        Time window of `actions`, by `user_ix`; None: all times.
    """
    from threadpoolctl import threadpool_limits

    rows = np.flatnonzero(question.held_out.lookup(part.users.take(warm_rows)) < 0)
    users, actions = warm_rows[rows], take_actions(actions, rows)
    centroids = question.centroids.astype(np.float64)  # in float64, the order of summation only affects exact ties
    shape = len(users), len(question.fold_in.item_vectors)
    uses = select_uses(actions, question.signals, *shape)
    affinity = compute_affinity(actions, question.signals, *shape)
    codes = {name: codes_of(part, name, users) for name in question.n_values}
    sums: dict[str, np.ndarray] = {name: np.zeros((n, centroids.shape[1])) for name, n in question.n_values.items()}
    total, nearest, squares = np.zeros(centroids.shape[1]), np.zeros(len(users), np.int64), np.zeros(len(users))
    with threadpool_limits(1, "blas"):  # threads of small systems wait for each other
        for start in range(0, len(users), USERS_IN_MEMORY):
            at = np.arange(start, min(start + USERS_IN_MEMORY, len(users)))
            if part.precomputed is None:
                mature = question.fold_in.solve(affinity.take(at))
            else:
                mature = part.precomputed.user_vectors[users[at]]
            vectors = unit_rows(mature).astype(np.float64)
            nearest[at] = np.argmax(vectors @ centroids.T - (centroids**2).sum(axis=1) / 2, axis=1)
            squares[at] = ((vectors - centroids[nearest[at]]) ** 2).sum(axis=1)
            total += vectors.sum(axis=0)
            for name, of_group in sums.items():
                of_group += _sum_by_code(vectors, codes[name][at], len(of_group))
    is_learner, n_segments = uses.lengths() >= LEAST_LEARNED, len(centroids)
    counts = count_groups(part, users, uses, question.n_values)
    counts[SEGMENT] = count_items(np.where(is_learner, nearest, -1), uses, n_segments)
    sums[SEGMENT] = np.bincount(nearest, np.where(is_learner, squares, 0), n_segments)
    sums[EVERYONE] = total
    return Everyone(counts, sums, count_shown(part, users, nearest, n_segments, question.signals, window))


def count_groups(
    part: Dataset, users: np.ndarray, uses: SparseRows, n_values: Mapping[str, int]
) -> dict[str, ItemCounts]:
    """Count users and their items by value of each profile column or age, and of all users under `EVERYONE`."""
    counts = {name: count_items(codes_of(part, name, users), uses, n) for name, n in n_values.items()}
    return {**counts, EVERYONE: count_items(np.zeros(len(users), dtype=np.int64), uses, 1)}


def merge(parts: Iterable[Everyone]) -> Everyone:
    """Add up the answers of one or more parts.

    Floats are summed in float64 in the given order. Item counts are exact up to 2^24 users of an item in a group.
    """
    answers = list(parts)
    counts = {}
    for name in answers[0].counts:
        added = [part.counts[name] for part in answers]
        counts[name] = ItemCounts(union_rows([of.counts for of in added]), np.add.reduce([of.sizes for of in added]))
    sums = {name: np.add.reduce([part.sums[name] for part in answers]) for name in answers[0].sums}
    return Everyone(counts, sums, add_shown(part.shown for part in answers))


def describe_segments(segments: Segments, everyone: Everyone, config: SegmentConfig) -> Segments:
    """Return segments with sizes, items and distances of all users; segments nearest to nobody are dropped.

    Parameters
    ----------
    segments
        Trained segments; the question used their centroids.
    everyone
        The answer.
    config
        Length of the top lists.
    """
    kept = np.flatnonzero(everyone.segments.sizes)
    counts = ItemCounts(everyone.segments.counts.take(kept), everyone.segments.sizes[kept])
    n_top = min(config.top_items, counts.counts.n_columns)
    top = rank_items(counts, everyone.items.counts.column_sums(), n_top)
    spread = everyone.sums[SEGMENT][kept] / counts.sizes
    return Segments(segments.centroids[kept], counts, top, spread.astype(np.float32))


def describe_encoder(encoder: Encoder, everyone: Everyone) -> Encoder:
    """Return the encoder with mean vectors of profile groups and ages over all users."""
    overall = everyone.sums[EVERYONE] / max(1, everyone.n_users)
    means = {
        name: shrink_means(everyone.sums[name], counts.sizes, overall, encoder.config.group_shrinkage)
        for name, counts in everyone.groups.items()
        if name != AGE
    }
    encoder = replace(encoder, group_means=means)
    if AGE not in everyone.counts:
        return encoder
    age_means, widths = average_years(everyone.sums[AGE], everyone.counts[AGE].sizes, overall, encoder.config)
    centre, scale = everyone.summarise_ages()
    return replace(encoder, age_means=age_means, age_widths=widths, age_centre=centre, age_scale=scale)


def codes_of(part: Dataset, name: str, users: np.ndarray) -> np.ndarray:
    """Return the code of a profile column, or the age, of each user, integers, shape (n,), -1 if missing."""
    if name == AGE:
        return np.full(len(users), -1) if part.ages is None else part.ages[users]
    return part.groups[name].codes[users] if name in part.groups else np.full(len(users), -1)


def _sum_by_code(vectors: np.ndarray, codes: np.ndarray, n_values: int) -> np.ndarray:
    """Return the sum of vectors by code, float64, shape (n_values, d)."""
    is_known = codes >= 0
    return np.stack([np.bincount(codes[is_known], column, n_values) for column in vectors[is_known].T], axis=1)
