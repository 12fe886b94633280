"""Cost of a list as the catalogue grows: the default and `segment`, without rules and under each kind of rule.

    python benchmarks/list_growth.py                       renews docs/results/list-growth.json, some minutes
    python benchmarks/list_growth.py --items 50000 --items 400000

Models are those of `paper_size.py`, clustered around tastes, with the paper's numbers of segments and dimensions. Lists
of 50 are made for batches of 32 users with a few streams, a country and an age. Times are processor times per user on
one core, medians over turns; ratios are to the smallest catalogue in the same run. A rule is cold in its first batch,
which compiles it, and compiled in the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import process_time
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  threads first
import polars as pl  # noqa: E402
import typer  # noqa: E402
from paper_size import COUNTRIES, make_model  # noqa: E402
from result_files import RESULTS, write_results  # noqa: E402

from firstday.features.signals import Signals  # noqa: E402
from firstday.recommend.recommender import Recommender  # noqa: E402

STRATEGIES = ("auto", "segment")
K = 50
TOGETHER = 32
N_BATCHES = 10
RULES: Mapping[str, dict[str, Any]] = {
    "no rules": {},
    "filter to 1 %": {"filter": "hundredth == 0"},
    "filter to 30 %": {"filter": "hundredth < 30"},
    "cap": {"cap": {"hundredth": 2}},
    "pin": {"pin": {"3": ["item-00007"]}},
    "boost": {"boost": {"hundredth == 1": 2.0}},
}


def main(items: list[int] = [50_000, 400_000, 2_000_000], turns: int = 5) -> None:
    """Measure all catalogues in turns."""
    rows: dict[str, Any] = {}
    for n_items in items:
        rows[str(n_items)] = measure_catalogue(n_items, turns)
        first = rows[str(items[0])]
        for strategy, costs in rows[str(n_items)].items():
            for rule, cost in costs.items():
                for state in list(cost):
                    cost[f"{state}_ratio"] = round(cost[state] / first[strategy][rule][state], 2)
        write_results({"batch": TOGETHER, "k": K, "items": rows}, RESULTS / "list-growth.json")


def measure_catalogue(n_items: int, turns: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return milliseconds per user by strategy, rule and state of the rule."""
    model = make_model(n_items)
    model = replace(model, catalogue=replace(model.catalogue, columns={"hundredth": pl.Series(range(n_items)) % 100}))
    recommender = Recommender(model)
    batches = list(draw_users(recommender))
    costs: dict[str, dict[str, dict[str, float]]] = {}
    for strategy in STRATEGIES:
        recommender.recommend_users(batches[0], K, strategy)  # what is derived once
        costs[strategy] = {}
        for rule, rules in RULES.items():
            cold = []
            compiled = []
            for _ in range(turns):
                forget(recommender, rules)
                first, *others = (measure_batch(recommender, batch, strategy, rules) for batch in batches)
                cold.append(first)
                compiled.append(np.median(others))
            costs[strategy][rule] = {"cold": write_ms(cold), "compiled": write_ms(compiled)}
    return costs


def forget(recommender: Recommender, rules: dict[str, Any]) -> None:
    """Forget compiled rules, unless there are none."""
    if rules:
        recommender.model.compiled_rules.clear()


def measure_batch(recommender: Recommender, batch: list[Signals], strategy: str, rules: dict[str, Any]) -> float:
    """Return the processor time per user, in milliseconds."""
    began = process_time()
    recommender.recommend_users(batch, K, strategy, rules=rules or None)
    return 1000 * (process_time() - began) / len(batch)


def write_ms(times: Sequence[float]) -> float:
    """Return the median, rounded."""
    return round(float(np.median(times)), 3)


def draw_users(recommender: Recommender) -> Iterator[list[Signals]]:
    """Draw batches of users who streamed one to eleven of the most used items."""
    rng = np.random.default_rng(1)
    items = recommender.model.catalogue.items.values
    popular = recommender.model.popular_items[:5_000]

    def draw() -> Signals:
        streams = [("stream", "item", items[int(item)]) for item in rng.choice(popular, rng.integers(1, 12))]
        return Signals(age=int(rng.integers(15, 60)), country=f"C{rng.integers(COUNTRIES):02}", interactions=streams)

    for _ in range(N_BATCHES):
        yield [draw() for _ in range(TOGETHER)]


if __name__ == "__main__":
    typer.run(main)
