"""How fast lists follow updates and withdrawals of items, with compiled rules, and what a list costs then.

    python benchmarks/item_updates.py [--items 2000000] [--rules 64] [--out OUT]

In this process, lists are made with 0, 1,000 and 100,000 updated items. Then two real workers share a Redis, and items
that both list are withdrawn at one of them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import polars as pl
import typer
from paper_size import make_model
from result_files import write_results
from serve_process import ServerProcess
from store_servers import RedisProcess

from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.current_items import read_items
from firstday.recommend.recommender import Recommender

N_UPDATES = (0, 1_000, 100_000)
N_LISTS = 50
GENRES = 20


def main(
    items: int = 2_000_000, rules: int = 64, out: Annotated[Path | None, typer.Option(help="JSON to write.")] = None
) -> None:
    """Measure, and print or write the results."""
    rng = np.random.default_rng(0)
    model = add_columns(make_model(items), rng)
    all_rules = [make_rules(number) for number in range(rules)]
    in_process = [measure_lists(model, all_rules, n, rng) for n in N_UPDATES]
    write_results(in_process, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Recommender(model).save(Path(folder) / "model")
        withdrawal = measure_withdrawal(path, all_rules, Path(folder))
    write_results({"items": items, "rules": rules, "lists": in_process, "workers": withdrawal}, out)


def add_columns(model: TrainedModel, rng: np.random.Generator) -> TrainedModel:
    """Return the model with columns that rules read."""
    n = model.n_items
    columns = {
        "genre": pl.Series([f"genre {number}" for number in range(GENRES)]).gather(rng.integers(GENRES, size=n)),
        "in_stock": pl.Series(rng.random(n) < 0.9),
        "year": pl.Series(rng.integers(1950, 2027, size=n).astype(float)),
    }
    return replace(model, catalogue=replace(model.catalogue, columns=columns))


def make_rules(number: int) -> dict[str, Any]:
    """Return rules, every fourth with a cap, and every fourth with a boost."""
    rules: dict[str, Any] = {"filter": f"in_stock and year >= {1950 + number}"}
    if number % 4 == 1:
        rules["cap"] = {"genre": 5}
    if number % 4 == 2:
        rules["boost"] = {f'genre == "genre {number % GENRES}"': 1.5}
    return rules


def measure_lists(
    model: TrainedModel, rules: list[dict[str, Any]], n_updates: int, rng: np.random.Generator
) -> dict[str, float]:
    """Measure what it takes to follow some updates, and lists of users of whom a country is known, in milliseconds."""
    recommender = Recommender(model)
    for one in rules:
        recommender.recommend({}, rules=one)  # compiled before the updates
    row: dict[str, float] = {"updates": n_updates, "build_ms": 0.0}
    if n_updates:
        chosen = rng.choice(model.n_items, min(n_updates, model.n_items), replace=False)
        table = pl.DataFrame(
            {"item_id": model.catalogue.items.take(chosen), "in_stock": rng.random(len(chosen)) < 0.5, "year": 2027.0}
        )
        row["build_ms"] = 1000 * min(time_each(lambda: read_items(model, table, datetime.now(UTC)), range(3)))
        recommender = replace(recommender, current_items=read_items(model, table, datetime.now(UTC)))
    first = time_each(lambda one: recommender.recommend({}, rules=one), rules)
    row["follow_ms_per_rule"] = 1000 * statistics.mean(first)
    row["follow_ms_slowest_rule"] = 1000 * max(first)
    users = [{"country": f"C{number:02}"} for number in range(N_LISTS)]
    row["list_ms"] = 1000 * statistics.median(time_each(recommender.recommend, users))
    under_rule: Callable[..., Any] = lambda user: recommender.recommend(user, rules=rules[0])  # noqa: E731
    row["list_ms_under_rules"] = 1000 * statistics.median(time_each(under_rule, users))
    return row


def time_each(work: Callable[..., Any], inputs: Any) -> list[float]:
    """Return the seconds of work on each input."""

    def measure() -> Iterator[float]:
        for one in inputs:
            began = time.perf_counter()
            work(one) if not isinstance(inputs, range) else work()
            yield time.perf_counter() - began

    return list(measure())


def measure_withdrawal(model: Path, rules: list[dict[str, Any]], folder: Path) -> dict[str, float]:
    """Measure the milliseconds until the other worker follows a withdrawal, and its first lists under each rule."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisProcess())
        servers = [ServerProcess(model, folder / name, {"store": redis.url}) for name in ("one", "other")]
        clients = []
        for server in servers:
            stack.callback(server.kill)
            clients.append(stack.enter_context(httpx.Client(base_url=server.url, timeout=60)))

        def list_items(client: httpx.Client, one: dict[str, Any]) -> list[str]:
            answer = client.post("/v1/users/u/recommendations", json={"rules": one}).raise_for_status().json()
            return [item["item_id"] for item in answer["items"]]

        for client in clients:
            for one in rules:
                first = list_items(client, one)
        waits = []
        lists = []
        for item in first[:5]:
            began = time.perf_counter()
            clients[0].delete(f"/v1/items/{item}").raise_for_status()
            while item in list_items(clients[1], rules[-1]):
                time.sleep(0.005)
            waits.append(time.perf_counter() - began)
            lists += time_each(lambda one: list_items(clients[1], one), rules)
        return {
            "last_worker_ms_median": 1000 * statistics.median(waits),
            "last_worker_ms_most": 1000 * max(waits),
            "first_list_ms_median": 1000 * statistics.median(lists),
            "first_list_ms_most": 1000 * max(lists),
        }


if __name__ == "__main__":
    typer.run(main)
