"""Tables of searches for settings: what each gained on users who took no part."""

from __future__ import annotations

from typing import Any

from table_makers.measured import interval, read_results

SEARCHES = {"simulated": "simulated service", "movielens-100k": "MovieLens 100K, from the defaults"}
"""Files of docs/results, and what they are about."""


def tune() -> list[str]:
    """Return the gain of each search."""
    lines = [
        "| tables | trials, minutes | warm, validation, other users | P@50, %: start | best | gain, points | result |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, title in SEARCHES.items():
        found = read_results(f"tune-{name}")
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
    found = {title: read_results(f"tune-{name}") for name, title in SEARCHES.items()}
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
