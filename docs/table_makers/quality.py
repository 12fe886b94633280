"""Tables of strategies, tuned baselines and ablations on real data."""

from __future__ import annotations

from typing import Any

from table_makers.measured import DATASETS, NotMeasuredError, interval, read_results

SETS = {
    "online-retail": "Online Retail",
    "movietweetings": "MovieTweetings",
    "complete-journey": "The Complete Journey",
    "simulated-clock": "simulated music service",
    "movielens-100k": "MovieLens 100K",
    "deezer-europe": "Deezer Europe",
}
CLASSES = ("0", "1-3", "4-9", "10+")
LEAST_USERS = 100
"""Day-one sizes with fewer users are left out: their figures say little without an interval."""


def evaluated(name: str) -> list[str]:
    """Return every strategy and baseline of one set, at 10 and at 50, by day-one size, and each minus `auto`."""
    results = read_results(name)
    rows = sorted(results["results"], key=lambda row: -float(row["precision"]))
    counts = {size: rows[0]["n_by_day_one_size"].get(size, 0) for size in CLASSES}
    sizes = [size for size in CLASSES if counts[size] >= LEAST_USERS]
    columns = [
        "strategy",
        "P@10",
        "NDCG@10",
        "P@50",
        "NDCG@50",
        *(f"P@10 / P@50, {size} items ({counts[size]:,})" for size in sizes),
    ]
    columns += ["P@10 minus `auto`", "P@50 minus `auto`"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        beside = row["against"].get("auto")
        cells = [f"{row[key]:.1f}" for key in ("precision_at_10", "ndcg_at_10", "precision", "ndcg")]
        cells += [f"{row['by_day_one_size_at_10'][size]:.1f} / {row['by_day_one_size'][size]:.1f}" for size in sizes]
        for key in ("difference_at_10", "difference"):
            cells.append(f"{beside[key]:+.1f} {interval(beside[f'{key}_ci'], '+.1f')}" if beside else "")
        mark = "**" if row["strategy"] == "auto" else ""
        lines.append(f"| {mark}`{row['strategy']}`{mark} | {' | '.join(cells)} |")
    days = results.get("target_days")
    cut_offs = results.get("cut_offs")
    when = f"{len(cut_offs)} cut-offs; target window: {days:g} days. " if cut_offs else ""
    return [*lines, "", f"{when}Peak memory: {results['peak_mib'] / 1024:.1f} GiB."]


def clocks() -> list[str]:
    """Return `auto` and the best baseline on every set, at 10 and at 50, with the paper's system and popularity."""
    lines = [
        "| dataset | newcomers | P@10: `auto` | best baseline | difference "
        "| P@50: `auto` | best baseline | difference | P@50: `segment` | P@50: `popular` |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, title in SETS.items():
        try:
            results = read_results(name)
        except NotMeasuredError:
            continue
        rows = {row["strategy"]: row for row in results["results"]}
        baselines = [baseline for baseline in results["options"] if baseline != "paper_segment"]
        cells = [title, f"{results['n_cold']:,}"]
        for metric, key in (("precision_at_10", "difference_at_10"), ("precision", "difference")):
            values = {baseline: float(rows[baseline][metric]) for baseline in baselines}
            best = max(values, key=values.__getitem__)
            beside = rows["auto"]["against"][best]
            cells += [f"{rows['auto'][metric]:.1f}", f"{values[best]:.1f} `{best}`"]
            cells.append(f"{beside[key]:+.1f} {interval(beside[f'{key}_ci'], '+.1f')}")
        cells += [f"{rows[strategy]['precision']:.1f}" for strategy in ("segment", "popular")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def list_speed() -> list[str]:
    """Return what a list costs by each strategy beside `segment`."""
    figures = read_results("list-speed")
    base = figures["milliseconds"]["segment"]
    lines = [
        "| strategy | one user, ms | x `segment` | 32 at once, ms per user | x `segment` |",
        "|---|---|---|---|---|",
    ]
    for strategy, of in figures["milliseconds"].items():
        one = of["one"] / base["one"]
        together = of["together"] / base["together"]
        lines.append(f"| `{strategy}` | {of['one']:.2f} | {one:.1f} | {of['together']:.3f} | {together:.1f} |")
    return lines


def rules_cost() -> list[str]:
    """Return what lists under rules cost relative to lists without."""
    costs = read_results("rules")["cost"]
    lines = ["| rule | " + " | ".join(f"`{strategy}`" for strategy in costs) + " |", "|---" * (1 + len(costs)) + "|"]
    for request in costs["auto"]:
        lines.append(f"| {request} | " + " | ".join(f"{of[request]:.1f}" for of in costs.values()) + " |")
    return lines


def rules_equality() -> list[str]:
    """Return how far lists under filters are those for which every allowed item is a candidate."""
    lines = [
        "| allowed items | same item, % of ranks | hits / 50, % | hits / 50, %, all items scored |",
        "|---|---|---|---|",
    ]
    for share, found in read_results("rules")["equal"].items():
        precisions = f"{found['precision']:.2f} | {found['precision_of_all']:.2f}"
        lines.append(f"| {share} | {found['same_item']:.1f} | {precisions} |")
    return lines


def list_equality() -> list[str]:
    """Return how far quick lists are those of the full computation."""
    figures = read_results("list-speed")
    lines = ["| one user at a time, % of ranks | `blend` | `neighbors` | `auto` |", "|---|---|---|---|"]
    for key, title in (("in_list", "item is in the full list"), ("same_place", "same item at the same rank")):
        cells = [f"{figures['equal'][name][f'one_{key}']:.1f}" for name in ("blend", "neighbors", "auto")]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
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


def calibration(name: str) -> list[str]:
    """Return how right the probabilities of use are for test users on one dataset, beside other ways to fit them."""
    found = read_results(f"calibration-{name}")
    ways = {
        "logistic": "firstday",
        "isotonic on scores": "isotonic on scores",
        "isotonic on places": "isotonic on ranks",
    }
    lines = [
        f"| lists of {found['k']} | used, % | predicted, % | "
        + " | ".join(f"{title}: error, log loss" for title in ways.values())
        + " |"
    ]
    lines.append("|---" * (3 + len(ways)) + "|")
    for row in found["rows"]:
        cells = [f"{row[f'{way}: error']:.1f}, {row[f'{way}: log loss']:.3f}" for way in ways]
        lines.append(
            f"| `{row['strategy']}` | {row['used']:.1f} | {row['logistic: said']:.1f} | " + " | ".join(cells) + " |"
        )
    return lines


def components() -> list[str]:
    """Return what `blend` loses without each component, at 10 and at 50."""
    found = read_results("components")
    names = list(dict.fromkeys(name for of in found.values() for name in of["lost"]))
    lines = ["| data | cold users | P@10 / P@50 of `blend` | " + " | ".join(f"`{name}`" for name in names) + " |"]
    lines.append("|---" * (3 + len(names)) + "|")
    for name, of in found.items():
        cells = [
            " / ".join(f"{mean:+.1f} {interval(ends, '+.1f')}" for mean, *ends in of["lost"][one]) for one in names
        ]
        precision = " / ".join(f"{value:.1f}" for value in of["precision"])
        lines.append(f"| {name} | {of['users']:,} | {precision} | " + " | ".join(cells) + " |")
    return lines


def blend_defaults() -> list[str]:
    """Return what each default of `blend` would be, chosen on all sets but one, and what that is worth there."""
    chosen = read_results("blend-defaults")
    names = list(dict.fromkeys(name for of in chosen.values() for name in of))
    lines = ["| default | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    for default, of in chosen.items():
        cells = ["{:g}: {:+.2f} / {:+.2f}".format(*of[name]) if name in of else "-" for name in names]
        lines.append(f"| {default} | " + " | ".join(cells) + " |")
    return lines


def leads() -> list[str]:
    """Return by how many per cent strategies of ours are above each baseline, best tuned baseline in bold."""
    columns: list[dict[str, str]] = []
    titles = []
    for name, title in DATASETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        baselines = [baseline for baseline in results["options"] if baseline != "paper_segment"]
        best = max(baselines, key=lambda baseline: rows[baseline]["precision"])
        for strategy in ("blend", "segment"):
            titles.append(f"`{strategy}`, {title}")
            against = rows[strategy]["against"]
            cells = {baseline: _lead(against[baseline]) for baseline in (*baselines, "paper_segment")}
            columns.append(cells | {best: f"**{cells[best]}**"})
    lines = [f"| baseline | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    for baseline in columns[0]:
        lines.append(f"| `{baseline}` | {' | '.join(column[baseline] for column in columns)} |")
    return lines


def _lead(beside: dict[str, Any]) -> str:
    """Write a ratio as a gain in %, with the interval."""
    low, high = (100 * (end - 1) for end in beside["ratio_ci"])
    return f"{100 * (beside['ratio'] - 1):+.1f} [{low:+.1f}, {high:+.1f}]"
