"""Judge our strategies beside tuned peers, and renew docs/results/peers-NAME.json: the source of the figures on peers.

python benchmarks/peers.py                                         MovieLens 100K, 5 seeds
python benchmarks/peers.py --deezer deezer_europe.zip              Deezer Europe too, 5 seeds
python benchmarks/peers.py --only deezer-europe --deezer deezer_europe.zip --strategy segment --seeds 1

Every peer's options are chosen on the validation users of each seed; cold users take part in nothing but the judgement.
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
from firstday.evaluate.results import REFERENCE
from firstday.pipeline import evaluate_strategies
from firstday.recommend.strategies import TUNED_PEERS

RESULTS = Path(__file__).parents[1] / "docs" / "results"
STRATEGIES = ("segment", "personal", "soft_segments")


def main() -> None:
    """Run the datasets that are asked for."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movielens", type=Path, help="local copy of MovieLens 100K; fetched if left out")
    parser.add_argument("--deezer", type=Path, help="local copy of Deezer Europe; left out if not given")
    parser.add_argument("--only", help="one dataset: movielens-100k or deezer-europe")
    parser.add_argument("--strategy", action="append", help=f"beside peers, repeatable (default: {STRATEGIES})")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    arguments = parser.parse_args()
    paths = {"movielens-100k": arguments.movielens}
    if arguments.deezer:
        paths["deezer-europe"] = arguments.deezer
    for name in [arguments.only] if arguments.only else paths:
        judge(name, paths[name], arguments.strategy or STRATEGIES, arguments.seeds, arguments.out)


def judge(name: str, path: Path | None, strategies: list[str] | tuple[str, ...], n_seeds: int, out: Path) -> None:
    """Evaluate one dataset with its preset, compared with `segment` and with every peer; write results."""
    began = perf_counter()
    dataset, config = open_tables(name, path, None)
    references = [other for other in (REFERENCE, *TUNED_PEERS) if other in (*strategies, *TUNED_PEERS)]
    with shown_progress() as progress:
        results = evaluate_strategies(
            dataset,
            config,
            strategies=strategies,
            tuned_peers=True,
            n_seeds=n_seeds,
            against=references,
            progress=progress,
        )
    seconds = perf_counter() - began
    print_results(results, Console(width=100))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Console().print(f"{seconds:.0f} s, {peak_mib:,.0f} MiB at the most so far.\n")
    content = {**results.to_json(), "seconds": round(seconds, 1), "peak_mib": round(peak_mib)}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    out.mkdir(exist_ok=True)
    (out / f"peers-{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
