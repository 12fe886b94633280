"""Where measured figures go, and how they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firstday.metrics import Interval

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def write_results(content: Any, path: Path | None) -> None:
    """Print figures as JSON, and write them to a file."""
    text = json.dumps(content, indent=1)
    print(text, flush=True)
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")


def read_results(path: Path) -> Any:
    """Return what a file of figures has; nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def to_json(name: str, interval: Interval, digits: int = 2) -> dict[str, Any]:
    """Return a mean and the ends of its interval, rounded, as ``name`` and ``name_ci``."""
    mean, *ends = (round(value, digits) for value in (interval.mean, interval.low, interval.high))
    return {name: mean, f"{name}_ci": ends}
