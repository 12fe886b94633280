"""Effect of pooling neighboring years of age (`features.age_users`): docs/results/ages-NAME.json.

python benchmarks/ages.py movielens-100k --seeds 5
firstday lab simulate small --users 6000 --items 3000 --days 60 && python benchmarks/ages.py small --seeds 5

Models are trained with the default and without pooling. Their input on test users is all of day one, the profile alone,
or the age alone; the rest is hidden from every strategy. Differences are paired by user and day one, with a 95 %
bootstrap interval over users.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import typer
from result_files import RESULTS, to_json, write_results

from firstday.cli.options import open_tables
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.evaluation.run import score_strategy
from firstday.features.signals import SignalBatch
from firstday.metrics import bootstrap_mean
from firstday.recommend.recommender import answer_query
from firstday.training.fit import cohort_query, fit

STRATEGIES = ("group", "segment", "blend")
KNOWN: Mapping[str, Callable[[SignalBatch], SignalBatch]] = {
    "day one": lambda batch: batch,
    "profile alone": lambda batch: replace(batch, actions={}, friends=None),
    "age alone": lambda batch: replace(batch, actions={}, friends=None, groups={}),
}


def main(tables: str, path: Path | None = None, seeds: int = 5) -> None:
    """Train with and without pooling, and write the precision on test users and the gain."""
    dataset, preset = open_tables(tables, path, None)
    default = preset.features.age_users
    users = []
    precision: dict[tuple[str, str, float], list[np.ndarray]] = defaultdict(list)
    for seed in range(seeds):
        config = preset.override({"seed": seed, "registration.cut_offs": 1})
        (part,) = hold_out(dataset, config, seed, find_cut_offs(dataset, config))
        users.append(part.cold.users)
        for age_users in (0.0, default):
            recommender = fit(part.dataset, part.split, config.override("features.age_users", age_users)).recommender
            query = cohort_query(recommender, part.newcomers, part.cold, config.recommend.k)
            for known, hide in KNOWN.items():
                asked = replace(query, signals=hide(query.signals))
                for strategy in STRATEGIES:
                    scores = score_strategy(asked, part.cold, partial(answer_query, strategy=strategy))
                    precision[known, strategy, age_users].append(scores.metrics["precision"])
    rows = []
    for (known, strategy, age_users), by_seed in precision.items():
        values = np.concatenate(by_seed)
        plain = np.concatenate(precision[known, strategy, 0.0])
        difference = bootstrap_mean(values - plain, np.concatenate(users))
        row = {"known": known, "strategy": strategy, "age_users": age_users, "n": len(values)}
        rows.append({**row, "precision": round(float(values.mean()), 2), **to_json("minus_plain", difference)})
    content = {"dataset": dataset.name, "k": preset.recommend.k, "seeds": seeds, "default": default, "rows": rows}
    write_results(content, RESULTS / f"ages-{dataset.name}.json")


if __name__ == "__main__":
    typer.run(main)
