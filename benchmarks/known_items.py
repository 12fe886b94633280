"""How good lists get when more is known of cold users: the figures of docs/quality.md on what remains to be gained.

python benchmarks/known_items.py movielens-100k --seeds 3

Each row gives every user, warm and cold, a day one of the same number of items (at most half of what they use), trains
on the warm ones and judges the cold ones. Writes docs/results/known-items-NAME.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from firstday.cli.options import open_tables
from firstday.evaluation.run import evaluate

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SIZES = (0, 1, 3, 5, 10, 20, 40)
STRATEGIES = ("popular", "segment", "direct", "blend", "user_user")


def main() -> None:
    """Evaluate with every size, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where the figures go; docs/results if left out")
    arguments = parser.parse_args()
    dataset, preset = open_tables(arguments.tables, arguments.path, None)
    rows = []
    for size in arguments.sizes:
        config = preset.override({"protocol": "sampled", "sampled.sizes": (size,), "sampled.probabilities": (1.0,)})
        results = evaluate(dataset, config, strategies=STRATEGIES, tune_once=True, n_seeds=arguments.seeds).to_json()
        row = {"known": size} | {
            found["strategy"]: {key: found[key] for key in ("precision", "precision_ci")}
            for found in results["results"]
        }
        rows.append(row)
        Console(stderr=True).print(row)
        content = {"dataset": dataset.name, "seeds": arguments.seeds, "rows": rows}
        out = arguments.out or RESULTS / f"known-items-{dataset.name}.json"
        out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
