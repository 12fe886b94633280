"""Which past newcomers to validate on, a sample of all times or the newest; on logs with registration times.

python benchmarks/validation_users.py --data data --only movietweetings --only online-retail

Prints the precision of `auto` and `blend` with both, and the paired difference over users with its interval.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import typer

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits import holdout as holdouts
from firstday.data.splits.histories import Histories, read_histories
from firstday.leaderboard.board import find_sets, open_set
from firstday.metrics import bootstrap_means, measure
from firstday.progress import open_progress
from firstday.recommend.recommender import answer_query
from firstday.training.fit import cohort_query, fit

STRATEGIES = ("auto", "blend")


def newest_first(*arguments: Any) -> Histories:
    """Return histories numbered by registration, so that the newest users are drawn first."""
    histories = read_histories(*arguments)
    order = np.argsort(np.argsort(-histories.registered_us, kind="stable"), kind="stable")
    return replace(histories, numbers=order.astype(np.uint64))


def score(dataset: Dataset, config: Config, *, newest: bool) -> dict[str, np.ndarray]:
    """Return precision at 10 and at 50 of each newcomer's list, by strategy and length."""
    vars(holdouts)["read_histories"] = newest_first if newest else read_histories
    found: dict[str, list[np.ndarray]] = {}
    with open_progress() as progress:
        for part in holdouts.hold_out(dataset, config, config.seed, holdouts.find_cut_offs(dataset, config)):
            recommender = fit(part.dataset, part.split, config, progress=progress).recommender
            query = cohort_query(recommender, part.newcomers, part.cold, 50)
            for name in STRATEGIES:
                items = answer_query(query, name).items
                for k in (10, 50):
                    precision = 100 * measure(items[:, :k], part.cold.truth).precision
                    found.setdefault(f"{name}, P@{k}", []).append(precision)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def main(
    data: list[Path] = [],
    only: list[str] = ["movietweetings", "online-retail"],
    cut_offs: int = 3,
) -> None:
    """Run both on each dataset."""
    for name, copy in find_sets(only, data).items():
        dataset, config = open_set(name, copy)
        config = config.override("registration.cut_offs", cut_offs)
        drawn, newest = (score(dataset, config, newest=way) for way in (False, True))
        for figure, values in drawn.items():
            (difference,) = bootstrap_means((newest[figure] - values)[:, None], np.arange(len(values)))
            print(
                f"{name}: {figure}: all times {values.mean():.1f}, newest {newest[figure].mean():.1f}, difference "
                f"{difference.mean:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}], {len(values):,} newcomers"
            )


if __name__ == "__main__":
    typer.run(main)
