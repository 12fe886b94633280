"""Slices of the cold users, by day one and by profile, and the tenths of items by popularity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

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
"""Classes of day-one size, in items: first and last."""
DISJOINT_SIZES = ("0", "1-3", "4-9", "10+")
MIN_USERS = 30
"""Groups of fewer users are put together: their means would be mostly chance."""
AGE = "age"
AGE_BANDS = (18, 25, 35, 45, 55, 65)
"""Where a new band of ages begins, in years."""
OLDEST = 999
"""Where the last band ends."""
UNKNOWN = "not known"
REFERENCE = "segment"
"""The strategy that the others are compared with, user by user."""
BASELINE = "popular"
"""What the main finding compares with."""
TENTH = "places_by_popularity:"
"""How names of metrics begin that are shares of places by tenth of items."""


def size_slice(size: str) -> str:
    """Return the name of the slice of a class of day-one size."""
    return f"day_one_size={size}"


def group_slice(column: str, label: str) -> str:
    """Return the name of the slice of a profile group; a column that is named as another slice gets a prefix."""
    return f"{'profile:' if column in ('seed', 'day_one_size', 'cut_off') else ''}{column}={label}"


def slice_by_day_one(size: np.ndarray, did_nothing: np.ndarray, has_friends: np.ndarray) -> dict[str, np.ndarray]:
    """Divide users by what is known of their day one.

    Parameters
    ----------
    size
        Items used on day one, shape (n,).
    did_nothing
        Whether each left nothing but a profile, bool, shape (n,).
    has_friends
        Whether each has a friend whose habits the model knows, bool, shape (n,).

    Returns
    -------
    dict
        Whether each user is in the slice, bool, shape (n,), by name of the slice; slices without users are left out.
    """
    slices = {size_slice(label): (size >= low) & (size <= high) for label, (low, high) in DAY_ONE_SIZES.items()}
    slices |= {NOTHING_DONE: did_nothing, FRIENDS_ONLY: did_nothing & has_friends}
    return {name: members for name, members in slices.items() if members.any()}


def read_profiles(signals: SignalBatch, values: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Return what is known of each user by profile column: ages, -1 where missing, and values as text.

    Parameters
    ----------
    signals
        Of the users.
    values
        What each code of a profile column stands for.

    Returns
    -------
    dict
        Arrays of integers or of str, shape (n_users,), `UNKNOWN` where a value is missing.
    """
    ages = {} if signals.ages is None else {AGE: signals.ages}
    groups = {name: np.array([*values[name], UNKNOWN], dtype=object)[codes] for name, codes in signals.groups.items()}
    return ages | groups


def slice_by_profile(profiles: Mapping[str, np.ndarray], users: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Divide users by each profile column that tells them apart.

    Parameters
    ----------
    profiles
        From `read_profiles`, one row for each user and seed, shape (n,).
    users
        Whose each row is, integers, shape (n,).

    Returns
    -------
    dict
        Whether each row is in a group, bool, shape (n,), by column and label: bands of ages in order, joined until
        each has `MIN_USERS` users; other values by size, then rarer ones together; unknown values last.
    """
    groups = {
        column: _divide_ages(values, users) if column == AGE else _divide_values(values.astype(str), users)
        for column, values in profiles.items()
    }
    return {column: parts for column, parts in groups.items() if len(parts) > 1}


def _divide_ages(ages: np.ndarray, users: np.ndarray) -> dict[str, np.ndarray]:
    """Return the members of each band of ages, by label; neighbouring bands are joined until each has enough users."""
    runs: list[list[int]] = []
    edges = [0, *AGE_BANDS, OLDEST]
    for first, end in pairwise(edges):
        if not runs or _count_users((ages >= runs[-1][0]) & (ages < runs[-1][1]), users) >= MIN_USERS:
            runs.append([first, end])
        runs[-1][1] = end
    if len(runs) > 1 and _count_users(ages >= runs[-1][0], users) < MIN_USERS:
        runs[-2:] = [[runs[-2][0], OLDEST]]
    groups = {_name_band(first, end): (ages >= first) & (ages < end) for first, end in runs} | {UNKNOWN: ages < 0}
    return {label: members for label, members in groups.items() if members.any()}


def _name_band(first: int, end: int) -> str:
    """Name the ages from the first to before the end."""
    if first == 0:
        return "any age" if end == OLDEST else f"under {end}"
    return f"{first} and over" if end == OLDEST else f"{first} to {end - 1}"


def _divide_values(values: np.ndarray, users: np.ndarray) -> dict[str, np.ndarray]:
    """Return the members of each value, by value; those of fewer than `MIN_USERS` users are put together."""
    members = {value: values == value for value in np.unique(values).tolist()}
    unknown = {UNKNOWN: members.pop(UNKNOWN)} if UNKNOWN in members else {}
    sizes = {value: _count_users(inside, users) for value, inside in members.items()}
    known = sorted(members, key=lambda value: (-sizes[value], value))
    rare = [value for value in known if sizes[value] < MIN_USERS]
    if len(rare) < 2:
        rare = []
    together = {f"{len(rare)} rarer values": np.isin(values, rare)} if rare else {}
    return {value: members[value] for value in known if value not in rare} | together | unknown


def _count_users(members: np.ndarray, users: np.ndarray) -> int:
    """Count the users of some rows."""
    return len(np.unique(users[members]))


N_TENTHS = 10


def divide_by_use(model: TrainedModel) -> np.ndarray:
    """Return the part of each item of a model, by what its warm users used; see `divide_into_tenths`."""
    return divide_into_tenths(model.everyone.counts.column_sums(), model.popular_items)


def divide_into_tenths(uses: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Divide items into ten parts, each with a tenth of all use.

    Parameters
    ----------
    uses
        How many users use each item, shape (n_items,).
    order
        The items, the most used first, shape (n_items,).

    Returns
    -------
    numpy.ndarray
        The part of each item, 0 for the most used ones to 9, int64, shape (n_items,); items that nobody used are in
        the last.
    """
    uses = np.asarray(uses, dtype=np.float64)
    total = max(uses.sum(), 1.0)
    # An item lies where the middle of its use lies, so that one of more than a tenth of all use stays whole.
    middle = np.cumsum(uses[order]) - uses[order] / 2
    part = np.empty(len(uses), dtype=np.int64)
    part[order] = np.minimum((N_TENTHS * middle / total).astype(np.int64), N_TENTHS - 1)
    part[uses == 0] = N_TENTHS - 1
    return part


def count_by_part(items: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Count items by part, those below 0 left out, int64, shape (N_TENTHS,)."""
    return np.bincount(part[items[items >= 0]], minlength=N_TENTHS)


def to_shares(counts: np.ndarray) -> tuple[float, ...]:
    """Return counts as shares of their sum, in %."""
    return tuple((100 * counts / max(1, counts.sum())).tolist())
