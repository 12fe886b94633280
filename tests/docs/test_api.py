"""The example methods of docs/api.md work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

import firstday as fd
from firstday.testing import check_strategy
from tests.docs.examples import ROOT

pytestmark = pytest.mark.usefixtures("fresh_registry")


def run_example(number: int) -> dict[str, Any]:
    """Return the names that an example of the page defines."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    scope: dict[str, Any] = {"dataclass": dataclass, "np": np, "fd": fd, "__name__": __name__}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[number], scope)
    return scope


def train_groups(method: str) -> fd.Recommender:
    """Train a method on the young, who use items 0 to 11, and the old, who use 12 to 23."""
    young = np.arange(12)
    old = np.arange(12, 24)
    rng = np.random.default_rng(0)
    used = {user: rng.choice(young if user < 40 else old, 8, replace=False).tolist() for user in range(80)}
    tables = {
        "users": pl.DataFrame({"user_id": range(80), "age": [20 + user % 10 if user < 40 else 45 for user in used]}),
        "interactions": pl.DataFrame(
            [(user, item) for user, items in used.items() for item in items], ["user_id", "item_id"], orient="row"
        ),
    }
    config = fd.Config(threads=1, methods=(method,)).override(
        {
            "cold_model.hidden": (8,),
            "cold_model.epochs": 1,
            "ranker.enabled": False,
            "sampled.min_items": 5,
            "recommend.warm_users": 0,
        }
    )
    return fd.train(fd.load(tables), config, progress=None)


def test_a_method_learns_from_profiles() -> None:
    fd.register(run_example(0)["BY_AGE"])
    recommender = train_groups("by_age")
    for age, items in ((24, range(12)), (47, range(12, 24))):
        answer = recommender.recommend({"age": age}, 5, "by_age")
        assert answer.route == "by_age"
        assert {item.item_id for item in answer.items} <= set(items)


def test_a_method_with_options_is_tuned_and_passes_all_checks() -> None:
    fd.register(run_example(1)["PAIRS"])
    recommender = train_groups("pairs")
    assert set(recommender.model.facts["metrics"]["options"]["pairs"]["options"]) == {"min_items", "power"}
    users = [fd.Signals(), fd.Signals(interactions=[("stream", "item", 0), ("stream", "item", 1)])]
    check_strategy(recommender, "pairs", users)
    for used, items in ((0, range(12)), (12, range(12, 24))):
        answer = recommender.recommend({"interactions": [("stream", "item", used)]}, 5, "pairs")
        assert answer.route == "pairs"
        assert {item.item_id for item in answer.items} <= set(items)
