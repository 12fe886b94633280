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
from firstday.sparse import union_rows

AGE = "age"
"""Key of the groups by year of age, in addition to those by profile column."""
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
    segments
        Counts of users and their items by nearest segment.
    squared_distances
        Sum of squared distances to the nearest centroid, float64, shape (n_segments,).
    items
        Counts of users and their items as a single group.
    groups
        Counts by value of each profile column, and by year of age under ``age``.
    vector_sums
        Sum of unit-length user vectors by value of each of these, float64, shape (n_values, d).
    vector_sum
        Sum of all unit-length user vectors, float64, shape (d,).
    shown
        Impressions by nearest segment; None without impressions.
    """

    segments: ItemCounts
    squared_distances: np.ndarray
    items: ItemCounts
    groups: Mapping[str, ItemCounts]
    vector_sums: Mapping[str, np.ndarray]
    vector_sum: np.ndarray
    shown: ShownCounts | None = None

    @property
    def n_users(self) -> int:
        """Number of warm users."""
        return int(self.items.sizes[0])

    def summarise_ages(self) -> tuple[float, float]:
        """Return the mean and standard deviation of known ages in years; 0 and 1 without any."""
        years, sizes = np.arange(N_AGES), self.groups[AGE].sizes
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
    sums = {name: np.zeros((n, centroids.shape[1])) for name, n in question.n_values.items()}
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
    return Everyone(
        segments=count_items(np.where(is_learner, nearest, -1), uses, n_segments),
        squared_distances=np.bincount(nearest, np.where(is_learner, squares, 0), n_segments),
        items=count_items(np.zeros(len(users), dtype=np.int64), uses, 1),
        groups={name: count_items(codes[name], uses, n) for name, n in question.n_values.items()},
        vector_sums=sums,
        vector_sum=total,
        shown=count_shown(part, users, nearest, n_segments, question.signals, window),
    )


def merge(parts: Iterable[Everyone]) -> Everyone:
    """Add up the answers of one or more parts.

    Floats are summed in float64 in the given order. Item counts are exact up to 2^24 users of an item in a group.
    """
    answers = list(parts)

    def add_counts(counts: list[ItemCounts]) -> ItemCounts:
        return ItemCounts(union_rows([part.counts for part in counts]), add([part.sizes for part in counts]))

    def add(arrays: list[np.ndarray]) -> np.ndarray:
        return np.asarray(np.add.reduce(arrays, axis=0))

    return Everyone(
        segments=add_counts([part.segments for part in answers]),
        squared_distances=add([part.squared_distances for part in answers]),
        items=add_counts([part.items for part in answers]),
        groups={name: add_counts([part.groups[name] for part in answers]) for name in answers[0].groups},
        vector_sums={name: add([part.vector_sums[name] for part in answers]) for name in answers[0].vector_sums},
        vector_sum=add([part.vector_sum for part in answers]),
        shown=add_shown([part.shown for part in answers]),
    )


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
    spread = everyone.squared_distances[kept] / counts.sizes
    return Segments(segments.centroids[kept], counts, top, spread.astype(np.float32))


def describe_encoder(encoder: Encoder, everyone: Everyone) -> Encoder:
    """Return the encoder with mean vectors of profile groups and ages over all users."""
    overall = everyone.vector_sum / max(1, everyone.n_users)
    sums_of = dict(everyone.vector_sums)
    sums_of_years = sums_of.pop(AGE, None)
    means = {
        name: shrink_means(sums, everyone.groups[name].sizes, overall, encoder.config.group_shrinkage)
        for name, sums in sums_of.items()
    }
    encoder = replace(encoder, group_means=means)
    if sums_of_years is None:
        return encoder
    age_means, widths = average_years(sums_of_years, everyone.groups[AGE].sizes, overall, encoder.config)
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
