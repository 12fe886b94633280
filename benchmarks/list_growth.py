"""Cost of a list by `auto` and `segment`: as the catalogue grows, under each kind of rule, and by everything else.

    python benchmarks/list_growth.py                       renews docs/results/list-growth.json, some minutes
    python benchmarks/list_growth.py --items 50000 --items 400000

Models are those of `paper_size.py`, clustered around tastes, with the paper's numbers of segments and dimensions. Lists
of 50 are made for batches of 32 users with a few streams, a country and an age. Times are processor times per user on
one core, medians over turns. Ratios under rules are to the smallest catalogue in the same run; a rule is cold in its
first batch, which compiles it, and compiled in the others. On the smallest catalogue, one number at a time is varied,
and ratios are to the usual case.
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

from firstday.data.ids import Ids  # noqa: E402
from firstday.features.signals import Signals  # noqa: E402
from firstday.model.item_content import ItemContent  # noqa: E402
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
USUAL = {"batch": TOGETHER, "events": 6, "k": K, "passed over": 0, "new items": 0, "segments": 1_000}
VARIED: Mapping[str, tuple[int, ...]] = {
    "batch": (1, 8, 128),
    "events": (0, 30, 100, 500),
    "k": (10, 500),
    "passed over": (5, 50),
    "new items": (100, 1_000, 10_000),
    "segments": (250, 4_000),
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
        varied = {} if len(rows) < len(items) else measure_varied(items[0], turns)
        write_results({"batch": TOGETHER, "k": K, "items": rows, "varied": varied}, RESULTS / "list-growth.json")


def measure_varied(n_items: int, turns: int) -> dict[str, Any]:
    """Return milliseconds per user by strategy in the usual case, and ratios to it with one number varied."""
    models = {n: Recommender(make_model(n_items, n)) for n in (USUAL["segments"], *VARIED["segments"])}
    cases = {"usual": USUAL} | {
        f"{name}={value}": {**USUAL, name: value} for name, values in VARIED.items() for value in values
    }
    costs: dict[str, Any] = {}
    for name, case in cases.items():
        recommender = add_items(models[case["segments"]], case["new items"])
        batches = list(draw_users(recommender, N_BATCHES * case["batch"], case))
        costs[name] = {}
        for strategy in STRATEGIES:
            measure_batch(recommender, batches[0], strategy, {}, case["k"])
            times = [measure_batch(recommender, batch, strategy, {}, case["k"]) for batch in batches * turns]
            costs[name][strategy] = write_ms(times)
            if name != "usual":
                costs[name][f"{strategy}_ratio"] = round(costs[name][strategy] / costs["usual"][strategy], 2)
    return costs


def add_items(recommender: Recommender, n: int) -> Recommender:
    """Add new items, each like a segment, whose name is a word of its title."""
    if not n:
        return recommender
    model = recommender.model
    centroids = model.segments.centroids
    n_segments, d = centroids.shape
    content = ItemContent(
        terms=Ids.of([f"taste{number}" for number in range(n_segments)]),
        means=np.column_stack([centroids, np.zeros(n_segments)]).astype(np.float32),
        projection=np.zeros((0, d + 1), np.float32),
        centre=np.append(np.zeros(d), -6).astype(np.float32),
        n_hidden=0,
        cosine=1.0,
        odds=np.array([-2.0, 5, 1, 0, 1, 0, 0]),
        usual_odds=np.array([-2.0, 5, 1, 0, 1, 0, 0]),
    )
    titles = [f"taste{number % n_segments}" for number in range(n)]
    items = pl.DataFrame({"item_id": [f"new-{number}" for number in range(n)], "title": titles})
    return Recommender(model.with_learned(content=content)).with_items(items)


def measure_catalogue(n_items: int, turns: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return milliseconds per user by strategy, rule and state of the rule."""
    model = make_model(n_items)
    model = replace(model, catalogue=replace(model.catalogue, columns={"hundredth": pl.Series(range(n_items)) % 100}))
    recommender = Recommender(model)
    batches = list(draw_users(recommender, N_BATCHES * TOGETHER))
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


def measure_batch(
    recommender: Recommender, batch: list[Signals], strategy: str, rules: dict[str, Any], k: int = K
) -> float:
    """Return the processor time per user, in milliseconds."""
    began = process_time()
    recommender.recommend_users(batch, k, strategy, rules=rules or None)
    return 1000 * (process_time() - began) / len(batch)


def write_ms(times: Sequence[float]) -> float:
    """Return the median, rounded."""
    return round(float(np.median(times)), 3)


def draw_users(recommender: Recommender, n: int, case: Mapping[str, int] = USUAL) -> Iterator[list[Signals]]:
    """Draw users who streamed a number of the most used items, and passed others over, in batches."""
    rng = np.random.default_rng(1)
    items = recommender.model.catalogue.items.values
    popular = recommender.model.popular_items[:5_000]

    def draw() -> Signals:
        drawn = [items[int(item)] for item in rng.choice(popular, case["events"] + case["passed over"], replace=False)]
        streams = [("stream", "item", item) for item in drawn[: case["events"]]]
        country = f"C{rng.integers(COUNTRIES):02}"
        shown = drawn[case["events"] :]
        return Signals(age=int(rng.integers(15, 60)), country=country, interactions=streams, shown=shown)

    for start in range(0, n, case["batch"]):
        yield [draw() for _ in range(min(case["batch"], n - start))]


if __name__ == "__main__":
    typer.run(main)
