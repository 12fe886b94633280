"""Slices of the cold users by day one and profile, and tenths of items by popularity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from firstday.artifact.trained_model import TrainedModel
from firstday.features.signals import SignalBatch

ALL, NOTHING_DONE, FRIENDS_ONLY = "all", "nothing_done", "friends_only"
MOST_ITEMS = 2**31
DAY_ONE_SIZES: Mapping[str, tuple[int, int]] = {
    "0": (0, 0),
    "1-3": (1, 3),
    "4+": (4, MOST_ITEMS),
    "4-9": (4, 9),
    "10+": (10, MOST_ITEMS),
}
"""Classes of day-one size, as minimum and maximum number of items."""
DISJOINT_SIZES = ("0", "1-3", "4-9", "10+")
MIN_USERS = 30
"""Minimum number of users per group; smaller groups are merged, because their means are mostly noise."""
AGE = "age"
AGE_BANDS = (18, 25, 35, 45, 55, 65)
"""Lower bounds of age bands, in years."""
UNKNOWN = "not known"
REFERENCE = "segment"
"""The strategy that others are compared with, user by user."""
BASELINE = "popular"
"""The strategy that the main finding compares with."""
TENTH = "places_by_popularity:"
"""Prefix of the metrics that are shares of list entries by tenth of items."""


def size_slice(size: str) -> str:
    """Return the slice name of a day-one size class."""
    return f"day_one_size={size}"


def group_slice(column: str, label: str) -> str:
    """Return the slice name of a profile group; columns that clash with other slices get a prefix."""
    return f"{'profile:' if column in ('seed', 'day_one_size', 'cut_off') else ''}{column}={label}"


def name_group(of_slice: str) -> list[str]:
    """Return column and label of the profile group with a slice name."""
    return of_slice.removeprefix("profile:").split("=", 1)


def slice_by_day_one(users: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return the mask of each slice by day one, bool, shape (n,), given `Run.users`; empty slices are omitted."""
    size, did_nothing = pl.col("day_one_size"), pl.col("did_nothing")
    slices = {size_slice(label): size.is_between(*ends) for label, ends in DAY_ONE_SIZES.items()}
    slices |= {NOTHING_DONE: did_nothing, FRIENDS_ONLY: did_nothing & pl.col("has_friends")}
    masks = users.select(**slices)
    return {mask.name: mask.to_numpy() for mask in masks if mask.any()}


def read_profiles(signals: SignalBatch, values: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Return each profile column: ages as integers, -1 if missing, and other values as text.

    Parameters
    ----------
    signals
        Signals of the users.
    values
        Labels of the codes of each profile column.

    Returns
    -------
    dict
        Integer or str arrays, shape (n_users,); missing values are `UNKNOWN`.
    """
    ages = {} if signals.ages is None else {AGE: signals.ages}
    groups = {name: np.array([*values[name], UNKNOWN], dtype=object)[codes] for name, codes in signals.groups.items()}
    return ages | groups


def slice_by_profile(profiles: Mapping[str, np.ndarray], users: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Return masks of the groups of each profile column with more than one group.

    Parameters
    ----------
    profiles
        From `read_profiles`, one row per user and seed, shape (n,).
    users
        User of each row, integers, shape (n,).

    Returns
    -------
    dict
        Masks by column and label, bool, shape (n,). Age bands are in order, merged until each has `MIN_USERS` users.
        Other values are by size, followed by rarer ones as one group and by unknown values.
    """
    first = np.unique(users, return_index=True)[1]  # a user counts once, whatever the number of their rows
    groups = {
        column: (_divide_ages if column == AGE else _divide_values)(values, values[first])
        for column, values in profiles.items()
    }
    return {column: parts for column, parts in groups.items() if len(parts) > 1}


def _divide_ages(ages: np.ndarray, of_users: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of each age band, by label; adjacent bands are merged until each has enough users."""
    edges = [0]
    for age in AGE_BANDS:
        n_below, n_above = ((of_users >= edges[-1]) & (of_users < age)).sum(), (of_users >= age).sum()
        if min(n_below, n_above) >= MIN_USERS:
            edges.append(age)
    labels = ["any age"]
    if len(edges) > 1:
        between = [f"{first} to {end - 1}" for first, end in pairwise(edges[1:])]
        labels = [f"under {edges[1]}", *between, f"{edges[-1]} and over"]
    band = np.digitize(ages, edges)  # 0: unknown
    groups = {label: band == number for number, label in (*enumerate(labels, 1), (0, UNKNOWN))}
    return {label: members for label, members in groups.items() if members.any()}


def _divide_values(values: np.ndarray, of_users: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of each value, by number of users; values with fewer than `MIN_USERS` users are merged."""
    sizes = Counter(of_users.tolist())
    labels = sorted({*sizes} - {UNKNOWN}, key=lambda value: (-sizes[value], value))
    rare = [value for value in labels if sizes[value] < MIN_USERS]
    if len(rare) > 1:
        labels = [*labels[: -len(rare)], f"{len(rare)} rarer values"]
        values = np.where(np.isin(values, rare), labels[-1], values)
    return {label: values == label for label in (*labels, UNKNOWN) if (values == label).any()}


N_TENTHS = 10


def divide_by_use(model: TrainedModel) -> np.ndarray:
    """Divide the items of a model into ten parts, each with a tenth of all use by its warm users.

    Returns
    -------
    numpy.ndarray
        Part of each item, from 0 (most used) to 9, int64, shape (n_items,); unused items are in the last part.
    """
    uses, order = model.everyone.counts.column_sums(), model.popular_items  # most used first
    # An item belongs to the part of the midpoint of its use, so an item with more than a tenth of all use stays whole.
    middle = np.cumsum(uses[order]) - uses[order] / 2
    part = np.empty(len(uses), dtype=np.int64)
    part[order] = np.minimum(N_TENTHS * middle / max(uses.sum(), 1), N_TENTHS - 1)
    part[uses == 0] = N_TENTHS - 1
    return part


def count_by_part(items: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Count items by part, ignoring those below 0, int64, shape (N_TENTHS,)."""
    return np.bincount(part[items[items >= 0]], minlength=N_TENTHS)


def to_shares(counts: np.ndarray) -> tuple[float, ...]:
    """Return counts as shares of their sum, in %."""
    return tuple((100 * counts / max(1, counts.sum())).tolist())
