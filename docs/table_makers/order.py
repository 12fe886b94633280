"""Tables of what the learned order adds to the default list."""

from __future__ import annotations

from typing import Any

from table_makers.measured import SETS, estimate, make_table, read_results

TITLES = {**SETS, "simulated": SETS["simulated-clock"], "series": "simulated series"}


def order() -> list[str]:
    """Return the gains of the order that trainings keep, and of the one that they learn in any case."""
    lines = []
    for name, record in read_results("order").items():
        runs = record["runs"]
        learners = f"{min(run['learners'] for run in runs):,}-{max(run['learners'] for run in runs):,}"
        used = f"{sum(run['used'] for run in runs)} of {len(runs)}"
        gains = [_write_gain(record["gains"][kind], k) for kind in ("as training decides", "in any case") for k in KS]
        lines.append([TITLES[name], f"{record['users']:,}", learners, used, *gains])
    columns = ("dataset", "newcomers", "learners", "used", "P@10", "P@50", "P@10 in any case", "P@50 in any case")
    return make_table(columns, lines)


KS = ("10", "50")


def _write_gain(gains: dict[str, Any], k: str) -> str:
    return estimate(gains[k]["gain"], gains[k]["gain_ci"], "+.2f")
