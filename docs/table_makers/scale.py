"""Tables of simulated services: their statistics, lists for their users, and how time and memory grow."""

from __future__ import annotations

from table_makers.measured import interval, read_results

SIMULATED = (
    ("users", "users", "", "100,000"),
    ("items", "items", "", "50,000"),
    ("interactions", "interactions", "", ""),
    (
        "feature blocks (signal x entity); 4 more (stream, skip x artist, album) follow from items",
        "blocks",
        "",
        "18",
    ),
    ("newcomers who stream on day one", "day_one_streams", " %", "77 %"),
    ("newcomers who leave only a profile on day one", "day_one_nothing", " %", "5 %"),
    ("newcomers who answer the questionnaire", "day_one_questionnaire", " %", ""),
    ("newcomers who stream in the 30 days after day one", "active_in_month", " %", ""),
    ("their streams in these 30 days, mean", "streams_in_month", "", ""),
    ("their distinct items in these 30 days, mean", "items_in_month", "", ""),
    ("P@50 of the most streamed items", "precision_popular", " %", "8.92 %"),
    ("P@50 of the most streamed items of the country and age group", "precision_profile", " %", ""),
    ("interactions per user, mean", "interactions_per_user", "", ""),
    ("interactions of the most active tenth of users", "interactions_most_active_tenth", " %", ""),
    ("streams of the 1 % most streamed items", "streams_top_1_percent", " %", ""),
    ("streams of the 10 % most streamed items", "streams_top_10_percent", " %", ""),
    ("skips among plays", "skips_per_100_plays", " %", ""),
    ("friends per user, mean", "friends_per_user", "", ""),
    ("friends in the same country", "same_country_friends", " %", ""),
    ("strangers in the same country", "same_country_strangers", " %", ""),
    ("items in common with a friend, mean", "common_items_friends", "", ""),
    ("items in common with a stranger, mean", "common_items_strangers", "", ""),
)
"""What is said of simulated tables: words, name in the results, unit, and what the paper states."""


def growth() -> list[str]:
    """Return time and memory of each stage by number of users."""
    stages = ("simulate", "check", "train", "evaluate")
    lines = [
        "| users | interactions | " + " | ".join(stages) + " | P@50 `popular`, `segment` |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in read_results("growth")["by_users"]:
        took = [row.get(stage) for stage in stages]
        cells = ["-" if cost is None else f"{cost['seconds']:,.0f} s, {cost['peak_gib']:.1f} GiB" for cost in took]
        precision = ", ".join(f"{value:.1f} %" for value in row.get("precision", {}).values()) or "-"
        lines.append(f"| {row['users']:,} | {row['interactions']:,} | {' | '.join(cells)} | {precision} |")
    return lines


def spark_growth() -> list[str]:
    """Return time and peak memory of both engines by number of users."""
    rows = read_results("spark-growth")["rows"]
    places = ", ".join(rows[0]["peak_gib"])
    lines = [
        f"| users | interactions | engine | check | train | peak memory, GiB: {places} |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        memory = ", ".join(_gib(value) for value in row["peak_gib"].values())
        lines.append(
            f"| {row['users']:,} | {row['interactions']:,} | `{row['engine']}` | {row['check_seconds']:,.0f} s "
            f"| {row['train_seconds']:,.0f} s | {memory} |"
        )
    return lines


def _gib(value: float) -> str:
    """Write a size; a place that an engine does not have took nothing."""
    return f"{value:.1f}" if value else "-"


def sample_cost() -> list[str]:
    """Return the precision with fewer learners, and its difference from that with all of them."""
    figures = read_results("sample-cost")
    rows = [(f"{row['learned_from']:,} ({row['share']:g} %)", row) for row in figures["rows"]]
    if "mllib" in figures:
        of_mllib = figures["mllib"]
        name = f"{of_mllib['users']:,} users: item vectors by MLlib, from all {of_mllib['warm']:,} warm users"
        rows += [(name, row) for row in of_mllib["rows"]]
    lines = [
        f"| learners, of {figures['users']:,} users ({figures['seeds']} seed, {figures['cold']:,} cold users) "
        "| strategy | P@50, % [95 % interval] | minus all learners |",
        "|---|---|---|---|",
    ]
    for learned_from, row in rows:
        precision = f"{row['precision']:.1f} {interval(row['precision_ci'])}"
        difference = f"{row['difference']:+.1f} {interval(row['difference_ci'], '+.1f')}"
        lines.append(f"| {learned_from} | `{row['strategy']}` | {precision} | {difference} |")
    return lines


def repeats() -> list[str]:
    """Return time and memory of reading and checking by number of interactions of the same users."""
    lines = ["| users | interactions | check |", "|---|---|---|"]
    for row in read_results("growth")["by_events"]:
        took = f"{row['check']['seconds']:,.0f} s, {row['check']['peak_gib']:.1f} GiB"
        lines.append(f"| {row['users']:,} | {row['interactions']:,} | {took} |")
    return lines


def simulated() -> list[str]:
    """Return statistics of simulated tables beside the paper's."""
    statistics = read_results("simulated")
    lines = ["| | simulated | paper |", "|---|---|---|"]
    return lines + [
        f"| {what} | {statistics[name]:,}{unit} | {paper or '-'} |" for what, name, unit, paper in SIMULATED
    ]
