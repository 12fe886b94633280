"""Tables of strategies, tuned baselines and components on real data, and of what lists cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from firstday.evaluation.plots import INK, MUTED, draw, draw_dots, standalone
from firstday.metrics import Interval
from table_makers.measured import SETS, estimate, make_table, read_results

SIZES = ("0", "1-3", "4-9", "10+")
"""Classes of day-one sizes."""
MIN_USERS = 100
"""Minimum users of a day-one size to be shown: without an interval, figures of fewer say little."""


def strategies() -> list[str]:
    """Return every strategy and baseline on every set, at 10 and at 50, marked by the difference to `auto`."""
    by_set = {name: {row["strategy"]: row for row in read_results(name)["results"]} for name in SETS}
    ratios: dict[str, list[float]] = {}
    for rows in by_set.values():
        for name, row in rows.items():
            ratios.setdefault(name, []).append(row["precision"] / rows["auto"]["precision"])
    best_first = sorted(ratios, key=lambda name: -sum(ratios[name]) / len(ratios[name]))
    lines = []
    for name in best_first:
        cells = [_mark_both(rows[name]) if name in rows else "-" for rows in by_set.values()]
        lines.append([f"`{name}`", *cells])
    return make_table(("strategy", *SETS.values()), lines)


def _mark_both(row: dict[str, Any]) -> str:
    """Write both precisions: bold above `auto` beyond chance, italic within chance of it."""
    parts = []
    for key, difference in (("precision_at_10", "difference_at_10"), ("precision", "difference")):
        low, high = (0, 0) if row["strategy"] == "auto" else row["against"]["auto"][f"{difference}_ci"]
        mark = "**" if low > 0 else "" if high < 0 else "*"
        parts.append(f"{mark}{row[key]:.1f}{mark}")
    return "/".join(parts)


def day_one_sizes() -> list[str]:
    """Return some strategies by day-one size on every set."""
    shown = ("auto", "segment", "popular")
    lines = []
    for name, title in SETS.items():
        rows = {row["strategy"]: row for row in read_results(name)["results"]}
        counts = rows["auto"]["n_by_day_one_size"]
        for size in SIZES:
            if counts.get(size, 0) >= MIN_USERS:
                cells = (
                    f"{rows[of]['by_day_one_size_at_10'][size]:.1f}/{rows[of]['by_day_one_size'][size]:.1f}"
                    for of in shown
                )
                lines.append([title, size, f"{counts[size]:,}", *cells])
                title = ""
    return make_table(("dataset", "items", "users", *_code(shown)), lines)


def clocks() -> list[str]:
    """Return `auto` and the best baseline on every set, at 10 and at 50."""
    columns = ["dataset", "newcomers", "target window, days", "memory, GiB"]
    for k in (10, 50):
        columns += [f"P@{k}: `auto`", "best baseline", "difference"]
    lines = []
    for name, title in SETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        days = f"{results['target_days']:g}" if "target_days" in results else "-"
        cells = [title, f"{results['n_cold']:,}", days, f"{results['peak_mib'] / 1024:.1f}"]
        for position, metric in enumerate(("precision_at_10", "precision")):
            best = best_baseline(results, metric)
            cells += [f"{rows['auto'][metric]:.1f}", f"{rows[best][metric]:.1f} `{best}`"]
            cells.append(_differences(rows["auto"]["against"][best])[position])
        lines.append(cells)
    return make_table(columns, lines)


def picture_leads() -> str:
    """Return the difference of `auto` to the best baseline in P@10 on every set, with both values, as an SVG file."""
    leads = {}
    values = []
    for name, title in SETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        best = best_baseline(results, "precision_at_10")
        comparison = rows["auto"]["against"][best]
        leads[title] = Interval(comparison["difference_at_10"], *comparison["difference_at_10_ci"])
        values.append(f"{rows['auto']['precision_at_10']:.1f} / {rows[best]['precision_at_10']:.1f}")

    def paint(axes: Any) -> None:
        draw_dots(axes, leads, "")
        axes.axvline(0, color=INK, lw=1, zorder=1)
        axes.set_xlabel("P@10 of auto minus that of the best tuned baseline, points")
        side = axes.secondary_yaxis("right")
        side.set_yticks(range(len(values)), values)
        side.tick_params(length=0)
        side.spines["right"].set_visible(False)
        axes.text(1.03, 1.01, "auto / best, %", transform=axes.transAxes, color=MUTED)

    return standalone(draw("leads", 0.9 + 0.27 * len(leads), paint))


def tuned_baselines(results: dict[str, Any]) -> list[str]:
    """Return the names of the tuned baselines of an evaluation."""
    return [baseline for baseline in results["options"] if baseline != "paper_segment"]


def best_baseline(results: dict[str, Any], metric: str) -> str:
    """Return the name of the tuned baseline, or `recent`, with the highest value of a metric."""
    values = {row["strategy"]: float(row[metric]) for row in results["results"]}
    return max((name for name in (*tuned_baselines(results), "recent") if name in values), key=values.__getitem__)


def _differences(comparison: dict[str, Any]) -> list[str]:
    """Write the differences in P@10 and in P@50."""
    return [estimate(comparison[key], comparison[f"{key}_ci"], "+.1f") for key in ("difference_at_10", "difference")]


ELSEWHERE = {
    "als_fold_in": "implicit `AlternatingLeastSquares`, LensKit `ImplicitMFScorer`, RecTools `ImplicitALSWrapperModel`",
    "item_item": "implicit `CosineRecommender`, LensKit `ItemKNNScorer`, RecTools `ImplicitItemKNNWrapperModel`",
    "user_user": "LensKit `UserKNNScorer`",
    "ease": "LensKit `EASEScorer`, RecTools `EASEModel`",
}
"""Models of other libraries that are built like a baseline."""


def elsewhere() -> list[str]:
    """Return what `auto` gains over the models of other libraries."""
    names = ("online-retail", "movietweetings", "x-wines", "movielens-100k", "deezer-europe")
    against = [_find_row(name, "auto")["against"] for name in names]
    rows = (
        [models, f"`{name}`", *(_differences(each[name])[1] for each in against)] for name, models in ELSEWHERE.items()
    )
    return make_table(("there", "here", *(SETS[name] for name in names)), rows)


def nothing_known(*names: str) -> list[str]:
    """Return P@50 of those without any use on day one."""
    parts = []
    for name in names:
        auto, popular = (_find_row(name, strategy)["by_day_one_size"]["0"] for strategy in ("auto", "popular"))
        parts.append(f"{SETS[name]}: {auto:.1f} instead of {popular:.1f} by popularity")
    return ["; ".join(parts) + "."]


def denied_ids() -> list[str]:
    """Return what 100,000 denied ids add to the cost of a list."""
    cost = read_results("rules")["cost"]["auto"]["100,000 denied ids"]
    return [f"100,000 denied ids cost {100 * (cost - 1):.0f} % of a list."]


def _find_row(name: str, strategy: str) -> dict[str, Any]:
    (row,) = (row for row in read_results(name)["results"] if row["strategy"] == strategy)
    return row


def components() -> list[str]:
    """Return what `blend` loses without each component, at 10 and at 50."""
    results = read_results("components")
    names = list(dict.fromkeys(name for of_set in results.values() for name in of_set["lost"]))
    columns = ["data", "cold users", "P@10 / P@50 of `blend`", *(f"`{name}`" for name in names)]
    lines = []
    for dataset, of_set in results.items():
        precision = " / ".join(f"{value:.1f}" for value in of_set["precision"])
        losses = [" / ".join(estimate(mean, ends, "+.1f") for mean, *ends in of_set["lost"][name]) for name in names]
        lines.append([dataset, f"{of_set['users']:,}", precision, *losses])
    return make_table(columns, lines)


def blend_defaults() -> list[str]:
    """Return how much precision changes if each default of `blend` is chosen on all sets but one."""
    chosen = [of_set for of_default in read_results("blend-defaults").values() for of_set in of_default.values()]
    at_10, at_50 = (max(abs(of_set[position]) for of_set in chosen) for position in (1, 2))
    return [f"P@10 on the third changes by at most {at_10:.2f} points, and P@50 by at most {at_50:.2f}."]


def list_speed() -> list[str]:
    """Return what a list costs by each strategy, also relative to `segment`."""
    costs = read_results("list-speed")["milliseconds"]
    base = costs["segment"]
    lines = []
    for strategy, cost in costs.items():
        ratios = {key: f"{cost[key] / base[key]:.1f}" for key in ("one", "together")}
        cells = [f"`{strategy}`", f"{cost['one']:.2f}", ratios["one"], f"{cost['together']:.3f}", ratios["together"]]
        lines.append(cells)
    return make_table(("strategy", "one user, ms", "x `segment`", "32 at once, ms per user", "x `segment`"), lines)


def list_equality() -> list[str]:
    """Return how far quick lists are those of the full computation."""
    equal = read_results("list-speed")["equal"]
    strategies = ("blend", "neighbors", "auto")
    lines = []
    for key, title in (("one_in_list", "item is in the full list"), ("one_same_place", "same item at the same rank")):
        lines.append([title, *(f"{equal[strategy][key]:.1f}" for strategy in strategies)])
    return make_table(("one user at a time, % of ranks", *_code(strategies)), lines)


def rules_cost() -> list[str]:
    """Return what lists under rules cost relative to lists without."""
    costs = read_results("rules")["cost"]
    lines = [[rule, *(f"{cost[rule]:.1f}" for cost in costs.values())] for rule in costs["auto"]]
    return make_table(("rule", *_code(costs)), lines)


def rules_equality() -> list[str]:
    """Return how far lists under filters are those for which every allowed item is a candidate."""
    columns = ("allowed items", "same item, % of ranks", "hits / 50, %", "hits / 50, %, all items scored")
    lines = []
    for share, found in read_results("rules")["equal"].items():
        precision = [f"{found[key]:.2f}" for key in ("precision", "precision_of_all")]
        lines.append([share, f"{found['same_item']:.1f}", *precision])
    return make_table(columns, lines)


def known_items(name: str) -> list[str]:
    """Return P@50 of some strategies by number of known items, on one dataset."""
    rows = read_results(f"known-items-{name}")["rows"]
    names = [strategy for strategy in rows[0] if strategy != "known"]
    ends = [row[strategy]["precision_ci"] for row in rows for strategy in names]
    widest = max(high - low for low, high in ends) / 2
    lines = [[str(row["known"]), *(f"{row[strategy]['precision']:.1f}" for strategy in names)] for row in rows]
    table = make_table(("items known", *_code(names)), lines)
    return [*table, "", f"The 95 % intervals are at most ± {widest:.1f} points."]


def calibration(*names: str) -> list[str]:
    """Return predicted and actual shares of used items by rank, and the calibration errors of other ways."""
    columns = ["dataset", "users", *(f"ranks {ranks}" for ranks in ("1-3", "4-10", "11-50")), "error"]
    columns += ["half of the items", "by rank"]
    lines = []
    for name in names:
        results = read_results(f"calibration-{name}")
        item, half, rank = (results["rows"][way] for way in ("item", "item, half of the catalogue", "rank"))
        shares = [f"{said:.1f}/{used:.1f}" for said, used in item["by_rank"].values()]
        errors = [f"{way['error']:.1f}" for way in (item, half, rank)]
        lines.append([results["dataset"], f"{item['users']:,}", *shares, *errors])
    return make_table(columns, lines)


def clock_lists() -> list[str]:
    """Return what the clock adds to `auto` on every log, and what weights without knowledge of the future change."""
    lines = []
    for name, found in read_results("clock").items():
        lists, weights = found["lists"], found["weights"]
        n_used = sum(clock["is_kept"] for clock in found["clocks"])
        cells = [name, f"{lists['users']:,}", f"{n_used} of {len(found['clocks'])}"]
        cells += _write_pair(lists["difference"]["clock"])
        lines.append([*cells, f"{weights['users']:,}", *_write_pair(weights["difference"]["snapshots"])])
    columns = ("dataset", "newcomers", "cut-offs with clock", "clock: P@10", "P@50")
    return make_table((*columns, "newcomers", "weights of the past: P@10", "P@50"), lines)


def clock_ages() -> list[str]:
    """Return what renewed counts bring by the age of the model, where this is beyond chance."""
    lines = []
    n_ages = 0
    for name, found in read_results("clock").items():
        for age, of_age in found["age"].items():
            if of_age["users"]:
                n_ages += 1
                pair = of_age["difference"]["renewed"]
                if any(low > 0 or high < 0 for _, low, high in pair):
                    lines.append([name, age, f"{of_age['users']:,}", *_write_pair(pair)])
    table = make_table(("dataset", "age, days", "newcomers", "P@10", "P@50"), lines)
    return [*table, "", f"The other {n_ages - len(lines)} of {n_ages} differences are within chance."]


def _write_pair(intervals: list[list[float]]) -> list[str]:
    """Write differences at 10 and at 50 with their intervals."""
    return [estimate(mean, ends, "+.1f") for mean, *ends in intervals]


def _code(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def similar_items() -> list[str]:
    """Return how many other items of a basket are in each list for one of them, and the difference to the first."""
    results = read_results("similar")
    columns = ["list for an item"]
    for name in results:
        columns += [f"P@10, {SETS[name]}", "difference", "distinct items"]
    lines = []
    for rows in zip(*(of_set["lists"] for of_set in results.values()), strict=True):
        cells = [rows[0]["name"]]
        for row in rows:
            difference = estimate(row["difference"], row["difference_ci"], "+.1f") if row["difference"] else ""
            cells += [f"{row['precision']:.1f}", difference, f"{row['distinct_items']:,}"]
        lines.append(cells)
    return make_table(columns, lines)


def similar_for_users() -> list[str]:
    """Return the same for lists ranked for the basket's user, without what they have used."""
    sentences = []
    for name, of_set in read_results("similar").items():
        personal, common = of_set["for_users"]["lists"]
        difference = estimate(0 - common["difference"], sorted(0 - end for end in common["difference_ci"]), "+.1f")
        sentences.append(
            f"{SETS[name]}: {personal['precision']:.1f} instead of {common['precision']:.1f} ({difference})"
        )
    return ["; ".join(sentences) + "."]
