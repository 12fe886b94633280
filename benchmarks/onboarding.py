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
from pathlib import Path
from time import perf_counter
from typing import Any

from interviews import LISTS, run_onboarding

from firstday.cli.options import open_tables
from firstday.progress import open_progress
from firstday.recommend.questionnaire import QuestionSettings

VARIANTS = {
    "default": ("segments", QuestionSettings()),
    "popular questions": ("popular", QuestionSettings()),
    "100 candidates": ("segments", QuestionSettings(n_candidates=100)),
    "1,000 candidates": ("segments", QuestionSettings(n_candidates=1_000)),
    "segment smoothing 1": ("segments", QuestionSettings(segment_smoothing=1.0)),
    "segment smoothing 20": ("segments", QuestionSettings(segment_smoothing=20.0)),
    "doubt 0.1": ("segments", QuestionSettings(doubt=0.1)),
    "doubt 0.5": ("segments", QuestionSettings(doubt=0.5)),
    "popular questions, doubt 0.1": ("popular", QuestionSettings(doubt=0.1)),
    "popular questions, doubt 0.5": ("popular", QuestionSettings(doubt=0.5)),
    "smoothing 0.1": ("segments", QuestionSettings(smoothing=0.1)),
}
"""Ways to choose questions and settings, tried on validation people."""
RESULTS = Path(__file__).parents[1] / "docs" / "results"


def main() -> None:
    """Run the dataset that is asked for."""
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
    with open_progress() as progress:
        results = run_onboarding(
            dataset,
            config,
            seeds=range(config.seed, config.seed + arguments.seeds),
            entity=arguments.entity,
            lists=tuple(arguments.list or LISTS),
            variants={} if arguments.no_ablations else VARIANTS,
            progress=progress,
        )
    results["seconds"] = round(perf_counter() - began, 1)
    show(results)
    out = arguments.out or RESULTS / f"onboarding-{dataset.name}.json"
    out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def show(results: dict[str, Any]) -> None:
    """Print a line for each way to ask and number of questions."""
    n_seeds, seconds = len(results["seeds"]), results["seconds"]
    print(f"{results['n_users']} {results['users']} people in each of {n_seeds} seeds, {seconds} s")
    for row in results["results"]:
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
    for row in results["ablations"]:
        print(f"validation, {row['changed']}: " + ", ".join(f"{x:.1f}" for x in row["precision"].values()))


if __name__ == "__main__":
    main()
