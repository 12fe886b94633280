"""Judge every strategy on the real datasets, and renew docs/results and docs/images: the source of all figures in docs.

python benchmarks/real_data.py                                     MovieLens 100K, 5 seeds
python benchmarks/real_data.py --deezer deezer_europe.zip          Deezer Europe too, 3 seeds
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from pathlib import Path
from time import perf_counter

from rich.console import Console

from firstday.cli.options import open_tables
from firstday.cli.progress import shown_progress
from firstday.cli.show import print_results
from firstday.evaluate.drawing import standalone
from firstday.evaluate.plots import plot_day_one_sizes, plot_strategies
from firstday.pipeline import evaluate_strategies

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Run both."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movielens", type=Path, help="local copy of MovieLens 100K; fetched if left out")
    parser.add_argument("--deezer", type=Path, help="local copy of Deezer Europe; left out if not given")
    arguments = parser.parse_args()
    judge("movielens-100k", arguments.movielens, 5)
    if arguments.deezer:
        judge("deezer-europe", arguments.deezer, 3)


def judge(name: str, path: Path | None, n_seeds: int) -> None:
    """Evaluate one dataset with its preset; write results and pictures."""
    began = perf_counter()
    dataset, config = open_tables(name, path, None)
    with shown_progress() as progress:
        results = evaluate_strategies(dataset, config, n_seeds=n_seeds, progress=progress)
    seconds = perf_counter() - began
    print_results(results, Console())
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Console().print(f"{seconds:.0f} s, {peak_mib:,.0f} MiB at the most so far.\n")
    (DOCS / "results").mkdir(exist_ok=True)
    (DOCS / "images").mkdir(exist_ok=True)
    text = json.dumps(results.to_json(), indent=1, ensure_ascii=False)
    (DOCS / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for kind, svg in (("strategies", plot_strategies(results)), ("day-one-size", plot_day_one_sizes(results))):
        (DOCS / "images" / f"{name}-{kind}.svg").write_text(standalone(svg), encoding="utf-8")


if __name__ == "__main__":
    main()
