"""Train the model that `firstday demo` opens, evaluate it on held-out people, and write it into the package.

python benchmarks/demo_model.py --data data      a folder that contains xwines_slim.zip

The model learns from the ratings of X-Wines (CC0) before a cut-off. The people who came afterwards are held out: lists
are made from what they rated on their first day, and compared with what they rated later. The result is stored in the
facts of the model, which contains no data of individuals.
"""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from firstday.cli.demo import MODEL
from firstday.config import Config
from firstday.data.load import load
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.metrics import HEAD, bootstrap_ratios, measure
from firstday.model.trained_model import TrainedModel
from firstday.progress import open_progress
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.recommender import Recommender
from firstday.training.fit import fit

SMALL = {"embedding.dimensions": 32, "cold_model.hidden": [64], "ranker.hidden": [32]}
CONFIG = Config().override({**SMALL, "recommend.warm_users": 0})
"""Settings of a small model without data of individuals."""


def find_holdout(data: Path) -> Holdout:
    """Return the ratings before the last cut-off at which X-Wines is evaluated, and the people who came afterwards."""
    dataset = load("x-wines", path=data, config=CONFIG)
    *_, last = hold_out(dataset, CONFIG, CONFIG.seed, find_cut_offs(dataset, CONFIG))
    return last


def measure_gain(model: TrainedModel, holdout: Holdout) -> dict[str, Any]:
    """Return P@10 of `auto` and `popular` on held-out people, in %, hits per list, and the ratio with its interval."""
    cold = holdout.cold.with_truth()
    query = cohort_query(Recommender(model), holdout.newcomers, cold, HEAD)
    truth = cold.truth
    precision = {name: measure(answer_query(query, name).items, truth).precision for name in ("auto", "popular")}
    users = np.arange(query.n_users)
    n_possible = np.minimum(truth.lengths(), HEAD)
    (ratio,) = bootstrap_ratios(precision["auto"][:, None], precision["popular"], users)
    return {
        "users": len(users),
        "k": HEAD,
        "precision": {name: round(100 * float(values.mean()), 2) for name, values in precision.items()},
        "hits": {name: round(float(values @ n_possible / len(users)), 3) for name, values in precision.items()},
        "ratio": [round(value, 4) for value in (ratio.mean, ratio.low, ratio.high)],
    }


def main(data: Annotated[Path, typer.Option()], out: Path = MODEL) -> None:
    """Train, evaluate and write the model."""
    holdout = find_holdout(data)
    with open_progress() as progress:
        model = fit(holdout.dataset, holdout.split, CONFIG, progress=progress).model
    gain = measure_gain(model, holdout)
    metrics = {**model.facts["metrics"], "held_out": gain}
    recommender = Recommender(replace(model, facts={**model.facts, "metrics": metrics}))
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file,
    ):
        recommender.save(folder)
        for path in sorted(Path(folder).rglob("*")):
            file.write(path, path.relative_to(folder))
    print(gain)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    typer.run(main)
