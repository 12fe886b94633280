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
from pathlib import Path
from time import perf_counter

from firstday.cli.options import open_tables
from firstday.cli.progress import shown_progress
from firstday.evaluate.onboarding import LISTS, run_onboarding
from firstday.pipeline import fit, split_for

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
    parser.add_argument("--validation", action="store_true", help="judge on validation people, to choose settings")
    parser.add_argument("--out", type=Path, help="the JSON file (default: in docs/results, not with --validation)")
    arguments = parser.parse_args()
    began = perf_counter()
    dataset, config = open_tables(arguments.dataset, arguments.path, arguments.config)
    with shown_progress() as progress:
        found = run_onboarding(
            dataset,
            lambda seed: split_for(dataset, config, seed, with_cold=True),
            lambda split, seed: fit(dataset, split, config.model_copy(update={"seed": seed}), progress=progress),
            seeds=range(config.seed, config.seed + arguments.seeds),
            entity=arguments.entity,
            lists=tuple(arguments.list or LISTS),
            on_validation=arguments.validation,
            progress=progress,
        )
    found["seconds"] = round(perf_counter() - began, 1)
    show(found)
    out = arguments.out or (None if arguments.validation else RESULTS / f"onboarding-{dataset.name}.json")
    if out is not None:
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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


if __name__ == "__main__":
    main()
