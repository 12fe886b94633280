"""Tables of searches for settings: what each gained on users who took no part."""

from __future__ import annotations

import json
from typing import Any

from table_makers.measured import RESULTS, NotMeasuredError, interval

SEARCHES = {"simulated": "simulated service", "movielens-100k": "MovieLens 100K, from the defaults"}
"""Files of docs/results, and what they are about."""


def read_searches() -> dict[str, Any]:
    """Return the searches that have been run, by what they are about.

    Raises
    ------
    NotMeasuredError
        None has been run.
    """
    found = {title: RESULTS / f"tune-{name}.json" for name, title in SEARCHES.items()}
    measured = {title: json.loads(path.read_text(encoding="utf-8")) for title, path in found.items() if path.exists()}
    if not measured:
        raise NotMeasuredError
    return measured


def tune() -> list[str]:
    """Return the gain of each search."""
    lines = [
        "| tables | trials, minutes | warm, validation, test users | P@50, %: start | best | gain, points | result |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, found in read_searches().items():
        users = f"{found['n_warm']:,}, {found['n_validation']:,}, {found['n_cold']:,}"
        took = f"{len(found['trials'])}, {found['seconds'] / 60:.1f}"
        cells = [title, took, users, *_compared(found), "gain" if found["result"] == "gain" else "start kept"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _compared(found: dict[str, Any]) -> list[str]:
    """Write the precision of both, and the gain."""
    compared = found["comparison"]
    if compared is None:
        return ["-", "-", "no trial was better on validation users"]
    start, best = (f"{compared[which]['mean']:.1f} {interval(compared[which]['ci'])}" for which in ("start", "best"))
    return [start, best, f"{compared['gain']['mean']:+.2f} {interval(compared['gain']['ci'], '+.2f')}"]
