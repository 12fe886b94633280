"""Write and read the result files of benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firstday.metrics import Interval

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def write_results(content: Any, path: Path | None) -> None:
    """Print results as JSON, and write them to a file."""
    text = json.dumps(content, indent=1)
    print(text, flush=True)
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")


def read_results(path: Path) -> Any:
    """Return the contents of a result file; empty if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def to_json(name: str, interval: Interval, digits: int = 2) -> dict[str, Any]:
    """Return a mean and its interval, rounded, as ``name`` and ``name_ci``."""
    mean, *ends = (round(value, digits) for value in (interval.mean, interval.low, interval.high))
    return {name: mean, f"{name}_ci": ends}
