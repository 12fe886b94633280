"""The method of docs/api.md works: what the young use goes to the young."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

import firstday as fd
from tests.docs.examples import ROOT

pytestmark = pytest.mark.usefixtures("as_it_was")


def test_a_method_learns_from_profiles() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    scope: dict[str, Any] = {"dataclass": dataclass, "np": np, "fd": fd, "__name__": __name__}
    exec(code.group(1), scope)
    fd.register(scope["BY_AGE"])
    young, old = np.arange(12), np.arange(12, 24)
    rng = np.random.default_rng(0)
    used = {user: rng.choice(young if user < 40 else old, 8, replace=False).tolist() for user in range(80)}
    tables = {
        "users": pl.DataFrame({"user_id": range(80), "age": [20 + user % 10 if user < 40 else 45 for user in used]}),
        "interactions": pl.DataFrame(
            [(user, item) for user, items in used.items() for item in items], ["user_id", "item_id"], orient="row"
        ),
    }
    config = fd.Config(threads=1, methods=("by_age",)).override(
        {
            "cold_model.hidden": (8,),
            "cold_model.epochs": 1,
            "ranker.enabled": False,
            "sampled.min_items": 5,
            "recommend.warm_users": 0,
        }
    )
    recommender = fd.train(fd.load(tables), config, progress=None)
    for age, items in ((24, young), (47, old)):
        answer = recommender.recommend({"age": age}, 5, "by_age")
        assert answer.route == "by_age"
        assert {item.item_id for item in answer.items} <= set(items.tolist())
