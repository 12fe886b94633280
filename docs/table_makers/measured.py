"""What benchmarks measured, as `docs/results` has it, and how tables write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"
DATASETS = {"movielens-100k": "MovieLens 100K", "deezer-europe": "Deezer Europe"}


class NotMeasuredError(Exception):
    """A benchmark has not been run yet, or not at the size that a table is about."""


def read_results(name: str) -> Any:
    """Return a file of docs/results."""
    if not (RESULTS / f"{name}.json").exists():
        raise NotMeasuredError
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def interval(pair: list[float], form: str = ".1f") -> str:
    """Write the two ends of an interval."""
    return f"[{pair[0]:{form}}, {pair[1]:{form}}]"
