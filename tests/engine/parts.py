"""Users divided into small datasets, as an engine divides them among machines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.ids import stable_numbers


def take_users(dataset: Dataset, users: np.ndarray) -> Dataset:
    """Make the dataset of some users; items, entities and values of profile columns stay those of the whole."""
    return replace(dataset.keep_users(users), friends=None)


def divide(dataset: Dataset, n_parts: int) -> list[tuple[Dataset, np.ndarray]]:
    """Divide users by a hash of their ids; return each part with its users' `user_ix` in the whole, shape (n,)."""
    part_of_user = stable_numbers(dataset.users, 0) % np.uint64(n_parts)
    rows = [np.flatnonzero(part_of_user == np.uint64(number)) for number in range(n_parts)]
    return [(take_users(dataset, users), users) for users in rows]
