"""The candidates of `blend` are the items with the greatest promise, as if that of every item were computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from paper_size import make_model

from firstday.features.signals import Signals
from firstday.methods import candidates
from firstday.methods.candidates import MAX_LIFT, find_candidates
from firstday.methods.clock import Clock, clock_factors, clock_terms
from firstday.model.trained_model import TrainedModel
from firstday.ranking import greatest
from firstday.recommend.component import LEAST_SHARE, Lift, Part, Shares
from firstday.recommend.new_items.current_items import read_items
from firstday.recommend.query import Query
from firstday.recommend.rules.list_rules import Rules, compile_rules
from firstday.sparse import SparseRows

N_ITEMS = 1_500
N_CHOSEN, N_NARROW = 40, 90
RULES: dict[str, Any] = {
    "no rules": {},
    "half of the items": {"filter": "half == 0"},
    "a tenth": {"filter": "tenth == 0"},
    "boosts": {"boost": {"tenth == 1": 30.0, "half == 0": 0.5}},
    "a boosted quarter": {"filter": "tenth < 3", "boost": {"tenth == 1": 3.0}},
}


@cache
def model_of_tastes() -> TrainedModel:
    model = make_model(N_ITEMS, n_segments=30, dimensions=8)
    items = pl.Series(range(N_ITEMS))
    columns = {"half": items % 2, "tenth": items % 10}
    segments = replace(model.segments, top_items=model.segments.top_items[:, :25])
    return replace(model, catalogue=replace(model.catalogue, columns=columns), segments=segments)


def with_clock(model: TrainedModel) -> TrainedModel:
    terms = np.random.default_rng(2).normal(size=N_ITEMS).astype(np.float32)
    return model.with_learned(clock=Clock(7.0, 1.0, True, terms, 2.0, 1.0, 0.1, 100, 10))


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take few candidates, so that the order of all items is read in parts."""
    monkeypatch.setattr(candidates, "ALL_CANDIDATES", N_NARROW)
    monkeypatch.setattr(candidates, "N_CANDIDATES", N_CHOSEN)
    monkeypatch.setattr(candidates, "MIN_RANKED", 1)


def rank_everything(query: Query, parts: Sequence[Part], excluded: SparseRows, n: int) -> np.ndarray:
    """Return the n most promising items by the promise of every item, ascending, shape (n_rows, n)."""
    model: TrainedModel = query.model
    rules = query.item_rules
    promise = np.full((excluded.n_rows, model.n_items), LEAST_SHARE, dtype=np.float32)
    for part in parts:
        if isinstance(part, Shares):
            promise += part.rows.dense(part.background)
    if clock_terms(model) is not None:
        promise *= clock_factors(model)
    promise *= rules.allowed
    for part in parts:
        if isinstance(part, Lift):
            promise[part.rows.row_of_entry(), part.rows.columns] *= np.exp(np.minimum(part.rows.weights, MAX_LIFT))
    if rules.factors is not None:
        promise *= rules.factors
    promise[excluded.row_of_entry(), excluded.columns] = -1
    return greatest(promise, n)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("has_clock", [False, True], ids=["no clock", "clock"])
@pytest.mark.parametrize("n_changed", [0, 3, 400])
def test_candidates_are_those_of_every_item_ranked(rules: str, n_changed: int, *, has_clock: bool) -> None:
    """Also after items have changed: every second one is withdrawn, and the others get another column."""
    model = with_clock(model_of_tastes()) if has_clock else model_of_tastes()
    current = None
    if n_changed:
        changed = model.catalogue.items.take(model.popular_items[:n_changed])
        is_listed = pl.Series([None, False] * n_changed)[:n_changed]
        table = pl.DataFrame({"item_id": changed, "tenth": [1] * n_changed, "recommendable": is_listed})
        current = read_items(model, table, datetime.now(UTC))
    rng = np.random.default_rng(0)
    ids = model.catalogue.items.values.to_list()
    sizes = [1, 2, 5, 300, 900, 0, 3, 3]  # some have used most of the catalogue
    users = [
        Signals(
            age=30, country="C01", interactions=[("stream", "item", ids[item]) for item in rng.permutation(N_ITEMS)[:n]]
        )
        for n in sizes
    ]
    batch, _ = model.catalogue.read(users)
    compiled = compile_rules(model, [Rules(**RULES[rules])], {}, current)
    names = tuple(model.learned["blend"].names)
    n = N_NARROW if 4 * compiled.of_model.n_allowed < N_ITEMS else N_CHOSEN
    for rows in (np.arange(len(users)), np.array([5, 0])):  # the second time, fewer are needed of what is kept
        query = Query(model, batch, 10, rules=compiled, current_items=current)
        parts, chosen, offsets = find_candidates(query, rows, names)
        excluded = query.excluded.take(rows)
        assert chosen.tolist() == rank_everything(query, list(parts.values()), excluded, n).tolist()
        assert ((offsets == -np.inf) == excluded.has(chosen)).all()


def test_another_background_is_ranked_anew() -> None:
    model = model_of_tastes()
    query = Query(model, model.catalogue.read([Signals(age=30)])[0], 10, rules=compile_rules(model, [Rules()], {}))
    parts, first, _ = find_candidates(query, np.arange(1), ("popular",))
    popular = parts["popular"]
    assert isinstance(popular, Shares)
    reverse = replace(popular, background=popular.background[::-1].copy())
    nothing = SparseRows.empty(1, N_ITEMS)
    found = [candidates._choose_candidates(query, {"popular": part}, nothing) for part in (popular, reverse, popular)]
    assert found[0].tolist() == found[2].tolist()
    assert found[1].tolist() == rank_everything(query, [reverse], nothing, N_CHOSEN).tolist() != found[0].tolist()
    assert first.shape == (1, N_CHOSEN)
