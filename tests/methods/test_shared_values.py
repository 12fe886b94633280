"""A model holds what several methods read; what one method alone needs belongs to that method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from firstday.features.signals import Signals
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy
from firstday.recommend.support import strategies_of
from tests.recommend.test_strategies import PEOPLE

SHARED = (
    *(field.name for field in fields(TrainedModel)),
    *(name for name, value in vars(TrainedModel).items() if isinstance(value, cached_property | property)),
)
"""Names of the fields, properties and cached properties of a model."""

FEW_READERS = {
    "facts",  # describe the model
    "dimensions",  # describe the model
    "members_of_items",  # the questionnaire asks about them
    "kept_by_segment",  # narrows neighbours only in large models; the questionnaire reads it
    "updated",  # updates of these items do not end
    "shown_counts",  # the impressions, from which `explore` learns
}


@contextmanager
def recording() -> Iterator[set[str]]:
    """Record the names in `SHARED` that are read from any model."""
    names: set[str] = set()
    read = TrainedModel.__getattribute__

    def record(model: TrainedModel, name: str) -> Any:
        if name in SHARED:
            names.add(name)
        return read(model, name)

    TrainedModel.__getattribute__ = record  # type: ignore[method-assign, assignment]
    try:
        yield names
    finally:
        TrainedModel.__getattribute__ = read  # type: ignore[method-assign]


def find_readers(recommender: Recommender) -> Mapping[str, list[str]]:
    """Return the methods that read each name in `SHARED`, for their lists or as a component of `blend`.

    `auto`, which only calls others, does not count.
    """
    users = [*PEOPLE.values(), Signals(shown=["i1"])]
    readers: dict[str, list[str]] = {name: [] for name in SHARED}
    for strategy in strategies_of(recommender.model):
        if strategy == "auto":
            continue
        model = replace(recommender.model)  # without cached values
        component = find_strategy(strategy).component
        with recording() as names:
            signals, _ = model.read_signals(users)
            query = Query(model, signals, min(10, model.n_items))
            answer_query(query, strategy)
            if component is not None:
                rows = np.flatnonzero(query.has_features)
                component(query, rows).at(np.zeros((len(rows), 1), dtype=np.int64))
        for name in names:
            readers[name].append(strategy)
    return readers


def test_at_least_two_methods_read_each_value(tiny: Recommender) -> None:
    readers = find_readers(tiny)
    assert {name for name in SHARED if len(readers[name]) < 2} <= FEW_READERS
