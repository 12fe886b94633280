"""Tables of strategies, tuned baselines and ablations on real data."""

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
    by_dataset = [{row["strategy"]: row for row in read_results(name)["results"]} for name in DATASETS]
    lines = [f"| P@50, % [95 % interval] | {' | '.join(DATASETS.values())} |", "|---|---|---|"]
    for strategy, meaning in MEANING.items():
        cells = [
            f"{rows[strategy]['precision']:.1f} {interval(rows[strategy]['precision_ci'])}" if strategy in rows else "-"
            for rows in by_dataset
        ]
        name = f"`{strategy}`: {meaning}"
        lines.append(
            "| " + " | ".join(f"**{cell}**" if strategy == "segment" else cell for cell in (name, *cells)) + " |"
        )
    return lines


def gains() -> list[str]:
    """Return what the best strategy gains over the paper's system, tuned baselines and popularity, in words."""
    text = []
    for name, title in DATASETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        if not results.get("tuned_peers"):
            continue
        baselines = [
            baseline for baseline in results["tuned_peers"] if baseline in rows and baseline != "paper_segment"
        ]
        best = max(baselines, key=lambda baseline: rows[baseline]["precision"])
        beside = [_gain(rows["blend"], other) for other in ("paper_segment", "segment", best)]
        sentence = (
            f"- {title}: `blend` is {beside[0]} above the paper's system with the paper's settings, {beside[1]} above "
            f"`segment`, and {beside[2]} above the best tuned baseline, `{best}`. {_with_nothing(rows)}"
        )
        text += textwrap.wrap(sentence, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
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
    """Return strategies and tuned baselines side by side on one dataset, best first."""
    if not read_results(name).get("tuned_peers"):
        raise NotMeasuredError
    lines = [
        "| P@50, % [95 % interval] | all | / `segment` | 0 items | 1-3 | 4+ | user coverage, % | novelty, bits "
        "| catalogue coverage, % | ms per user |",
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
    """Return what was allowed and tried of each tuned baseline on one dataset, and what validation users chose."""
    if not read_results(name).get("tuned_peers"):
        raise NotMeasuredError
    lines = ["| baseline | allowed | tried | chosen | time to fit, s | time to tune, s |", "|---|---|---|---|---|---|"]
    for baseline, tuning in read_results(name)["tuned_peers"].items():
        if not tuning["grid"]:
            continue
        allowed = "; ".join(f"{option} {_describe_values(values)}" for option, values in tuning["grid"].items())
        is_chosen_once = tuning["chosen_on"] == "validation users of the first seed"
        by_seed = tuning["by_seed"][:1] if is_chosen_once else tuning["by_seed"]
        chosen = "; ".join(dict.fromkeys(_describe_choice(of_seed) for of_seed in by_seed))
        seconds = sum(of_seed["tune_seconds"] for of_seed in by_seed) / len(by_seed)
        tried = ", ".join(dict.fromkeys(str(of_seed.get("n_tried", "all")) for of_seed in by_seed))
        lines.append(f"| `{baseline}` | {allowed} | {tried} | {chosen} | {tuning['fit_seconds']:.1f} | {seconds:.0f} |")
    return lines


def _describe_values(values: list[float]) -> str:
    """Write the values of an option: the ends of many."""
    if len(values) < 4:
        return ", ".join(f"{value:g}" for value in values)
    return f"{values[0]:g} to {values[-1]:g} ({len(values)})"


def _describe_choice(of_seed: dict[str, Any]) -> str:
    """Write options that were chosen, those at an edge of what was allowed with a note."""
    edges = of_seed.get("edges", {})  # older files do not have it
    return ", ".join(
        f"{option} {value:g}" + (f" (**{edges[option]}**)" if option in edges else "")
        for option, value in of_seed["options"].items()
    )


def leads() -> list[str]:
    """Return by how many points strategies of ours are above each tuned baseline, best baseline in bold."""
    columns: list[dict[str, str]] = []
    titles = []
    for name, title in DATASETS.items():
        try:
            results = _read_leads(name)
        except NotMeasuredError:
            continue
        rows = {row["strategy"]: row for row in results["results"]}
        baselines = [baseline for baseline, tuning in results["tuned_peers"].items() if tuning["grid"]]
        best = max(baselines, key=lambda baseline: rows[baseline]["precision"])
        n_seeds = len(results["seeds"])
        for strategy in ("blend", "segment"):
            titles.append(f"`{strategy}`, {title} ({n_seeds} seed{'s' * (n_seeds > 1)})")
            cells = {baseline: _lead(rows[strategy]["against"][baseline]) for baseline in baselines}
            columns.append(cells | {best: f"**{cells[best]}**"})
    lines = [f"| P@50 minus that of | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    for baseline in dict.fromkeys(baseline for column in columns for baseline in column):
        lines.append(f"| `{baseline}` | {' | '.join(column.get(baseline, '-') for column in columns)} |")
    return lines


def _read_leads(name: str) -> Any:
    """Return the results of a dataset, or some of them measured apart where those are from before grids were wide."""
    results = read_results(name)
    tunings = [tuning for tuning in results.get("tuned_peers", {}).values() if tuning["grid"]]
    return results if tunings and "n_tried" in tunings[0]["by_seed"][0] else read_results(f"leads-{name}")


def _lead(beside: dict[str, Any]) -> str:
    """Write a difference in points and the ratio, both with their intervals."""
    low, high = (100 * (end - 1) for end in beside["ratio_ci"])
    return (
        f"{beside['difference']:+.1f} {interval(beside['difference_ci'], '+.1f')}; "
        f"{100 * (beside['ratio'] - 1):+.1f} % [{low:+.1f}, {high:+.1f}]"
    )
