"""Judge every strategy, tuned baselines and the paper's own settings on the real datasets, for the figures in docs.

python benchmarks/real_data.py                                     MovieLens 100K, 5 seeds
python benchmarks/real_data.py --only deezer-europe --deezer deezer_europe.zip --tune-once

Every baseline's options are chosen on the validation users of each seed, or with --tune-once of the first, which takes
a fifth of the time and is to the baselines' advantage; cold users take part in nothing but the judgement.
Renews docs/results/NAME.json and docs/images/NAME-*.svg.
"""

from __future__ import annotations

import argparse
import json
import resource
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from rich.console import Console

from firstday.cli.options import open_tables
from firstday.cli.printing import print_results
from firstday.evaluation.plots import plot_day_one_sizes, plot_strategies, standalone
from firstday.evaluation.results import REFERENCE
from firstday.evaluation.run import evaluate
from firstday.progress import open_progress
from firstday.recommend.spec import PAPER_SEGMENT, baseline_names

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Run the datasets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movielens", type=Path, help="local copy of MovieLens 100K; fetched if left out")
    parser.add_argument("--deezer", type=Path, help="local copy of Deezer Europe; left out if not given")
    parser.add_argument("--only", help="one dataset: movielens-100k or deezer-europe")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tune-once", action="store_true", help="choose baselines' options with the first seed alone")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder to write results and images into")
    arguments = parser.parse_args()
    paths = {"movielens-100k": arguments.movielens}
    if arguments.deezer:
        paths["deezer-europe"] = arguments.deezer
    for name in [arguments.only] if arguments.only else paths:
        judge(name, paths[name], arguments.seeds, arguments.out, tune_once=arguments.tune_once)


def judge(name: str, path: Path | None, n_seeds: int, out: Path, *, tune_once: bool) -> None:
    """Evaluate one dataset with its preset; write results and pictures."""
    began = perf_counter()
    dataset, config = open_tables(name, path, None)
    with open_progress() as progress:
        results = evaluate(
            dataset,
            config,
            baselines=True,
            tune_once=tune_once,
            n_seeds=n_seeds,
            against=(REFERENCE, *baseline_names(), PAPER_SEGMENT),
            progress=progress,
        )
    seconds = perf_counter() - began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (out / "results").mkdir(parents=True, exist_ok=True)
    (out / "images").mkdir(exist_ok=True)
    content = {**results.to_json(), "seconds": round(seconds, 1), "peak_mib": round(peak_mib)}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (out / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    ours = replace(results, figures=tuple(of for of in results.figures if of.strategy not in baseline_names()))
    for kind, svg in (("strategies", plot_strategies(ours)), ("day-one-size", plot_day_one_sizes(ours))):
        (out / "images" / f"{name}-{kind}.svg").write_text(standalone(svg), encoding="utf-8")
    print_results(results, Console(width=100))
    Console().print(f"{seconds:.0f} s, {peak_mib:,.0f} MiB at the most so far.\n")


if __name__ == "__main__":
    main()
