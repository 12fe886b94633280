"""How often `refresh` refuses one of two equal trainings, and one that is 5 % worse, by the number of compared users.

python benchmarks/refresh_gate.py movietweetings --path movietweetings_100k.zip
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from firstday import Config, load
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import split_for_training
from firstday.metrics import compare_ratio
from firstday.recommend.recommender import Recommender
from firstday.training.fit import fit
from firstday.training.held_out_users import hash_users
from firstday.training.model_comparison import TRAINING_ERROR, ModelComparison, measure_precision
from firstday.training.refresh_model import GATE

N_USERS = (133, 500, 2_000)
HELD_OUT = 0.5
QUICK = {
    "threads": 1,
    "ranker.enabled": False,
    "recommend.item_weights": False,
    "embedding.dimensions": 32,
    "segments.restarts": 1,
}
"""Settings of a training in seconds; without two components that make equal trainings more alike."""


def main(tables: str, path: Path | None = None, seeds: Annotated[int, typer.Option(min=2)] = 30) -> None:
    """Train with each seed on the same half of the users, and compare all pairs of trainings on some of the others."""
    dataset = load(tables, path=path)
    assert isinstance(dataset, Dataset)
    is_held_out = hash_users(dataset)[0] < HELD_OUT
    precision = []
    for seed in range(seeds):
        config = Config().override({**QUICK, "seed": seed})
        split = split_for_training(dataset, config, seed, held_out=is_held_out)
        model = fit(dataset, split, config).model
        precision.append(measure_precision(Recommender(model), dataset, split.cold))
        print(f"seed {seed}: {precision[-1].mean():.4f} of {len(split.cold):,} users", flush=True)
    rng = np.random.default_rng(0)
    for n in N_USERS:
        ratios = []
        refused = worse = 0
        for one, other in permutations(range(seeds), 2):
            users = rng.choice(len(precision[0]), n, replace=False)
            before, now = precision[one][users], precision[other][users]
            ratio = compare_ratio(now, before, TRAINING_ERROR)
            ratios.append(ratio.mean)
            refused += bool(ModelComparison(n, 50, 0, 0, ratio, ratio.mean).describe_loss(GATE))
            less = compare_ratio(0.95 * now, before, TRAINING_ERROR)
            worse += bool(ModelComparison(n, 50, 0, 0, less, less.mean).describe_loss(GATE))
        share = {"below 0.98": float(np.mean(np.array(ratios) < 0.98)), "refused": refused / len(ratios)}
        share["refused if 5 % worse"] = worse / len(ratios)
        lowest = f"one of a hundred below {np.quantile(ratios, 0.01):.3f}"
        print(f"{n:,} users: {lowest}; " + ", ".join(f"{what} {100 * part:.1f} %" for what, part in share.items()))


if __name__ == "__main__":
    typer.run(main)
