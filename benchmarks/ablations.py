"""Ablations of the default on validation users: the source of the section in docs/quality.md.

python benchmarks/ablations.py movielens-100k --seeds 5
python benchmarks/ablations.py deezer-europe --path deezer_europe.zip --seeds 2

Each variant changes one setting of the dataset's preset; variants that change something the data lacks are skipped.
Differences are paired by user and day one, with a 95 % bootstrap interval over users. The weights of `blend` are chosen
on the same validation users, which inflates all of its variants alike. Results go to docs/results/ablations-NAME.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import typer
from result_files import RESULTS, to_json, write_results

from firstday.cli.options import open_tables
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.evaluation.run import score_strategy
from firstday.metrics import bootstrap_mean
from firstday.recommend.recommender import answer_query
from firstday.recommend.registry import strategies_with
from firstday.training.fit import cohort_query, fit

STRATEGIES = ("segment", "soft_segments", "neighbors", "personal", "direct", "blend")
FLAT = {
    "cold_model.schedule": "flat",
    "cold_model.weight_decay": 0.0,
    "cold_model.epochs": 130,
    "cold_model.patience": 130,
}


def main(tables: str, path: Path | None = None, seeds: int = 5) -> None:
    """Train every variant; write precision and differences to the default."""
    dataset, preset = open_tables(tables, path, None)
    rows: list[dict[str, Any]] = []
    default: dict[str, np.ndarray] = {}
    for name, change in variants_of(preset).items():
        if "friends" in name and dataset.friends is None:
            continue
        config = preset.override(change)
        strategies = [strategy for strategy in STRATEGIES if strategy in strategies_with(config)]
        parts = [score(dataset, config, seed, strategies) for seed in range(seeds)]
        users = np.concatenate([users for users, _ in parts])
        found = {strategy: np.concatenate([of[strategy] for _, of in parts]) for strategy in strategies}
        default = default or found
        row: dict[str, Any] = {"variant": name, "change": change}
        for strategy in found:
            row[strategy] = round(float(found[strategy].mean()), 2)
            row |= to_json(f"{strategy}_minus_default", bootstrap_mean(found[strategy] - default[strategy], users))
        rows.append(row)
        content = {"dataset": dataset.name, "users": "validation", "seeds": list(range(seeds)), "rows": rows}
        write_results(content, RESULTS / f"ablations-{dataset.name}.json")  # after each row: training takes long


def variants_of(preset: Config) -> dict[str, dict[str, Any]]:
    """Return the changes of each variant to the preset."""
    return {
        "default": {},
        "the same day ones in every pass": {"sampled.day_ones": preset.cold_model.day_ones_per_pass},
        "one day one of each warm user, so shorter passes (paper)": {"sampled.day_ones": 1},
        "no ranker (paper)": {"ranker.enabled": False},
        "no warm users kept, so no neighbours (paper)": {"recommend.warm_users": 0},
        "no friends block (paper)": {"features.friends": False},
        "no fold-in block (paper)": {"features.fold_in": False},
        "item vectors as they are (paper)": {"features.unit_vectors": False},
        "counts as they are (paper)": {"features.counts": "plain"},
        "plain group means (paper)": {"features.group_shrinkage": 0.0},
        "ranker without dropout": {"ranker.dropout": 0.0, "ranker.input_dropout": 0.0},
        "ranker with two hidden layers (300, 200)": {"ranker.hidden": [300, 200]},
        "TT-SVD instead of ALS": {"embedding.method": "svd"},
        "word2vec instead of ALS": {"embedding.method": "word2vec"},
        "130 epochs at a flat 1e-4 (paper)": {**FLAT, "cold_model.learning_rate": 1e-4},
        "130 epochs at a flat 1e-3": {**FLAT, "cold_model.learning_rate": 1e-3},
    }


def score(
    dataset: Dataset, config: Config, seed: int, strategies: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the validation users of a seed and their precision in %, by strategy."""
    config = config.override({"seed": seed, "registration.cut_offs": 1})
    (part,) = hold_out(dataset, config, seed, find_cut_offs(dataset, config))
    split = part.split.fold(part.split.folds[0]) if part.split.folds else part.split
    recommender = fit(part.dataset, split, config).recommender
    query = cohort_query(recommender, part.dataset, split.validation, config.recommend.k)
    precision = {}
    for name in strategies:
        scores = score_strategy(query, split.validation, partial(answer_query, strategy=name))
        precision[name] = scores.metrics["precision"]
    return split.validation.users, precision


if __name__ == "__main__":
    typer.run(main)
