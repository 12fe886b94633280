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
        "| tables | trials, minutes | warm, validation, other users | P@50, %: start | best | gain, points | result |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, found in read_searches().items():
        users = f"{found['n_warm']:,}, {found['n_validation']:,}, {found['n_cold']:,}"
        took = f"{len(found['trials'])}, {found['seconds'] / 60:.1f}"
        cells = [title, took, users, *_compared(found), "a gain" if found["result"] == "gain" else "keep the start"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _compared(found: dict[str, Any]) -> list[str]:
    """Write the precision of both, and the gain."""
    compared = found["comparison"]
    if compared is None:
        return ["-", "-", "no trial was better for validation users"]
    start, best = (f"{compared[which]['mean']:.1f} {interval(compared[which]['ci'])}" for which in ("start", "best"))
    return [start, best, f"{compared['gain']['mean']:+.2f} {interval(compared['gain']['ci'], '+.2f')}"]


def tune_settings() -> list[str]:
    """Return the settings of the best trial of each search, beside those of the start."""
    found = read_searches()
    names = list(dict.fromkeys(name for of_search in found.values() for name in of_search["tried"]))
    lines = ["| setting | " + " | ".join(found) + " |", "|" + "---|" * (len(found) + 1)]
    for name in names:
        lines.append(f"| `{name}` | " + " | ".join(_moved(of_search, name) for of_search in found.values()) + " |")
    return lines


def _moved(found: dict[str, Any], name: str) -> str:
    """Write where a setting began and where the best trial has it."""
    tried = found["tried"].get(name)
    if tried is None:
        return "not tried"
    start = tried["values"][tried["start"]]
    return f"{_write(start)} → {_write(found['best'][name])}" if name in found["best"] else _write(start)


def _write(value: Any) -> str:
    """Write a value of a setting."""
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value:g}"
