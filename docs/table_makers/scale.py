"""Tables of simulated services: their statistics, lists for their users, and how time and memory grow."""

from __future__ import annotations

from typing import Any

from table_makers.measured import make_table, read_results

STATISTICS = (
    ("users", "users", "", "100,000"),
    ("items", "items", "", "50,000"),
    ("interactions", "interactions", "", "-"),
    ("feature blocks (signal x entity), without the 4 that follow from items", "blocks", "", "18"),
    ("newcomers who stream on day one", "day_one_streams", " %", "77 %"),
    ("newcomers who leave only a profile on day one", "day_one_nothing", " %", "5 %"),
    ("newcomers who stream in the 30 days after day one", "active_in_month", " %", "-"),
    ("their streams in these 30 days, mean", "streams_in_month", "", "-"),
    ("their distinct items in these 30 days, mean", "items_in_month", "", "-"),
    ("P@50 of the most streamed items", "precision_popular", " %", "8.92 %"),
    ("P@50 of the most streamed items of the country and age group", "precision_profile", " %", "-"),
    ("interactions per user, mean", "interactions_per_user", "", "-"),
    ("interactions of the most active tenth of users", "interactions_most_active_tenth", " %", "-"),
    ("streams of the 1 % most streamed items", "streams_top_1_percent", " %", "-"),
    ("friends in the same country", "same_country_friends", " %", "-"),
    ("strangers in the same country", "same_country_strangers", " %", "-"),
    ("items in common with a friend, mean", "common_items_friends", "", "-"),
    ("items in common with a stranger, mean", "common_items_strangers", "", "-"),
)
"""Statistics of simulated tables: title, name in the results, unit, and the paper's value."""


def growth() -> list[str]:
    """Return time and memory of each stage by number of users."""
    stages = ("simulate", "check", "train", "evaluate")
    rows = []
    for row in read_results("growth")["by_users"]:
        costs = [_cost(row[stage]) if stage in row else "-" for stage in stages]
        precision = ", ".join(f"{value:.1f} %" for value in row.get("precision", {}).values()) or "-"
        rows.append([f"{row['users']:,}", f"{row['interactions']:,}", *costs, precision])
    return make_table(("users", "interactions", *stages, "P@50 `popular`, `segment`"), rows)


def repeats() -> list[str]:
    """Say what it takes to read and check few and many interactions of the same users."""
    few, *_, many = read_results("growth")["by_events"]
    return [
        f"Repeated interactions take time, but hardly memory: {few['interactions']:,} of {few['users']:,} users are "
        f"checked in {_cost(few['check'])}, {many['interactions']:,} of the same users in {_cost(many['check'])}."
    ]


def simulated() -> list[str]:
    """Return statistics of simulated tables, and the paper's."""
    statistics = read_results("simulated")
    rows = [(title, f"{statistics[name]:,}{unit}", paper) for title, name, unit, paper in STATISTICS]
    return make_table(("", "simulated", "paper"), rows)


def _cost(stage: dict[str, Any]) -> str:
    return f"{stage['seconds']:,.0f} s, {stage['peak_gib']:.1f} GiB"
