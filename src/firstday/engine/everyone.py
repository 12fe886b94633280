"""What a model tells of everyone: counts and sums over all warm users, part of them by part.

Vectors, segments and networks may be learned from some warm users only. These functions describe all of them: each part
of the users is asked the same question, on whatever machine it is, and the answers are added up.
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
"""The profile groups by year of age, beside those by column."""
CELLS_AT_ONCE = 2**23
"""Distances (users x segments) in memory at once: 64 MiB of float64."""
MOST_AT_ONCE = 16_384
"""Users whose vectors are in memory at once, at most."""
PARTS_AT_ONCE = 16
"""Answers that are added up at once."""


@dataclass(frozen=True, eq=False)
class Question:
    """All that a part of the users must know to describe its warm users.

    Parameters
    ----------
    fold_in
        Gives a user's vector, where no precomputed one is there.
    centroids
        Of the segments, float32, shape (n_segments, d).
    signals
        Which signals are use, and what each weighs.
    n_values
        How many values each profile column has in the whole data; where ages are known, how many years under ``age``.
    held_out
        Ids of users who take no part: they decide when training stops, or are reported on.
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
        """Make the question for a dataset, or for parts of it; `held_out` is `user_ix`, shape (n,)."""
        n_values = {name: len(group.values) for name, group in dataset.groups.items()}
        if dataset.ages is not None:
            n_values[AGE] = N_AGES
        return cls(fold_in, centroids, signals, n_values, Ids(dataset.users.take(held_out)))


@dataclass(frozen=True, eq=False)
class Everyone:
    """Counts and sums over warm users: of a part, or of all.

    Parameters
    ----------
    segments
        Users and their items by nearest segment.
    squared_distances
        Sum of the users' squared distances to the nearest centroid, float64, shape (n_segments,).
    items
        Users and their items as one group.
    groups
        The same by value of each profile column, and by year of age under ``age``.
    vector_sums
        Sum of the users' vectors of length 1 by value of each of these, float64, shape (n_values, d).
    vector_sum
        Sum of all of them, float64, shape (d,).
    shown
        What was shown to the users, by nearest segment; None without impressions.
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
        """How many warm users there are."""
        return int(self.items.sizes[0])

    def summarise_ages(self) -> tuple[float, float]:
        """Return mean and standard deviation of known ages, in years; 0 and 1 without any."""
        years, sizes = np.arange(N_AGES), self.groups[AGE].sizes
        n = int(sizes.sum())
        if not n:
            return 0.0, 1.0
        mean = float(sizes @ years) / n
        return mean, float(np.sqrt(sizes @ (years - mean) ** 2 / n)) or 1.0


def describe_part(
    part: Dataset, warm_rows: np.ndarray, actions: Actions, question: Question, window: Window | None = None
) -> Everyone:
    """Count and add up the warm users of a part; vectors of a few thousand users at a time are in memory.

    Parameters
    ----------
    part
        Some users of a dataset, with all of its items, entities and values of profile columns.
    warm_rows
        `user_ix` of its warm users, shape (n,); those held out are passed over.
    actions
        All that they did, rows in the order of `warm_rows`.
    question
        The same for every part.
    window
        The time window of `actions`, by `user_ix`; None: all times.
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
    """Add up what was counted in parts; at least one.

    Float sums are of float64, in the order given. Counts of items are exact up to 2^24 users of one item in a group.
    """
    answers = iter(parts)
    total = next(answers)
    while batch := list(islice(answers, PARTS_AT_ONCE)):
        total = _add([total, *batch])
    return total


def describe_segments(segments: Segments, everyone: Everyone, config: SegmentConfig) -> Segments:
    """Return segments with everyone's sizes, items and distances; one that is nearest to nobody is left out.

    Parameters
    ----------
    segments
        As they were learned; their centroids were those of the question.
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
    """Return an encoder with everyone's mean vectors of profile groups and ages, in place of those learned from."""
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
    """Keep linear algebra to one thread: for small systems, threads that wait for each other cost more than they save.

    It was measured, of 66,000 users: 18 to 24 s with one thread, 21 to 90 s with two beside other busy programs.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


def _describe(part: Dataset, users: np.ndarray, actions: Actions, question: Question) -> tuple[Everyone, np.ndarray]:
    """Count and add up a few users, all at once; return their segments, too, int64, shape (n,)."""
    n_items, n_segments = len(question.fold_in.item_vectors), len(question.centroids)
    uses = select_uses(actions, question.signals, len(users), n_items)
    if part.precomputed is not None:
        mature = part.precomputed.user_vectors[users]
    else:
        mature = question.fold_in.solve(compute_affinity(actions, question.signals, len(users), n_items))
    vectors, centroids = unit_rows(mature).astype(np.float64), question.centroids.astype(np.float64)
    # In float64, the order of additions, which depends on how many users there are, decides nothing but exact ties.
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
    """Return the value of a profile column, or the age, of each user, integers, shape (n,), -1 where missing."""
    if name == AGE:
        return np.full(len(users), -1) if part.ages is None else part.ages[users]
    return part.groups[name].codes[users] if name in part.groups else np.full(len(users), -1)


def _add_vectors(vectors: np.ndarray, codes: np.ndarray, n_values: int) -> np.ndarray:
    """Return the sum of the vectors with each code, float64, shape (n_values, d)."""
    members = np.flatnonzero(codes >= 0)
    of_members = codes[members]
    columns = [np.bincount(of_members, weights=column[members], minlength=n_values) for column in vectors.T]
    return np.stack(columns, axis=1)


def _add(parts: list[Everyone]) -> Everyone:
    """Add up answers that are all in memory."""
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
    """Add up the counts of the same groups."""
    return ItemCounts(union_rows([part.counts for part in counts]), _add_arrays([part.sizes for part in counts]))


def _add_arrays(arrays: list[np.ndarray]) -> np.ndarray:
    """Add up arrays of one shape, one after the other."""
    total: np.ndarray = np.add.reduce(arrays, axis=0)
    return total
