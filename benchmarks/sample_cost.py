"""Cost in precision of training on fewer users, and of MLlib's ALS: writes docs/results/sample-cost.json.

python benchmarks/sample_cost.py --users 300000                3, 10, 30 and 100 % of the warm users
python benchmarks/sample_cost.py --users 20000 --mllib         MLlib's ALS beside implicit's, on the same warm users

Cold users are the same throughout; differences to 100 % are paired by cold user. All warm users are always counted.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import typer
from result_files import RESULTS, read_results, to_json, write_results

from firstday.config import Config
from firstday.data.load import load
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.embed.embeddings import compute_affinity
from firstday.engine.large import Learners
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.tables import simulate
from firstday.metrics import bootstrap_mean, measure
from firstday.recommend.recommender import Recommender, answer_query
from firstday.training.fit import cohort_query, fit

SHARES = (100, 30, 10, 3)
STRATEGIES = ("segment", "blend")


def main(users: int = 100_000, items: int = 20_000, *, mllib: bool = False) -> None:
    """Measure, and write the figures; compare with MLlib's ALS on a local Spark."""
    path = RESULTS / "sample-cost.json"
    results = read_results(path)
    with tempfile.TemporaryDirectory() as folder:
        simulate(SimulationSettings(n_users=users, n_items=items), Path(folder) / "tables")
        dataset = load(Path(folder) / "tables")
        config = Config().override("registration.cut_offs", 1)
        (part,) = hold_out(dataset, config, config.seed, find_cut_offs(dataset, config))
        if mllib:
            results["mllib"] = compare_mllib(part, config)
        else:
            results |= {"users": users, "cold": len(part.cold), "seeds": 1, "warm": len(part.split.warm)}
            results["rows"] = compare_shares(part, config)
    write_results(results, path)


def compare_shares(part: Holdout, config: Config) -> list[dict[str, Any]]:
    """Train on samples of the warm users and evaluate the same cold users."""
    rows: list[dict[str, Any]] = []
    whole: dict[str, np.ndarray] = {}
    for share in SHARES:
        most_users = max(1, round(len(part.split.warm) * share / 100))
        began = perf_counter()
        fitted = fit(part.dataset, part.split, config.override("training.most_users", most_users))
        seconds = perf_counter() - began
        for strategy, precision in score(fitted.recommender, part).items():
            whole.setdefault(strategy, precision)
            row = {"share": share, "learned_from": most_users, "strategy": strategy, "seconds": round(seconds, 1)}
            rows.append(row | describe(precision, whole[strategy]))
    return rows


def compare_mllib(part: Holdout, config: Config) -> dict[str, Any]:
    """Use item embeddings from MLlib's ALS, and evaluate the same cold users."""
    dataset = part.dataset
    split = part.split
    import pyarrow as pa

    from firstday.engine.spark.cluster_dataset import factorise
    from firstday.engine.spark.session import open_session

    affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), len(dataset.items))
    settings = {"spark.driver.memory": "4g", "spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false"}
    session = open_session("local[2]", settings)
    table = pa.table(
        {"user": affinity.row_of_entry().astype(np.int32), "item": affinity.columns, "rating": affinity.weights}
    )
    ratings = session.createDataFrame(table).repartition(8)
    dimensions = config.embedding.resolve_dimensions(len(split.warm), len(dataset.items))
    vectors = factorise(ratings, len(dataset.items), dimensions, config)
    session.stop()
    plain = score(fit(dataset, split, config).recommender, part)
    learners = Learners(dataset, dataset.summary(), None, lambda _held_out, _dimensions: vectors)
    on_spark = fit(dataset, split, config.override("training.factors", "mllib"), learners=learners)
    other = score(on_spark.recommender, part)
    content: dict[str, Any] = {"users": len(part.newcomers.users), "cold": len(part.cold), "warm": len(split.warm)}
    content |= {"ratings": affinity.n_entries, "dimensions": dimensions}
    content["rows"] = [{"strategy": name, **describe(other[name], plain[name])} for name in STRATEGIES]
    return content


def score(recommender: Recommender, part: Holdout) -> dict[str, np.ndarray]:
    """Return the precision at 50 of each cold user, by strategy."""
    query = cohort_query(recommender, part.newcomers, part.cold, 50)
    return {name: measure(answer_query(query, name).items, part.cold.truth).precision for name in STRATEGIES}


def describe(precision: np.ndarray, compared: np.ndarray) -> dict[str, Any]:
    """Return the mean precision and the paired difference in %, with intervals over cold users."""
    users = np.arange(len(precision))
    difference = bootstrap_mean(100 * (precision - compared), users)
    return {**to_json("precision", bootstrap_mean(100 * precision, users)), **to_json("difference", difference)}


if __name__ == "__main__":
    typer.run(main)
