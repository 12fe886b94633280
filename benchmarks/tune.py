r"""Grid search on validation users, printed as a table: how presets and defaults were chosen.

    python benchmarks/tune.py deezer-europe --path deezer_europe.zip --seeds 3 \
        --try embedding.dimensions=64,128 --try embedding.als_confidence=4,15,40

Every combination is trained and evaluated on validation users alone, over several seeds; cold users are not used.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ablations import score
from rich.console import Console

from firstday.config import Config, load_config
from firstday.data.load import load
from firstday.recommend.registry import with_methods_of


def main(
    tables: str,
    path: Path | None = None,
    config: Annotated[Path | None, typer.Option(help="TOML file that the grid is laid over")] = None,
    seeds: int = 3,
    grid: Annotated[list[str], typer.Option("--try", metavar="SETTING=V1,V2")] = [],
    strategy: list[str] = ["segment", "personal", "fold_in"],
) -> None:
    """Evaluate every combination of values, and print P@50 ± its standard deviation over seeds."""
    dataset = load(tables, path=path)
    base = with_methods_of(load_config(config) if config else Config(), strategy)
    names, choices = zip(*(setting.split("=", 1) for setting in grid), strict=True)
    for values in itertools.product(*(map(json.loads, values.split(",")) for values in choices)):
        changed = base.override(dict(zip(names, values, strict=True)))
        by_seed = [score(dataset, changed, seed, strategy)[1] for seed in range(seeds)]
        means = {name: [found[name].mean() for found in by_seed] for name in strategy}
        cells = [f"{name} {np.mean(of_seeds):.2f} ± {np.std(of_seeds):.2f}" for name, of_seeds in means.items()]
        Console(width=160).print(*map(str, values), *cells, sep="  ")


if __name__ == "__main__":
    typer.run(main)
