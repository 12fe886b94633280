"""Tables of strategies, tuned baselines and components on real data, and of what lists cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from firstday.evaluation.plots import INK, MUTED, draw, draw_dots, standalone
from firstday.evaluation.run import COMBINED
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
    """Return `auto` and the best single method on every set, at 10 and at 50."""
    columns = ["dataset", "newcomers", "target window, days", "memory, GiB"]
    for k in (10, 50):
        columns += [f"P@{k}: `auto`", "best single method", "difference"]
    lines = []
    for name, title in SETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        days = f"{results['target_days']:g}" if "target_days" in results else "-"
        cells = [title, f"{results['n_cold']:,}", days, f"{results['peak_mib'] / 1024:.1f}"]
        for metric in ("precision_at_10", "precision"):
            best = best_single(results, metric)
            lead = find_lead(results, metric)
            cells += [f"{rows['auto'][metric]:.1f}", f"{rows[best][metric]:.1f} `{best}`"]
            cells.append(estimate(lead.mean, (lead.low, lead.high), "+.1f"))
        lines.append(cells)
    return make_table(columns, lines)


def picture_leads() -> str:
    """Return the lead of `auto` over the best single method in P@10 on every set, with both values, as an SVG file."""
    leads = {}
    values = []
    for name, title in SETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        best = best_single(results, "precision_at_10")
        leads[title] = find_lead(results, "precision_at_10")
        values.append(f"{rows['auto']['precision_at_10']:.1f} / {rows[best]['precision_at_10']:.1f} {best}")

    def paint(axes: Any) -> None:
        draw_dots(axes, leads, "")
        axes.axvline(0, color=INK, lw=1, zorder=1)
        axes.set_xlabel("P@10 of auto minus that of the best single method, points")
        side = axes.secondary_yaxis("right")
        side.set_yticks(range(len(values)), values)
        side.tick_params(length=0)
        side.spines["right"].set_visible(False)
        axes.text(1.03, 1.01, "auto / best, %", transform=axes.transAxes, color=MUTED)

    return standalone(draw("leads", 0.9 + 0.27 * len(leads), paint))


def best_single(results: dict[str, Any], metric: str) -> str:
    """Return the name of the method with the highest value of a metric that does not combine others."""
    values = {row["strategy"]: float(row[metric]) for row in results["results"] if row["strategy"] not in COMBINED}
    return max(values, key=values.__getitem__)


def find_lead(results: dict[str, Any], metric: str) -> Interval:
    """Return `auto` minus the best single method."""
    best = best_single(results, metric)
    (row,) = (row for row in results["results"] if row["strategy"] == best)
    key = "difference" if metric == "precision" else "difference_at_10"
    low, high = row["against"]["auto"][f"{key}_ci"]
    return Interval(-row["against"]["auto"][key], -high, -low)


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


def _find_row(name: str, strategy: str) -> dict[str, Any]:
    (row,) = (row for row in read_results(name)["results"] if row["strategy"] == strategy)
    return row


def _code(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]
