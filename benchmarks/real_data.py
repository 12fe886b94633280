"""Judge every strategy, searched baselines and the paper's own settings on the six sets, for the figures in docs.

python benchmarks/real_data.py --data ../shared/data                            all sets
python benchmarks/real_data.py --data ../shared/data --only online-retail movietweetings
python benchmarks/real_data.py --data ../shared/data --only deezer-europe --on-record ease als_fold_in

Sets with a clock are judged at their cut-offs, the others with several seeds. The options of baselines are chosen on
the validation users of the first training, and kept; cold users take part in nothing but the judgement.
Renews docs/results/NAME.json and docs/images/NAME-*.svg.
"""

from __future__ import annotations

import argparse
import json
import resource
import tomllib
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

from rich.console import Console

from firstday.cli.printing import print_results
from firstday.evaluation.plots import plot_day_one_sizes, plot_strategies, standalone
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import REFERENCE
from firstday.leaderboard.board import SIMULATED, find_sets, open_set
from firstday.progress import open_progress
from firstday.recommend.registry import baseline_names
from firstday.recommend.spec import PAPER_SEGMENT
from firstday.training.option_search import with_options

DOCS = Path(__file__).parents[1] / "docs"
RECORD = Path(__file__).parents[1] / "src" / "firstday" / "leaderboard" / "options.toml"
"""Options of baselines that were chosen on validation users before."""


def main() -> None:
    """Run the sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders with local copies")
    parser.add_argument("--only", nargs="*", default=[], help="names of sets; all that are there if left out")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of sets without a clock")
    parser.add_argument("--cut-offs", type=int, help="cut-offs of sets with a clock (default: the setting)")
    parser.add_argument("--without-search", action="store_true", help="leave out baselines and the paper's settings")
    parser.add_argument("--on-record", nargs="*", default=[], help="baselines whose options are not searched again")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder to write results and images into")
    arguments = parser.parse_args()
    for name, copy in find_sets(arguments.only, arguments.data).items():
        judge(name, copy, arguments)


def judge(name: str, copy: Path | None, arguments: argparse.Namespace) -> None:
    """Evaluate one set with its preset; write results and pictures."""
    began, used = perf_counter(), process_time()
    dataset, config = open_set(name, copy)
    if arguments.cut_offs:
        config = config.override("registration.cut_offs", arguments.cut_offs)
    rivals = () if arguments.without_search else (*baseline_names(), PAPER_SEGMENT)
    record = tomllib.loads(RECORD.read_text(encoding="utf-8")).get(name, {})
    config = with_options(config, {rival: record[rival] for rival in arguments.on_record})
    with open_progress() as progress:
        results = evaluate(
            dataset,
            config,
            baselines=bool(rivals),
            tune_once=True,
            n_seeds=arguments.seeds if dataset.registered_at is None else 1,
            against=(REFERENCE, "auto", *rivals),
            progress=progress,
        )
    seconds, processor = perf_counter() - began, process_time() - used
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print_results(results)
    Console().print(f"{seconds:.0f} s, {processor:.0f} s of processor time, {peak_mib:,.0f} MiB at the most so far.\n")
    if arguments.without_search:
        return
    (arguments.out / "results").mkdir(parents=True, exist_ok=True)
    (arguments.out / "images").mkdir(exist_ok=True)
    content = {**results.to_json(), "seconds": round(seconds, 1), "peak_mib": round(peak_mib)}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    file = f"{name}-clock" if name == SIMULATED else name
    (arguments.out / "results" / f"{file}.json").write_text(text + "\n", encoding="utf-8")
    ours = replace(results, figures=tuple(of for of in results.figures if of.strategy not in baseline_names()))
    for kind, svg in (("strategies", plot_strategies(ours)), ("day-one-size", plot_day_one_sizes(ours))):
        (arguments.out / "images" / f"{file}-{kind}.svg").write_text(standalone(svg), encoding="utf-8")


if __name__ == "__main__":
    main()
