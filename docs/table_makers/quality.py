"""Tables of strategies, tuned peers and ablations on real data."""

from __future__ import annotations

import textwrap
from typing import Any

from table_makers.measured import DATASETS, NotMeasuredError, interval, read_results

MEANING = {
    "blend": "several at once, by how much is known",
    "direct": "day-one features → network → items",
    "neighbors": "predicted vector → nearest warm users → items",
    "soft_segments": "predicted vector → near segments, weighted → their items",
    "personal": "predicted vector → nearest items",
    "segment": "predicted vector → nearest segment → items (paper's system)",
    "paper_segment": "the same with the paper's features and training alone",
    "day_one": "mean of the day's items → nearest items",
    "input_clusters": "clusters of day-one features",
    "fold_in": "vector solved from the day's items → nearest items",
    "friends": "what friends use (else as `group`)",
    "group": "most used in the age, country, ... group",
    "popular": "most used by everyone",
}


def strategies() -> list[str]:
    """Return P@50 of each strategy on each dataset."""
    found = [{row["strategy"]: row for row in read_results(name)["results"]} for name in DATASETS]
    lines = [f"| P@50, % [95 % interval] | {' | '.join(DATASETS.values())} |", "|---|---|---|"]
    for strategy, meaning in MEANING.items():
        cells = [
            f"{row[strategy]['precision']:.1f} {interval(row[strategy]['precision_ci'])}" if strategy in row else "-"
            for row in found
        ]
        name = f"`{strategy}`: {meaning}"
        lines.append(
            "| " + " | ".join(f"**{cell}**" if strategy == "segment" else cell for cell in (name, *cells)) + " |"
        )
    return lines


def gains() -> list[str]:
    """Return what the best strategy gains over the paper's system, over tuned peers and over popularity, in words."""
    text = []
    for name, title in DATASETS.items():
        found = read_results(name)
        rows = {row["strategy"]: row for row in found["results"]}
        if not found.get("tuned_peers"):
            continue
        peers = [peer for peer in found["tuned_peers"] if peer in rows and peer != "paper_segment"]
        best = max(peers, key=lambda peer: rows[peer]["precision"])
        beside = [_gain(rows["blend"], other) for other in ("paper_segment", "segment", best)]
        said = (
            f"- {title}: `blend` is {beside[0]} above the paper's system with the paper's settings, {beside[1]} above "
            f"`segment`, and {beside[2]} above the best tuned peer, `{best}`. {_with_nothing(rows)}"
        )
        text += textwrap.wrap(said, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return text


def _gain(row: dict[str, Any], other: str) -> str:
    """Return by how much a strategy is above another, in %, with the interval."""
    ratio, (low, high) = row["against"][other]["ratio"], row["against"][other]["ratio_ci"]
    return f"{100 * (ratio - 1):.1f} % [{100 * (low - 1):.1f}, {100 * (high - 1):.1f}]"


def _with_nothing(rows: dict[str, Any]) -> str:
    """Say what people get who used nothing on day one."""
    if rows["blend"].get("friends_only") is None:
        blend, popular = (rows[name]["by_day_one_size"]["0"] for name in ("blend", "popular"))
        return f"With nothing used on day one it has {blend:.1f} % against {popular:.1f} % of `popular`."
    blend, popular = (rows[name]["friends_only"] for name in ("blend", "popular"))
    return (
        f"For people of whom only profile and friends are known it has {blend:.1f} % against {popular:.1f} % of "
        f"`popular`, {100 * (blend / popular - 1):.0f} % more."
    )


def sizes(name: str) -> list[str]:
    """Return P@50 of each strategy by day-one size on one dataset."""
    rows = {row["strategy"]: row for row in read_results(name)["results"]}
    counts = rows["segment"]["n_by_day_one_size"]
    lines = [
        "| P@50, % | " + " | ".join(f"{size} items (n = {n:,})" for size, n in counts.items()) + " |",
        "|---|---|---|---|",
    ]
    for strategy in (strategy for strategy in MEANING if strategy in rows):
        cells = [f"{value:.1f}" for value in rows[strategy]["by_day_one_size"].values()]
        lines.append(f"| `{strategy}` | " + " | ".join(cells) + " |")
    return lines


def known_items(name: str) -> list[str]:
    """Return P@50 of some strategies when so many items of everyone are known, on one dataset."""
    rows = read_results(f"known-items-{name}")["rows"]
    strategies = [strategy for strategy in rows[0] if strategy != "known"]
    lines = ["| items known | " + " | ".join(f"`{strategy}`" for strategy in strategies) + " |"]
    lines.append("|---" * (1 + len(strategies)) + "|")
    for row in rows:
        cells = [f"{row[name]['precision']:.1f} {interval(row[name]['precision_ci'])}" for name in strategies]
        lines.append(f"| {row['known']} | " + " | ".join(cells) + " |")
    return lines


def ablations(name: str) -> list[str]:
    """Return what each part of the default brings on one dataset."""
    strategies = ("segment", "soft_segments", "neighbors", "personal", "direct", "blend")
    lines = ["| changed | " + " | ".join(f"`{strategy}`" for strategy in strategies) + " |", "|---" * 7 + "|"]
    for row in read_results(f"ablations-{name}")["rows"]:
        cells = []
        for strategy in strategies:
            if strategy not in row:
                cells.append("-")
            elif row["variant"] == "default":
                cells.append(f"{row[strategy]:.1f}")
            else:
                ends = interval(row[f"{strategy}_minus_default_ci"], "+.1f")
                cells.append(f"{row[f'{strategy}_minus_default']:+.1f} {ends}")
        lines.append(f"| {row['variant']} | " + " | ".join(cells) + " |")
    return lines


def peers(name: str) -> list[str]:
    """Return strategies and tuned peers side by side on one dataset, best first."""
    if not read_results(name).get("tuned_peers"):
        raise NotMeasuredError
    lines = [
        "| P@50, % [95 % interval] | all | / `segment` | 0 items | 1-3 | 4+ | own lists, % | novelty, bits "
        "| items reached, % | ms per user |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(read_results(name)["results"], key=lambda row: -row["precision"]):
        beside = row["against"].get("segment")
        ratio = f"{beside['ratio']:.2f} {interval(beside['ratio_ci'], '.2f')}" if beside else ""
        sizes = [f"{value:.1f}" for value in row["by_day_one_size"].values()]
        about = [f"{row[what]:.1f}" for what in ("coverage", "novelty_bits", "catalogue_reached")]
        cells = [f"{row['precision']:.1f} {interval(row['precision_ci'])}", ratio, *sizes, *about]
        lines.append(f"| `{row['strategy']}` | {' | '.join(cells)} | {row['ms_per_user']:.2f} |")
    return lines


def peers_options(name: str) -> list[str]:
    """Return what was tried of each tuned peer on one dataset, and what validation users chose in each seed."""
    if not read_results(name).get("tuned_peers"):
        raise NotMeasuredError
    lines = ["| peer | tried | chosen, by seed | time to fit, s | time for the grid, s |", "|---|---|---|---|---|"]
    for peer, told in read_results(name)["tuned_peers"].items():
        if not told["grid"]:
            continue
        tried = "; ".join(f"{option} {', '.join(f'{v:g}' for v in values)}" for option, values in told["grid"].items())
        chosen = [", ".join(f"{value:g}" for value in found["options"].values()) for found in told["by_seed"]]
        seconds = sum(found["tune_seconds"] for found in told["by_seed"]) / len(chosen)
        lines.append(f"| `{peer}` | {tried} | {'; '.join(chosen)} | {told['fit_seconds']:.1f} | {seconds:.0f} |")
    return lines
