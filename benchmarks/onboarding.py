"""Judge what to ask a newcomer, and renew docs/results/onboarding-NAME.json.

python benchmarks/onboarding.py --seeds 5                                             MovieLens 100K
python benchmarks/onboarding.py deezer-europe --path deezer_europe.zip --seeds 2      Deezer Europe
python benchmarks/onboarding.py --entity genre --out genres.json                      asking about genres

Nothing is known of cold people but their answers: yes to what they use, no to all else. All ways to choose questions
ask about the same candidates, and their lists are made in the same way.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from firstday.cli.options import open_tables, shown_progress
from firstday.data.dataset import Dataset
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Split
from firstday.evaluate.interviews import LISTS, run_onboarding, try_questions
from firstday.recommend.questionnaire import Asking
from firstday.recommend.recommender import Recommender
from firstday.training.fit import fit, split_for

VARIANTS = {
    "default": ("adaptive", Asking()),
    "popular questions": ("popular", Asking()),
    "mutual information with the segment": ("segments", Asking()),
    "spread of vectors alone": ("adaptive", Asking(n_looked_at=1)),
    "10 looked at": ("adaptive", Asking(n_looked_at=10)),
    "all candidates looked at": ("adaptive", Asking(n_looked_at=300)),
    "100 candidates": ("adaptive", Asking(n_candidates=100)),
    "1,000 candidates": ("adaptive", Asking(n_candidates=1_000)),
    "300 judges": ("adaptive", Asking(most_judges=300)),
    "doubt 0.1": ("adaptive", Asking(doubt=0.1)),
    "doubt 0.5": ("adaptive", Asking(doubt=0.5)),
    "popular questions, doubt 0.1": ("popular", Asking(doubt=0.1)),
    "popular questions, doubt 0.5": ("popular", Asking(doubt=0.5)),
    "smoothing 0.1": ("adaptive", Asking(smoothing=0.1)),
}
"""Ways to choose questions and settings, tried on validation people."""
RESULTS = Path(__file__).parents[1] / "docs" / "results"


def main() -> None:
    """Run the dataset that is asked for."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="movielens-100k")
    parser.add_argument("--path", type=Path, help="local copy of the dataset")
    parser.add_argument("--config", type=Path, help="settings (default: the dataset's preset)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--entity", default="item", help="what is asked about")
    parser.add_argument("--list", action="append", help=f"how lists are made, repeatable (default: {', '.join(LISTS)})")
    parser.add_argument("--no-ablations", action="store_true", help="leave out other settings, on validation people")
    parser.add_argument("--out", type=Path, help="the JSON file (default: in docs/results)")
    arguments = parser.parse_args()
    began = perf_counter()
    dataset, config = open_tables(arguments.dataset, arguments.path, arguments.config)
    fitted: list[tuple[Split, Recommender]] = []
    with shown_progress() as progress:

        def fit_and_keep(split: Split, seed: int) -> Recommender:
            recommender = fit(dataset, split, config.override("seed", seed), progress=progress)
            if not arguments.no_ablations:
                fitted.append((split, recommender))
            return recommender

        found = run_onboarding(
            dataset,
            lambda seed: split_for(dataset, config, seed, with_cold=True),
            fit_and_keep,
            seeds=range(config.seed, config.seed + arguments.seeds),
            entity=arguments.entity,
            lists=tuple(arguments.list or LISTS),
            progress=progress,
        )
    found["ablations"] = [] if arguments.no_ablations else try_variants(dataset, fitted, arguments.entity)
    found["seconds"] = round(perf_counter() - began, 1)
    show(found)
    out = arguments.out or RESULTS / f"onboarding-{dataset.name}.json"
    out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def try_variants(dataset: Dataset, fitted: Sequence[tuple[Split, Recommender]], entity: str) -> list[dict[str, object]]:
    """Judge other settings on validation people: precision after 1, 3 and 5 questions, lists by all answers."""
    rows: list[dict[str, object]] = []
    for name, (arm, asking) in VARIANTS.items():
        trials = []
        for number, (split, recommender) in enumerate(fitted):
            users = split.validation.users
            used = unite_uses(dataset.all_actions(), recommender.model.config.signals).take(users)
            trials.append(
                try_questions(
                    recommender, users, used, entity=entity, lists=["answers"], arms=[arm], asking=asking, seed=number
                )
            )
        means = {n: np.concatenate([trial.precision["answers", arm, n, "own"] for trial in trials]) for n in (1, 3, 5)}
        rows.append({"changed": name, "precision": {str(n): round(float(x.mean()), 4) for n, x in means.items()}})
    return rows


def show(found: dict[str, object]) -> None:
    """Print a line for each way to ask and number of questions."""
    rows = found["results"]
    assert isinstance(rows, list)
    print(f"{found['n_users']} {found['users']} people in each of {len(found['seeds'])} seeds, {found['seconds']} s")
    for row in rows:
        low, high = row["precision_ci"]
        line = (
            f"{row['list']:8} {row['arm']:9} {row['questions']} questions, {row['yes']:.2f} yes: {row['precision']:.1f}"
        )
        line += f" [{low:.1f}, {high:.1f}], common truth {row['precision_common']:.1f}"
        if "precision_ratio" in row:
            low, high = row["precision_ratio_ci"]
            line += f"; x {row['precision_ratio']:.3f} [{low:.3f}, {high:.3f}] of popular"
            line += f", common x {row['precision_common_ratio']:.3f}"
        print(line)
    for row in found["ablations"]:  # type: ignore[attr-defined]
        print(f"validation, {row['changed']}: " + ", ".join(f"{x:.1f}" for x in row["precision"].values()))


if __name__ == "__main__":
    main()
