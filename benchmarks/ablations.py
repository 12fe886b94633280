"""What each part of the default brings, on validation users: the source of the second table of docs/quality.md.

python benchmarks/ablations.py movielens-100k --seeds 5
python benchmarks/ablations.py deezer-europe --path deezer_europe.zip --seeds 2

One setting at a time is changed from the dataset's preset. Variants of data that lacks what they change are left out.
Differences are user by user over the same users and day ones, with a 95 % interval by bootstrap over users. Validation
users choose the weights of `blend` too, which flatters all of its variants alike. Results go to
docs/results/ablations-NAME.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from firstday.cli.options import open_tables
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import split_for_training
from firstday.evaluation.run import score_strategy
from firstday.metrics import bootstrap_mean
from firstday.recommend.registry import strategies_with
from firstday.training.fit import cohort_query, fit

RESULTS = Path(__file__).parents[1] / "docs" / "results"
STRATEGIES = ("segment", "soft_segments", "neighbors", "personal", "direct", "blend")
FLAT = {"schedule": "flat", "weight_decay": 0.0, "epochs": 130, "patience": 130}
Change = dict[str, dict[str, Any]]
"""Settings by section."""


def main() -> None:
    """Train every variant and print differences to the default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    dataset, preset = open_tables(arguments.tables, arguments.path, None)
    rows: list[dict[str, Any]] = []
    default: dict[str, np.ndarray] = {}
    for name, change in variants_of(preset).items():
        if "friends" in name and dataset.friends is None:
            continue
        changes = {
            f"{section}.{name}": value for section, settings in change.items() for name, value in settings.items()
        }
        users, found = judge(dataset, preset.override(changes), arguments.seeds)
        default = default or found
        row: dict[str, Any] = {"variant": name, "change": change}
        for strategy in found:
            row[strategy] = round(float(found[strategy].mean()), 2)
            difference = bootstrap_mean(found[strategy] - default[strategy], users)
            row[f"{strategy}_minus_default"] = round(difference.mean, 2)
            row[f"{strategy}_minus_default_ci"] = [round(difference.low, 2), round(difference.high, 2)]
        rows.append(row)
        Console(stderr=True).print(row)
        content = {"dataset": dataset.name, "users": "validation", "seeds": list(range(arguments.seeds)), "rows": rows}
        out = RESULTS / f"ablations-{dataset.name}.json"  # row by row, since all of them take long
        out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    show(dataset.name, rows)


def variants_of(preset: Config) -> dict[str, Change]:
    """Return what is changed from a preset, by name."""
    return {
        "default": {},
        "the same day ones in every pass": {"sampled": {"day_ones": preset.cold_model.day_ones_per_pass}},
        "one day one of each warm user, so shorter passes (paper)": {"sampled": {"day_ones": 1}},
        "no ranker (paper)": {"ranker": {"enabled": False}},
        "no warm users kept, so no neighbours (paper)": {"recommend": {"warm_users": 0}},
        "no friends block (paper)": {"features": {"friends": False}},
        "no fold-in block (paper)": {"features": {"fold_in": False}},
        "item vectors as they are (paper)": {"features": {"unit_vectors": False}},
        "counts as they are (paper)": {"features": {"counts": "plain"}},
        "plain group means (paper)": {"features": {"group_shrinkage": 0.0}},
        "ranker without dropout": {"ranker": {"dropout": 0.0, "input_dropout": 0.0}},
        "ranker with two hidden layers (300, 200)": {"ranker": {"hidden": [300, 200]}},
        "TT-SVD instead of ALS": {"embedding": {"method": "svd"}},
        "word2vec instead of ALS": {"embedding": {"method": "word2vec"}},
        "130 epochs at a flat 1e-4 (paper)": {"cold_model": {**FLAT, "learning_rate": 1e-4}},
        "130 epochs at a flat 1e-3": {"cold_model": {**FLAT, "learning_rate": 1e-3}},
    }


def judge(dataset: Dataset, config: Config, n_seeds: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the validation users of all seeds and their precision in %, by strategy."""
    users: list[np.ndarray] = []
    names = [name for name in STRATEGIES if name in strategies_with(config)]
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for seed in range(n_seeds):
        split = split_for_training(dataset, config, seed, with_cold=True)
        recommender = fit(dataset, split, config.override("seed", seed))
        query = cohort_query(recommender, dataset, split.validation, config.recommend.k)
        users.append(split.validation.users)
        for name in names:
            found[name].append(score_strategy(query, split.validation, name, "min").metrics["precision"])
    return np.concatenate(users), {name: np.concatenate(values) for name, values in found.items()}


def show(name: str, rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table("variant", *(text for s in STRATEGIES for text in (f"{s} P@50", "difference")), title=name)
    for row in rows:
        cells = []
        for strategy in STRATEGIES:
            if strategy not in row:
                cells += ["", ""]
                continue
            low, high = row[f"{strategy}_minus_default_ci"]
            cells += [f"{row[strategy]:.1f}", f"{row[f'{strategy}_minus_default']:+.1f} \\[{low:+.1f}, {high:+.1f}]"]
        table.add_row(row["variant"], *cells)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
