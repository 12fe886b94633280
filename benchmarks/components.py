"""What each component of `blend` earns: its lists for cold users without each in turn, the weights fitted anew.

python benchmarks/components.py --data ../shared/data --only online-retail movielens-100k

Renews docs/results/components.json. Networks are trained once for each cut-off or seed. Prints P@10 and P@50 of
`blend`, and what it loses without each component, with 95 % intervals over users; sets that are not asked for keep
their rows in the file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.leaderboard.sets import find_sets, open_set
from firstday.metrics import bootstrap_means, measure
from firstday.progress import open_progress
from firstday.recommend import blend
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_all
from firstday.training import fit as training
from firstday.training.validation import Fold
from firstday.training.weights import choose_blending, choose_weights

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "components.json"
LENGTHS = (10, 50)


def main() -> None:
    """Measure sets, and join them to what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders with local copies")
    parser.add_argument("--only", nargs="*", default=[], help="names of sets; all that are there if left out")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of sets without a clock")
    arguments = parser.parse_args()
    content = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name, copy in find_sets(arguments.only, arguments.data).items():
        content[name] = measure_set(name, copy, arguments.seeds)
        print(name, json.dumps(content[name], indent=1))
        RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def measure_set(name: str, copy: Path | None, n_seeds: int) -> dict[str, Any]:
    """Return precision of `blend` in %, and what is lost without each component."""
    dataset, config = open_set(name, copy)
    cut_offs = find_cut_offs(dataset, config)
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(config.seed, config.seed + (n_seeds if cut_offs is None else 1)):
        of_seed = config.override("seed", seed)
        for holdout in hold_out(dataset, of_seed, seed, cut_offs):
            folds: list[Fold] = []

            def keep_folds(judged: Sequence[Fold], kept: list[Fold] = folds) -> Any:
                chosen = choose_weights(judged)
                kept.extend(chosen[0])
                return chosen

            vars(training)["choose_weights"] = keep_folds
            with open_progress() as progress:
                recommender = training.fit(holdout.dataset, holdout.split, of_seed, progress=progress)
            query = training.cohort_query(recommender, holdout.newcomers, holdout.cold, max(LENGTHS))
            for left_out in ("", *blend.COMPONENTS):
                lists = answer_without(left_out, folds, query)
                precision = [100 * measure(lists[:, :k], holdout.cold.truth).precision for k in LENGTHS]
                found.setdefault(left_out, []).append(np.stack(precision, axis=1))
    whole = np.concatenate(found.pop(""))
    users = np.arange(len(whole))
    lost = {name: bootstrap_means(whole - np.concatenate(parts), users) for name, parts in found.items()}
    return {
        "users": len(whole),
        "precision": [round(float(mean), 2) for mean in whole.mean(axis=0)],
        "lost": {name: [[round(x, 2) for x in (i.mean, i.low, i.high)] for i in pair] for name, pair in lost.items()},
    }


def answer_without(left_out: str, folds: Sequence[Fold], query: Query) -> np.ndarray:
    """Return the lists of `blend` with weights that are fitted without a component."""
    everything = blend.COMPONENTS
    vars(blend)["COMPONENTS"] = tuple(name for name in everything if name != left_out)
    try:
        blending = choose_blending(folds)
    finally:
        vars(blend)["COMPONENTS"] = everything
    model: TrainedModel = replace(query.model, blending=blending)
    return answer_all(replace(query, model=model), "blend").items


if __name__ == "__main__":
    main()
