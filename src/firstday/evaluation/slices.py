"""Slices of the cold users by day one and profile."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from firstday.features.signal_batch import SignalBatch

ALL = "all"
NOTHING_DONE = "nothing_done"
FRIENDS_ONLY = "friends_only"
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
MODEL_AGES: Mapping[str, tuple[float, float]] = {"0-1": (0, 1), "1-7": (1, 7), "7-30": (7, 30), "30+": (30, math.inf)}
"""Classes of the model's age at registration, as minimum and exclusive maximum in days."""
MIN_USERS = 30
"""Minimum number of users per group; smaller groups are merged, because their means are mostly noise."""
AGE = "age"
AGE_BANDS = (18, 25, 35, 45, 55, 65)
"""Lower bounds of age bands, in years."""
NOT_KNOWN = "not known"
REFERENCE = "segment"
"""The paper's strategy, which leads tables without `auto`."""
BASELINE = "popular"
"""The strategy that the main finding compares with."""


def size_slice(size: str) -> str:
    """Return the slice name of a day-one size class."""
    return f"day_one_size={size}"


def age_slice(days: str) -> str:
    """Return the slice name of a class of the model's age."""
    return f"model_age={days}"


def cut_off_slice(moment: str) -> str:
    """Return the slice name of the newcomers of a cut-off."""
    return f"cut_off={moment}"


def name_profile(column: str) -> str:
    """Return the name of a profile column; columns that clash with others of cold users get a prefix."""
    return f"{'profile:' if column in ('seed', 'day_one_size', 'cut_off', 'day_end') else ''}{column}"


def group_slice(column: str, label: str) -> str:
    """Return the slice name of a profile group."""
    return f"{name_profile(column)}={label}"


def slice_users(users: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return masks of the slices by day one, age of the model, seed and cut-off, bool, shape (n,); none is empty."""
    size = pl.col("day_one_size")
    did_nothing = pl.col("did_nothing")
    slices = {size_slice(label): size.is_between(*ends) for label, ends in DAY_ONE_SIZES.items()}
    slices |= {age_slice(label): pl.col("model_age").is_between(*ends, "left") for label, ends in MODEL_AGES.items()}
    slices[NOTHING_DONE] = did_nothing
    slices[FRIENDS_ONLY] = did_nothing & pl.col("has_friends")
    for name in ("seed", "cut_off"):
        for value in users[name].unique().sort():
            if value != "":
                slices[f"{name}={value}"] = pl.col(name) == value
    return {mask.name: mask.to_numpy() for mask in users.select(**slices) if mask.any()}


def read_profiles(signals: SignalBatch, values: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Return ages as integers, -1 if missing, and other profile columns as text, each of shape (n_users,).

    `values` has the labels of each column's codes; missing values are `NOT_KNOWN`.
    """
    ages = {} if signals.ages is None else {AGE: signals.ages}
    groups = {name: np.array([*values[name], NOT_KNOWN], dtype=object)[codes] for name, codes in signals.groups.items()}
    return ages | groups


def slice_by_profile(profiles: Mapping[str, np.ndarray], users: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Return masks by label, bool, shape (n,), of each profile column (`read_profiles`) with more than one group.

    `users` has the user of each row, integers. Age bands are in order, merged until each has `MIN_USERS` users. Other
    values are by number of users, followed by rarer ones as one group and by unknown values.
    """
    first = np.unique(users, return_index=True)[1]  # a user counts once, whatever the number of their rows
    groups = {}
    for column, values in profiles.items():
        labels, order = (_label_ages if column == AGE else _label_values)(values, values[first])
        masks = {label: labels == label for label in (*order, NOT_KNOWN)}
        groups[column] = {label: mask for label, mask in masks.items() if mask.any()}
    return {column: masks for column, masks in groups.items() if len(masks) > 1}


def _label_ages(ages: np.ndarray, of_users: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the age band of each row, and the bands in order; `of_users` has one age per user."""
    edges: list[int] = []
    for age in AGE_BANDS:
        n_below = ((of_users >= max(edges, default=0)) & (of_users < age)).sum()
        if min(n_below, (of_users >= age).sum()) >= MIN_USERS:
            edges.append(age)
    order = ["any age"]
    if edges:
        between = [f"{first} to {end - 1}" for first, end in pairwise(edges)]
        order = [f"under {edges[0]}", *between, f"{edges[-1]} and over"]
    labels = np.array([NOT_KNOWN, *order], dtype=object)
    return labels[np.digitize(ages, [0, *edges])], order


def _label_values(values: np.ndarray, of_users: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the values with rare ones merged, and the values in order; `of_users` has one value per user."""
    sizes = Counter(of_users.tolist())
    order = sorted({*sizes} - {NOT_KNOWN}, key=lambda value: (-sizes[value], value))
    rare = [value for value in order if sizes[value] < MIN_USERS]
    if len(rare) > 1:
        order = [*order[: -len(rare)], f"{len(rare)} rarer values"]
        values = np.where(np.isin(values, rare), order[-1], values)
    return values, order
