"""Cost of a list by strategy relative to `segment`, and agreement of fast lists with the full computation.

    firstday lab simulate /tmp/service --users 100000 --items 50000
    firstday train /tmp/service --out /tmp/service-model
    python benchmarks/list_speed.py /tmp/service /tmp/service-model        renews docs/results/list-speed.json

Users are the latest to register in the tables, with their first day. Each strategy answers for one user at a time, and
for batches of 32, in turns on one core. Times are processor times, medians over rounds; ratios are to `segment` in the
same run. `blend` is compared rank by rank with the full computation, in which every item is a candidate; so is
`neighbors`, which then searches all kept users.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  threads first
import polars as pl  # noqa: E402
import typer  # noqa: E402
from result_files import RESULTS, write_results  # noqa: E402

from firstday.data.events import ITEM  # noqa: E402
from firstday.features.signals import Signals  # noqa: E402
from firstday.methods import blend, people  # noqa: E402
from firstday.recommend.recommender import Recommender, open_model  # noqa: E402

STRATEGIES = ("segment", "popular", "personal", "soft_segments", "direct", "neighbors", "blend", "auto")
K = 50
TOGETHER = 32


def main(tables: Path, model_folder: Path, n_users: int = 1024, rounds: int = 5) -> None:
    """Measure and compare."""
    recommender = open_model(model_folder)
    users = read_newcomers(tables, n_users)
    model = recommender.model
    content: dict[str, Any] = {
        "items": model.n_items,
        "segments": len(model.segments),
        "dimensions": model.dimensions,
        "kept_users": 0 if model.warm is None else len(model.warm),
        "users": len(users),
        "blending": [dict(weights) for weights in model.learned["blend"].weights],
        "auto": [evidence.strategy for evidence in model.learned["auto"].classes],
        "equal": {name: compare(recommender, users, name) for name in ("blend", "neighbors", "auto")},
        "milliseconds": time_strategies(recommender, users, rounds),
    }
    write_results(content, RESULTS / "list-speed.json")


def read_newcomers(tables: Path, n_users: int) -> list[Signals]:
    """Return the first-day signals of the latest users to register, at least a day before the log ends."""
    interactions = pl.scan_parquet(tables / "interactions" / "*.parquet")
    end = interactions.select(pl.col("timestamp").max()).collect().item()
    users = pl.read_parquet(tables / "users.parquet").filter(pl.col("registered_at") < end - pl.duration(days=1))
    users = users.sort("registered_at").tail(n_users)
    acts = (
        interactions.join(users.lazy().select("user_id", "registered_at"), on="user_id")
        .filter(pl.col("timestamp") < pl.col("registered_at") + pl.duration(days=1))
        .collect()
        .sort("timestamp")
    )
    done: dict[Any, list[tuple[str, str, Any]]] = {}
    for row in acts.iter_rows(named=True):
        entity = row["entity"] or ITEM
        identity = row["item_id"] if row["entity"] is None else row["entity_id"]
        done.setdefault(row["user_id"], []).append((row["signal"], entity, identity))
    friends: dict[Any, list[Any]] = {}
    for user, friend in pl.read_parquet(tables / "friends.parquet").iter_rows():
        friends.setdefault(user, []).append(friend)
    return [
        Signals(
            user_id=row["user_id"],
            age=row["age"],
            country=row["country"],
            interactions=done.get(row["user_id"], []),
            friends=friends.get(row["user_id"], []),
        )
        for row in users.iter_rows(named=True)
    ]


@contextmanager
def full_computation() -> Iterator[None]:
    """Score every item and search every kept user."""
    with patch.object(people, "N_SEARCHED", 10**9), patch.object(blend, "ALL_CANDIDATES", 10**9):
        yield


def compare(recommender: Recommender, users: Sequence[Signals], strategy: str) -> dict[str, float]:
    """Return the share of ranks in % at which fast lists have the same item as full ones, or any of their items."""
    with full_computation():
        full = recommender.recommend_users(users, K, strategy).answer.items
    quick = np.concatenate([recommender.recommend_users([user], K, strategy).answer.items for user in users])
    among = [np.isin(a, b).mean() for a, b in zip(quick, full, strict=True)]
    return {
        "one_same_place": round(100 * float((quick == full).mean()), 3),
        "one_in_list": round(100 * float(np.mean(among)), 3),
    }


def time_strategies(recommender: Recommender, users: Sequence[Signals], n_rounds: int) -> dict[str, dict[str, float]]:
    """Return the processor time per user in ms, one by one and in batches, by strategy."""
    found: dict[str, dict[str, list[float]]] = {}
    for round_number in range(n_rounds + 1):
        for strategy in STRATEGIES:
            for name, together, n in (("one", 1, min(200, len(users))), ("together", TOGETHER, len(users))):
                parts = [users[at : at + together] for at in range(0, n, together)]
                began = process_time()
                for part in parts:
                    recommender.recommend_users(part, K, strategy)
                if round_number:  # the first round fills caches
                    took = 1e3 * (process_time() - began) / n
                    found.setdefault(strategy, {}).setdefault(name, []).append(took)
    return {
        strategy: {name: round(float(np.median(times)), 4) for name, times in of.items()}
        for strategy, of in found.items()
    }


if __name__ == "__main__":
    typer.run(main)
