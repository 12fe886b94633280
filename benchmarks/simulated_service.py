"""A service with a clock from nothing to figures: simulate, check, train, evaluate under `registration`.

python benchmarks/simulated_service.py        about two minutes on 2 cores; writes docs/results/simulated-service.json
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from growth import run  # beside this file

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "simulated-service.json"
SIZES = ("--users", "20000", "--items", "10000", "--days", "90")
SEEDS = 3


def main() -> None:
    """Run the commands a newcomer runs, and keep what they say."""
    with tempfile.TemporaryDirectory() as folder:
        tables, model, found = (str(Path(folder) / name) for name in ("simulated", "model", "found.json"))
        stages = {
            "simulate": run("simulate", tables, *SIZES),
            "check": run("check", tables),
            "train": run("train", tables, "--out", model),
            "evaluate": run("evaluate", tables, "--protocol", "registration", "--json", found),
        }
        run("evaluate", tables, "--protocol", "registration", "--seeds", str(SEEDS), "--json", found)
        results = json.loads(Path(found).read_text(encoding="utf-8"))
    RESULTS.write_text(json.dumps({"stages": stages, **results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
