"""FeatureRows: day-one features of many users, computed when asked for where they would not fit in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from firstday.features.encoder import Encoder
from firstday.features.signals import SignalBatch

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
