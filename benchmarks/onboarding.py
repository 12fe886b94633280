"""Evaluate questions for newcomers, and renew docs/results/onboarding-NAME.json.

python benchmarks/onboarding.py movielens-100k --seeds 5                              MovieLens 100K
python benchmarks/onboarding.py deezer-europe --path deezer_europe.zip --seeds 2      Deezer Europe
python benchmarks/onboarding.py movielens-100k --entity genre --out genres.json       asking about genres

Cold users are known only by their answers: yes to what they use, no to all else. All ways to choose questions share the
same candidates and the same way to make lists.
"""

from __future__ import annotations

from pathlib import Path

import typer
from interviews import Variant, run_onboarding
from result_files import RESULTS, write_results

from firstday.cli.options import open_tables
from firstday.progress import open_progress

VARIANTS: dict[str, Variant] = {
    "default": ("segments", {}),
    "popular questions": ("popular", {}),
    "100 candidates": ("segments", {"questionnaire.N_CANDIDATES": 100}),
    "1,000 candidates": ("segments", {"questionnaire.N_CANDIDATES": 1_000}),
    "segment smoothing 1": ("segments", {"questionnaire.BELIEF_SMOOTHING": 1.0}),
    "segment smoothing 20": ("segments", {"questionnaire.BELIEF_SMOOTHING": 20.0}),
    "doubt 0.1": ("segments", {"belief.DOUBT": 0.1}),
    "doubt 0.5": ("segments", {"belief.DOUBT": 0.5}),
    "popular questions, doubt 0.1": ("popular", {"belief.DOUBT": 0.1}),
    "popular questions, doubt 0.5": ("popular", {"belief.DOUBT": 0.5}),
    "smoothing 0.1": ("segments", {"questionnaire.SMOOTHING": 0.1}),
}
"""Ways to choose questions, and constants of the package that they change, tried on validation users."""


def main(
    tables: str,
    path: Path | None = None,
    seeds: int = 5,
    entity: str = "item",
    *,
    ablations: bool = True,
    out: Path | None = None,
) -> None:
    """Evaluate questions about an entity, with other settings on validation users, and write the results."""
    dataset, config = open_tables(tables, path, None)
    with open_progress() as progress:
        results = run_onboarding(
            dataset,
            config,
            seeds=range(config.seed, config.seed + seeds),
            entity=entity,
            variants=VARIANTS if ablations else {},
            progress=progress,
        )
    write_results(results, out or RESULTS / f"onboarding-{dataset.name}.json")


if __name__ == "__main__":
    typer.run(main)
