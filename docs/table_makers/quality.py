"""Tables of strategies, tuned baselines and ablations on real data."""

from __future__ import annotations

import textwrap
from typing import Any

from table_makers.measured import DATASETS, NotMeasuredError, interval, read_results


def first_look() -> list[str]:
    """Return P@50 of the default list, the best tuned baseline, the paper's system and popularity."""
    columns = []
    for name in DATASETS:
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        best = _best_baseline(results, rows)
        columns.append(
            [
                f"{rows[strategy]['precision']:.1f} {interval(rows[strategy]['precision_ci'])}{note}"
                for strategy, note in (
                    ("auto", ""),
                    (best, f" (`{best}`)"),
                    ("segment", ""),
                    ("paper_segment", ""),
                    ("popular", ""),
                )
            ]
        )
    titles = (
        "`auto`, the list that people get by default",
        "the best of the tuned baselines",
        "`segment`, the paper's system with our features and training",
        "`paper_segment`, with the paper's own",
        "`popular`, what everyone uses most",
    )
    lines = [f"| P@50, % [95 % interval] | {' | '.join(DATASETS.values())} |", "|---|---|---|"]
    return lines + [f"| {' | '.join(cells)} |" for cells in zip(titles, *columns, strict=True)]


def _best_baseline(results: dict[str, Any], rows: dict[str, Any]) -> str:
    """Return the tuned baseline of others with the highest precision."""
    baselines: list[str] = [name for name in results["options"] if name in rows and name != "paper_segment"]
    return max(baselines, key=lambda name: float(rows[name]["precision"]))


def gains() -> list[str]:
    """Return what the best strategy gains over the paper's system, tuned baselines and popularity, in words."""
    text = []
    for name, title in DATASETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        if not results.get("options"):
            continue
        best = _best_baseline(results, rows)
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


SETS = {
    "online-retail": "Online Retail",
    "movietweetings": "MovieTweetings",
    "complete-journey": "The Complete Journey",
    "simulated-clock": "a simulated music service",
    "movielens-100k": "MovieLens 100K",
    "deezer-europe": "Deezer Europe",
}
CLASSES = ("0", "1-3", "4-9", "10+")


def judged(name: str) -> list[str]:
    """Return every strategy and baseline of one set, at 10 and at 50, by day one, and `auto` minus each."""
    results = read_results(name)
    rows = sorted(results["results"], key=lambda row: -float(row["precision"]))
    counts = {size: rows[0]["n_by_day_one_size"].get(size, 0) for size in CLASSES}
    sizes = [size for size in CLASSES if counts[size]]
    columns = [
        "in %",
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
    days, cut_offs = results.get("target_days"), results.get("cut_offs")
    when = f"{len(cut_offs)} cut-offs, target window of {days:g} days; " if cut_offs else ""
    return [
        *lines,
        "",
        f"{when}{results['peak_mib'] / 1024:.1f} GiB of memory at the most.",
    ]


def clocks() -> list[str]:
    """Return `auto` beside the best baseline and popularity on every set, at 10 and at 50."""
    lines = [
        "| % | newcomers | P@10: `auto` | best baseline | `auto` minus it | P@50: `auto` | best baseline "
        "| `auto` minus it | `popular` |",
        "|---|---|---|---|---|---|---|---|---|",
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
        lines.append(f"| {' | '.join([*cells, format(rows['popular']['precision'], '.1f')])} |")
    return lines


def list_speed() -> list[str]:
    """Return what a list costs by each strategy beside `segment`."""
    figures = read_results("list-speed")
    base = figures["milliseconds"]["segment"]
    lines = ["| strategy | one user, ms | x `segment` | of 32 at once, ms | x `segment` |", "|---|---|---|---|---|"]
    for strategy, of in figures["milliseconds"].items():
        one, together = of["one"] / base["one"], of["together"] / base["together"]
        lines.append(f"| `{strategy}` | {of['one']:.2f} | {one:.1f} | {of['together']:.3f} | {together:.1f} |")
    return lines


def rules_cost() -> list[str]:
    """Return what lists under rules cost relative to lists without."""
    costs = read_results("rules")["cost"]
    lines = ["| | " + " | ".join(f"`{strategy}`" for strategy in costs) + " |", "|---" * (1 + len(costs)) + "|"]
    for request in costs["auto"]:
        lines.append(f"| {request} | " + " | ".join(f"{of[request]:.1f}" for of in costs.values()) + " |")
    return lines


def rules_equality() -> list[str]:
    """Return how far lists under filters are those for which every allowed item is a candidate."""
    lines = ["| allowed items | same item, % of ranks | P@50 | P@50 with all candidates |", "|---|---|---|---|"]
    for share, found in read_results("rules")["equal"].items():
        precisions = f"{found['precision']:.2f} | {found['precision_of_all']:.2f}"
        lines.append(f"| {share} | {found['same_item']:.1f} | {precisions} |")
    return lines


def list_equality() -> list[str]:
    """Return how far quick lists are those of the full computation."""
    figures = read_results("list-speed")
    lines = ["| one user at a time, % of places | `blend` | `neighbors` | `auto` |", "|---|---|---|---|"]
    for key, title in (("in_list", "the item is in the full list"), ("same_place", "it is at the same place")):
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
    ways = {"logistic": "firstday", "isotonic on scores": "by the score", "isotonic on places": "by the place"}
    lines = [
        f"| lists of {found['k']} | used, % | said, % | "
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


def ages_chosen(name: str) -> list[str]:
    """Return what validation users get from `group` by how many users a year of age gathers."""
    by_case: dict[tuple[str, str], dict[float, Any]] = {}
    for row in read_results(f"ages-{name}")["rows"]:
        if (row["cohort"], row["users"], row["strategy"]) == ("validation", "all", "group") and row[
            "known"
        ] != "day one":
            by_case.setdefault((row["ages"], row["known"]), {})[row["age_users"]] = row
    numbers = list(next(iter(by_case.values())))
    lines = ["| ages stored | known | plain | " + " | ".join(f"{number:g}" for number in numbers[1:]) + " |"]
    lines.append("|---" * (2 + len(numbers)) + "|")
    for (form, known), rows in by_case.items():
        cells = [f"{rows[number]['minus_plain']:+.2f}" for number in numbers[1:]]
        lines.append(f"| {form} | {known} | {rows[0]['precision']:.2f} | {' | '.join(cells)} |")
    return lines


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
        baselines = [baseline for baseline, tuning in results["options"].items() if tuning["grid"]]
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
    tunings = [tuning for tuning in results.get("options", {}).values() if tuning["grid"]]
    return results if tunings and "n_tried" in tunings[0]["by_seed"][0] else read_results(f"leads-{name}")


def _lead(beside: dict[str, Any]) -> str:
    """Write a difference in points and the ratio, both with their intervals."""
    low, high = (100 * (end - 1) for end in beside["ratio_ci"])
    return (
        f"{beside['difference']:+.1f} {interval(beside['difference_ci'], '+.1f')}; "
        f"{100 * (beside['ratio'] - 1):+.1f} % [{low:+.1f}, {high:+.1f}]"
    )
