r"""Try settings on validation users and print a table: how the presets and defaults were chosen.

    python benchmarks/tune.py deezer-europe --path deezer_europe.zip --seeds 3 \
        --try embedding.dimensions=64,128 --try embedding.als_confidence=4,15,40

Every combination is trained and judged on the validation users alone (cold users take no part), over several seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from firstday.config import Config, load_config
from firstday.data.load import load
from firstday.data.splits.holdout import split_for_training
from firstday.evaluation.run import score_strategy
from firstday.recommend.registry import with_methods_of
from firstday.training.fit import cohort_query, fit


def main() -> None:
    """Run the grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", help="folder or built-in name")
    parser.add_argument("--path", help="local copy of a built-in data set")
    parser.add_argument("--config", help="TOML file that the grid is laid over")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--try", dest="grid", action="append", default=[], metavar="SETTING=V1,V2", help="values to try"
    )
    parser.add_argument("--strategy", action="append", default=[], help="default: segment, personal and fold_in")
    arguments = parser.parse_args()

    dataset = load(arguments.tables, path=arguments.path)
    base = load_config(arguments.config) if arguments.config else Config()
    names = [setting.split("=", 1)[0] for setting in arguments.grid]
    choices = [[json.loads(value) for value in setting.split("=", 1)[1].split(",")] for setting in arguments.grid]
    strategies = arguments.strategy or ["segment", "personal", "fold_in"]
    base = with_methods_of(base, strategies)
    table = Table(*names, *[f"{name} P@50" for name in strategies], title=f"{dataset.name}, validation users")
    for values in itertools.product(*choices):
        config = base.override(dict(zip(names, values, strict=True)))
        found = np.array([_judge(dataset, config, seed, strategies) for seed in range(arguments.seeds)])
        cells = [f"{m:.2f} ± {s:.2f}" for m, s in zip(found.mean(axis=0), found.std(axis=0), strict=True)]
        table.add_row(*map(str, values), *cells)
        Console(stderr=True).print(*map(str, values), *cells)
    Console(width=160).print(table)


def _judge(dataset: Any, config: Config, seed: int, strategies: list[str]) -> list[float]:
    """Train on the warm users of one seed; return validation precision of each strategy, in %."""
    split = split_for_training(dataset, config, seed, with_cold=True)
    recommender = fit(dataset, split, config.override("seed", seed))
    query = cohort_query(recommender, dataset, split.validation, config.recommend.k)
    return [
        float(score_strategy(query, split.validation, name, "min").metrics["precision"].mean()) for name in strategies
    ]


if __name__ == "__main__":
    main()
