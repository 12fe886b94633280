"""Statistics of all warm users, computed in parts: counts and sums.

Embeddings, segments and networks may be trained on a sample of warm users. These functions describe all of them: each
part of the users answers the same question, on whatever machine it is, and the answers are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice

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
CELLS_AT_ONCE = 2**23
"""Maximum number of distances (users x segments) in memory: 64 MiB of float64."""
MOST_AT_ONCE = 16_384
"""Maximum number of users whose vectors are in memory."""
PARTS_AT_ONCE = 16
"""Number of answers added up at once."""


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
    positions = np.flatnonzero(question.held_out.lookup(part.users.take(warm_rows)) < 0)
    step = max(1, min(MOST_AT_ONCE, CELLS_AT_ONCE // len(question.centroids)))
    nearest: list[np.ndarray] = []

    def answers() -> Iterator[Everyone]:
        for start in range(0, max(1, len(positions)), step):
            chunk = positions[start : start + step]
            answer, segments = _describe(part, warm_rows[chunk], take_actions(actions, chunk), question)
            nearest.append(segments)
            yield answer

    with _one_thread():
        everyone = merge(answers())
    n_segments, users = len(question.centroids), warm_rows[positions]
    shown = count_shown(part, users, np.concatenate(nearest), n_segments, question.signals, window)
    return replace(everyone, shown=shown)


def merge(parts: Iterable[Everyone]) -> Everyone:
    """Add up the answers of one or more parts.

    Floats are summed in float64 in the given order. Item counts are exact up to 2^24 users of an item in a group.
    """
    answers = iter(parts)
    total = next(answers)
    while batch := list(islice(answers, PARTS_AT_ONCE)):
        total = _add([total, *batch])
    return total


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


def _one_thread() -> AbstractContextManager[object]:
    """Limit BLAS to one thread: for small systems, thread synchronisation costs more than it saves.

    Measured on 66,000 users: 18 to 24 s with one thread, 21 to 90 s with two next to other busy programs.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


def _describe(part: Dataset, users: np.ndarray, actions: Actions, question: Question) -> tuple[Everyone, np.ndarray]:
    """Describe a few users at once; also return their segments, int64, shape (n,)."""
    n_items, n_segments = len(question.fold_in.item_vectors), len(question.centroids)
    uses = select_uses(actions, question.signals, len(users), n_items)
    if part.precomputed is not None:
        mature = part.precomputed.user_vectors[users]
    else:
        mature = question.fold_in.solve(compute_affinity(actions, question.signals, len(users), n_items))
    vectors, centroids = unit_rows(mature).astype(np.float64), question.centroids.astype(np.float64)
    # float64: the order of summation, which depends on the number of users, affects only exact ties.
    nearest = np.argmax(vectors @ centroids.T - (centroids**2).sum(axis=1) / 2, axis=1)
    is_learner = uses.lengths() >= LEAST_LEARNED
    squares = ((vectors - centroids[nearest]) ** 2).sum(axis=1)
    codes = {name: codes_of(part, name, users) for name in question.n_values}
    everyone = Everyone(
        segments=count_items(np.where(is_learner, nearest, -1), uses, n_segments),
        squared_distances=np.bincount(nearest, weights=np.where(is_learner, squares, 0), minlength=n_segments),
        items=count_items(np.zeros(len(users), dtype=np.int64), uses, 1),
        groups={name: count_items(codes[name], uses, n) for name, n in question.n_values.items()},
        vector_sums={name: _add_vectors(vectors, codes[name], n) for name, n in question.n_values.items()},
        vector_sum=vectors.sum(axis=0),
    )
    return everyone, nearest


def codes_of(part: Dataset, name: str, users: np.ndarray) -> np.ndarray:
    """Return the code of a profile column, or the age, of each user, integers, shape (n,), -1 if missing."""
    if name == AGE:
        return np.full(len(users), -1) if part.ages is None else part.ages[users]
    return part.groups[name].codes[users] if name in part.groups else np.full(len(users), -1)


def _add_vectors(vectors: np.ndarray, codes: np.ndarray, n_values: int) -> np.ndarray:
    """Return the sum of vectors by code, float64, shape (n_values, d)."""
    members = np.flatnonzero(codes >= 0)
    of_members = codes[members]
    columns = [np.bincount(of_members, weights=column[members], minlength=n_values) for column in vectors.T]
    return np.stack(columns, axis=1)


def _add(parts: list[Everyone]) -> Everyone:
    """Add up answers in memory."""
    first = parts[0]
    return Everyone(
        segments=_add_counts([part.segments for part in parts]),
        squared_distances=_add_arrays([part.squared_distances for part in parts]),
        items=_add_counts([part.items for part in parts]),
        groups={name: _add_counts([part.groups[name] for part in parts]) for name in first.groups},
        vector_sums={name: _add_arrays([part.vector_sums[name] for part in parts]) for name in first.vector_sums},
        vector_sum=_add_arrays([part.vector_sum for part in parts]),
        shown=add_shown([part.shown for part in parts]),
    )


def _add_counts(counts: list[ItemCounts]) -> ItemCounts:
    """Add up counts of the same groups."""
    return ItemCounts(union_rows([part.counts for part in counts]), _add_arrays([part.sizes for part in counts]))


def _add_arrays(arrays: list[np.ndarray]) -> np.ndarray:
    """Sum arrays of the same shape in order."""
    total: np.ndarray = np.add.reduce(arrays, axis=0)
    return total
