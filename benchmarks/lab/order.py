"""Evaluate the default list with and without the learned order, for docs/quality.md.

export PYTHONPATH=benchmarks
python benchmarks/lab/order.py --data data
python benchmarks/lab/order.py --data data --only movielens-100k --seeds 5

For each dataset and length of lists, paired differences in precision of cold users: with the order that training keeps
or leaves out, and with the one it learned in any case. Renews the datasets' parts of docs/results/order.json.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import typer
from real_data import DOCS, find_sets, open_set
from result_files import read_results, to_json, write_results

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.methods import order as learning
from firstday.methods.precision import MEASURED_LENGTHS, measure_prefixes
from firstday.metrics import adjust_holm, ratio_intervals
from firstday.model.order import Order
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.recommender import Recommender
from firstday.training.fit import fit

USED, LEARNED = "as training decides", "in any case"
SIZES = {"0": (0, 0), "1": (1, 1), "2-3": (2, 3), "4-9": (4, 9), "10+": (10, np.inf)}
"""Classes of cold users by the number of items of day one."""


@dataclass(frozen=True, eq=False)
class Gains:
    """Gains in precision of the cold users of one training, in points, by order and length."""

    by_order: dict[str, np.ndarray]
    day_one_size: np.ndarray
    order: Order


def main(data: list[Path] = [], only: list[str] = [], seeds: int = 5, out: Path = DOCS / "results") -> None:
    """Evaluate datasets, by default all in `data`."""
    for name, copy in find_sets(only, data).items():
        dataset, config = open_set(name, copy)
        runs = list(measure_runs(dataset, config, seeds))
        if runs:
            target = out / "order.json"
            write_results({**read_results(target), name: summarise(runs)}, target)


def measure_runs(dataset: Dataset, config: Config, seeds: int) -> Iterator[Gains]:
    """Yield the gains of each cut-off or seed whose training learns an order."""
    cut_offs = find_cut_offs(dataset, config)
    for seed in range(seeds if cut_offs is None else 1):
        for holdout in hold_out(dataset, config, seed, cut_offs):
            gains = measure_gains(holdout, config.override("seed", seed))
            if gains is not None:
                yield gains


def measure_gains(holdout: Holdout, config: Config) -> Gains | None:
    """Train, and measure the gains of the orders; None if there are too few learners."""
    kept: list[Order] = []
    train_order = learning.train_order

    def keep(*arguments: Any) -> Order:
        order = train_order(*arguments)
        kept.append(order)
        return order

    with patch.object(learning, "train_order", keep):
        model = fit(holdout.dataset, holdout.split, config).model
    if not kept:
        return None
    orders = {USED: model.learned["order"], LEARNED: kept[0]}
    without = measure_lists(model, holdout, None)
    by_order = {name: measure_lists(model, holdout, order) - without for name, order in orders.items()}
    return Gains(by_order, holdout.cold.day_one_size[holdout.cold.truth.lengths() > 0], model.learned["order"])


def measure_lists(model: TrainedModel, holdout: Holdout, order: Order | None) -> np.ndarray:
    """Return the precision of `auto` for cold users who can be evaluated, in %, shape (n_lengths, n_users)."""
    query = cohort_query(
        Recommender(model.with_learned(order=order)), holdout.newcomers, holdout.cold, max(MEASURED_LENGTHS)
    )
    items = answer_query(query, "auto").items
    return 100 * measure_prefixes(items, holdout.cold.truth)[:, holdout.cold.truth.lengths() > 0]


def summarise(runs: list[Gains]) -> dict[str, Any]:
    """Return the gains with intervals, and p-values of classes of day-one size after Holm."""
    cohorts = np.repeat(np.arange(len(runs)), [len(run.day_one_size) for run in runs])
    size = np.concatenate([run.day_one_size for run in runs])
    record: dict[str, Any] = {
        "users": len(size),
        "runs": [run.order.to_json() for run in runs],
        "gains": defaultdict(dict),
        "classes": defaultdict(dict),
    }
    tests = []
    for name in (USED, LEARNED):
        gains = np.concatenate([run.by_order[name] for run in runs], axis=1).T
        classes = {label: (size >= low) & (size <= high) for label, (low, high) in SIZES.items()}
        for label, members in {"all": np.ones(len(size), bool), **classes}.items():
            if members.sum() < 2 or (label != "all" and name != USED):
                continue
            users = np.flatnonzero(members)
            intervals = ratio_intervals(gains[members], np.ones(len(users)), users, cohorts[members])
            for k, interval in zip(MEASURED_LENGTHS, intervals, strict=True):
                target = record["gains"][name] if label == "all" else record["classes"][label]
                target[str(k)] = to_json("gain", interval) | {"users": len(users)}
                if name == USED:
                    tests.append((target[str(k)], interval.p))
    known = [(target, p) for target, p in tests if p is not None and not np.isnan(p)]
    for (target, _), p in zip(known, adjust_holm(np.array([p for _, p in known])), strict=True):
        target["p"] = round(float(p), 4)
    return record


if __name__ == "__main__":
    typer.run(main)
