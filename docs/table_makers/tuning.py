"""Table of searches for settings: what each gained on users who took no part."""

from __future__ import annotations

from typing import Any

from table_makers.measured import estimate, make_table, read_results

SEARCHES = {"simulated": "simulated service", "movielens-100k": "MovieLens 100K, from the defaults"}


def tune() -> list[str]:
    """Return the gain of each search."""
    columns = (
        "tables",
        "trials, minutes",
        "warm, validation, test users",
        "P@50, %: start",
        "best",
        "gain, points",
        "result",
    )
    rows = []
    for name, title in SEARCHES.items():
        search = read_results(f"tune-{name}")
        users = f"{search['n_warm']:,}, {search['n_validation']:,}, {search['n_cold']:,}"
        cost = f"{len(search['trials'])}, {search['seconds'] / 60:.1f}"
        outcome = "gain" if search["result"] == "gain" else "start kept"
        rows.append([title, cost, users, *_comparison(search["comparison"]), outcome])
    return make_table(columns, rows)


def _comparison(comparison: dict[str, Any] | None) -> list[str]:
    """Write the precision of both settings, and the gain."""
    if comparison is None:
        return ["-", "-", "no trial was better on validation users"]
    start, best, gain = (comparison[name] for name in ("start", "best", "gain"))
    return [
        estimate(start["mean"], start["ci"]),
        estimate(best["mean"], best["ci"]),
        estimate(gain["mean"], gain["ci"], "+.2f"),
    ]
