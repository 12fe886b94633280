"""What rules cost, and whether lists under filters are those of ranking everything and filtering.

    firstday lab simulate /tmp/service --users 100000 --items 50000
    firstday train /tmp/service --out /tmp/service-model
    python benchmarks/rules.py /tmp/service /tmp/service-model        renews docs/results/rules.json

The items get columns of random values. Users are the latest to register in the tables, with their first day. Costs are
processor times of one core for one user at a time, medians over rounds in which all requests take turns, relative to
the same list without rules. Above `blend.ALL_CANDIDATES` allowed items, lists are compared with those for which every
allowed item is a candidate: ranks with the same item, and the precision for what the users used after their first day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import list_speed
import numpy as np
import polars as pl
import typer
from result_files import RESULTS, write_results

from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.rules.list_rules import MAX_IDS, Row, Rules

K = 50
SHARES = {"1 %": 0.01, "4 %": 0.04, "10 %": 0.1, "50 %": 0.5}
"""Shares of items that the filters allow."""
STRATEGIES = ("auto", "segment", "popular")


def main(tables: Path, model_folder: Path, n_users: int = 512, rounds: int = 7, out: Path | None = None) -> None:
    """Measure and compare."""
    recommender = add_columns(open_model(model_folder))
    users = list_speed.read_newcomers(tables, n_users)
    content: dict[str, Any] = {
        "items": recommender.model.n_items,
        "users": len(users),
        "equal": {name: compare(recommender, users, name, used_later(tables, users)) for name in SHARES},
        "cost": {name: time_rules(recommender, users[:64], name, rounds) for name in STRATEGIES},
    }
    write_results(content, out or RESULTS / "rules.json")


def add_columns(recommender: Recommender) -> Recommender:
    """Return the model with columns of random values."""
    model = recommender.model
    rng = np.random.default_rng(0)
    columns = {
        f"share_{number}": pl.Series(rng.random(model.n_items) < part) for number, part in enumerate(SHARES.values())
    }
    columns["artist_id"] = pl.Series([[str(value)] for value in rng.integers(0, model.n_items // 20, model.n_items)])
    columns["year"] = pl.Series(rng.integers(1960, 2026, model.n_items).astype(float))
    return Recommender(replace(model, catalogue=replace(model.catalogue, columns=columns)))


def draw_requests(recommender: Recommender, strategy: str) -> dict[str, Callable[[Signals], Any]]:
    """Return a function of the user for each kind of request."""
    ids = recommender.model.catalogue.items
    rng = np.random.default_rng(1)
    half = [ids[int(item)] for item in rng.permutation(len(ids))[: len(ids) // 2]]
    denied = [*half, *(f"unknown {number}" for number in range(MAX_IDS - len(half)))]
    rules = {
        "no rules": None,
        "a filter that allows 1 %": Rules(filter="share_0"),
        "100,000 denied ids": Rules(deny=tuple(denied)),
        "2 per artist": Rules(cap={"artist": 2}),
        "a pinned item": Rules(pin={3: ids[0]}),
        "a boost": Rules(boost={"share_2": 2}),
        "the second page": Rules(after=K),
    }
    requests = {
        name: partial(recommender.recommend, k=K, strategy=strategy, rules=rule) for name, rule in rules.items()
    }
    rows = [Row(name=str(year), filter=f"year >= {year}", k=K // 5) for year in range(1960, 2010, 10)]
    return {**requests, "five rows": partial(recommender.recommend_rows, rows=rows, strategy=strategy)}


def time_rules(recommender: Recommender, users: Sequence[Signals], strategy: str, rounds: int) -> dict[str, float]:
    """Return the cost of each kind of request relative to no rules."""
    requests = draw_requests(recommender, strategy)
    times: dict[str, list[float]] = {name: [] for name in requests}
    for round_number in range(rounds + 1):
        for name, request in requests.items():
            began = process_time()
            for user in users:
                request(user)
            if round_number:  # the first round fills caches
                times[name].append(process_time() - began)
    medians = {name: float(np.median(of_request)) for name, of_request in times.items()}
    return {name: round(median / medians["no rules"], 2) for name, median in medians.items()}


def used_later(tables: Path, users: Sequence[Signals]) -> list[set[Any]]:
    """Return the items that each user used, their first day excepted."""
    rows = pl.scan_parquet(tables / "interactions" / "*.parquet").filter(
        pl.col("user_id").is_in([of.user_id for of in users])
    )
    items = rows.filter(pl.col("signal") == "stream").group_by("user_id").agg("item_id").collect()
    by_user = dict(items.iter_rows())
    return [set(by_user.get(of.user_id, [])) - {action.entity_id for action in of.interactions} for of in users]


def compare(
    recommender: Recommender, users: Sequence[Signals], share: str, truth: Sequence[set[Any]]
) -> dict[str, float]:
    """Compare the lists of `blend` under a filter with those for which every item is a candidate."""
    rules = Rules(filter=f"share_{list(SHARES).index(share)}")
    quick = recommender.recommend_users(users, K, "blend", rules=rules).answer.items
    with list_speed.full_computation():
        full = recommender.recommend_users(users, K, "blend", rules=rules).answer.items
    names = np.array(recommender.model.catalogue.items.values.to_list(), dtype=object)
    precision = [
        100
        * float(
            np.mean([np.mean([name in used for name in names[row]]) for row, used in zip(lists, truth, strict=True)])
        )
        for lists in (quick, full)
    ]
    return {
        "same_item": round(100 * float((quick == full).mean()), 3),
        "precision": round(precision[0], 3),
        "precision_of_all": round(precision[1], 3),
    }


if __name__ == "__main__":
    typer.run(main)
