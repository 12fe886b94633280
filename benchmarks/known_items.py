"""Quality of lists by number of known items per cold user: figures of docs/quality.md on the remaining potential.

python benchmarks/known_items.py movielens-100k --seeds 3

In each row, every user, warm and cold, has a day one of the same number of items (at most half of their items). The
model is trained on the warm users and evaluated on the cold ones. Writes docs/results/known-items-NAME.json.
"""

from __future__ import annotations

from pathlib import Path

import typer
from result_files import RESULTS, write_results

from firstday.cli.options import open_tables
from firstday.evaluation.run import evaluate

SIZES = (0, 1, 3, 5, 10, 20, 40)
STRATEGIES = ("popular", "segment", "direct", "blend", "user_user")


def main(tables: str, path: Path | None = None, seeds: int = 3) -> None:
    """Evaluate every size, and write the figures."""
    dataset, preset = open_tables(tables, path, None)
    rows = []
    for size in SIZES:
        config = preset.override({"protocol": "sampled", "sampled.sizes": (size,), "sampled.probabilities": (1.0,)})
        results = evaluate(dataset, config, strategies=STRATEGIES, tune_once=True, n_seeds=seeds).to_json()
        row = {"known": size} | {
            found["strategy"]: {key: found[key] for key in ("precision", "precision_ci")}
            for found in results["results"]
            if found["strategy"] in STRATEGIES
        }
        rows.append(row)
        content = {"dataset": dataset.name, "seeds": seeds, "rows": rows}
        write_results(content, RESULTS / f"known-items-{dataset.name}.json")


if __name__ == "__main__":
    typer.run(main)
