"""Table of simulated services: how time and memory grow."""

from __future__ import annotations

from typing import Any

from table_makers.measured import make_table, read_results


def growth() -> list[str]:
    """Return time and memory of each stage by number of users."""
    stages = ("simulate", "check", "train", "evaluate")
    rows = []
    for row in read_results("growth")["by_users"]:
        costs = [_cost(row[stage]) if stage in row else "-" for stage in stages]
        precision = ", ".join(f"{value:.1f} %" for value in row.get("precision", {}).values()) or "-"
        rows.append([f"{row['users']:,}", f"{row['interactions']:,}", *costs, precision])
    return make_table(("users", "interactions", *stages, "P@50 `popular`, `segment`"), rows)


def _cost(stage: dict[str, Any]) -> str:
    return f"{stage['seconds']:,.0f} s, {stage['peak_gib']:.1f} GiB"
