"""Choose the settings of `soft_segments` on validation users."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from firstday.data.rows import SparseRows
from firstday.evaluate.metrics import measure
from firstday.recommend.query import Query
from firstday.recommend.strategies import answer_all
from firstday.segment.mixing import Mixing

TEMPERATURES = (0.01, 0.02, 0.04, 0.08, 0.16)
SMOOTHINGS = (0.0, 20.0, 100.0)
MOST_USERS = 2_000
"""Validation users that are looked at, at most."""


def choose_mixing(query: Query, truth: SparseRows) -> Mixing:
    """Return the mixing whose lists have the best precision for the given users; among equals the first.

    Parameters
    ----------
    query
        Validation users, asking a trained model.
    truth
        What they used afterwards, shape (n_users, n_items).
    """
    rows = np.arange(min(query.n_users, MOST_USERS))
    asked, wanted = query.take(rows), truth.take(rows)
    best, chosen = -1.0, Mixing()
    for temperature, smoothing in product(TEMPERATURES, SMOOTHINGS):
        mixing = Mixing(temperature, smoothing)
        trial = replace(asked, model=replace(query.model, mixing=mixing))
        precision = float(measure(answer_all(trial, "soft_segments").items, wanted).precision.mean())
        if precision > best:
            best, chosen = precision, mixing
    return chosen
