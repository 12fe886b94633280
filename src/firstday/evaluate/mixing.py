"""Choose the settings of `soft_segments` on validation users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import numpy as np

from firstday.artifact.model import TrainedModel
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
    mixings = [Mixing(temperature, smoothing) for temperature, smoothing in product(TEMPERATURES, SMOOTHINGS)]
    models = (replace(query.model, mixing=mixing) for mixing in mixings)
    return choose_model(query.take(rows), truth.take(rows), models, "soft_segments").mixing


def choose_model(query: Query, truth: SparseRows, models: Iterable[TrainedModel], strategy: str) -> TrainedModel:
    """Return the model whose lists by a strategy have the best precision for some users; among equals the first.

    Parameters
    ----------
    query, truth
        The users, and what they used afterwards.
    models
        They differ in how strategies weigh things alone; one at least.
    strategy
        Its name.
    """
    best, chosen = -1.0, query.model
    for model in models:
        query = query.asking(model)
        precision = float(measure(answer_all(query, strategy).items, truth).precision.mean())
        if precision > best:
            best, chosen = precision, model
    return chosen
