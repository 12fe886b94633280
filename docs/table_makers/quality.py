"""Tables of strategies, tuned baselines and components on real data, and of what lists cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from firstday.evaluation.plots import INK, MUTED, draw, draw_dots, standalone
from firstday.evaluation.verdicts import AHEAD, BEHIND, NOT_WORSE, UNKNOWN, judge
from firstday.metrics import LEVEL, Interval, adjust_holm
from table_makers.measured import SETS, estimate, make_table, read_results

SIZES = ("0", "1-3", "4-9", "10+")
"""Classes of day-one sizes."""
MIN_USERS = 100
"""Minimum users of a day-one size to be shown: without an interval, figures of fewer say little."""


DIFFERENCES = {"precision_at_10": "difference_at_10", "precision": "difference"}
"""Keys of differences in JSON, by metric."""


def strategies() -> list[str]:
    """Return every strategy and baseline on every set, at 10 and at 50, marked by the difference to `auto`."""
    by_set = {name: {row["strategy"]: row for row in read_results(name)["results"]} for name in SETS}
    marks = _choose_marks(by_set)
    ratios: dict[str, list[float]] = {}
    for rows in by_set.values():
        for name, row in rows.items():
            ratios.setdefault(name, []).append(row["precision"] / rows["auto"]["precision"])
    best_first = sorted(ratios, key=lambda name: -sum(ratios[name]) / len(ratios[name]))
    lines = []
    for name in best_first:
        cells = []
        for dataset, rows in by_set.items():
            figures = []
            for metric in DIFFERENCES if name in rows else ():
                mark = marks.get((dataset, name, metric), "*")
                figures.append(f"{mark}{rows[name][metric]:.1f}{mark}")
            cells.append("/".join(figures) or "-")
        lines.append([f"`{name}`", *cells])
    return make_table(("strategy", *SETS.values()), lines)


def _choose_marks(by_set: dict[str, dict[str, dict[str, Any]]]) -> dict[tuple[str, str, str], str]:
    """Return the mark by set, strategy but `auto`, and metric: bold above `auto`, none below, else italic."""
    comparisons = {
        (dataset, name, metric): (row["against"]["auto"][key], row["against"]["auto"][f"{key}_p"])
        for dataset, rows in by_set.items()
        for name, row in rows.items()
        for metric, key in DIFFERENCES.items()
        if name != "auto"
    }
    differences, p_values = np.array([*comparisons.values()]).T
    is_clear = adjust_holm(p_values) <= 1 - LEVEL
    marks = np.select([is_clear & (differences > 0), is_clear], ["**", ""], "*")
    return dict(zip(comparisons, marks.tolist(), strict=True))


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
        columns += [f"P@{k}: `auto`", "best single method", "difference", "verdict"]
    verdicts = judge_leads()
    lines = []
    for name, title in SETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        days = f"{results['target_days']:g}" if "target_days" in results else "-"
        cells = [title, f"{results['n_cold']:,}", days, f"{results['peak_mib'] / 1024:.1f}"]
        for metric, key in DIFFERENCES.items():
            best = results["best_single"][metric]
            against = rows["auto"]["against"][best]
            cells += [f"{rows['auto'][metric]:.1f}", f"{rows[best][metric]:.1f} `{best}`"]
            cells += [estimate(against[key], against[f"{key}_ci"], "+.1f"), verdicts[name, metric]]
        lines.append(cells)
    return make_table(columns, lines)


def judge_leads() -> dict[tuple[str, str], str]:
    """Return the verdict on `auto` against the best single method by set and metric, corrected over all of them."""
    comparisons = {}
    for name in SETS:
        results = read_results(name)
        against = next(row["against"] for row in results["results"] if row["strategy"] == "auto")
        for metric, key in DIFFERENCES.items():
            values = against[results["best_single"][metric]]
            not_worse_p = values[key.replace("difference", "not_worse") + "_p"]
            comparisons[name, metric] = values[key], values[f"{key}_p"], not_worse_p
    return dict(zip(comparisons, judge(*np.array([*comparisons.values()]).T), strict=True))


def leads() -> list[str]:
    """Return the datasets by verdict on `auto` against the best single method, at 10 and at 50."""
    verdicts = judge_leads()
    lines = []
    for verdict in (AHEAD, NOT_WORSE, UNKNOWN, BEHIND):
        of_lengths = ([SETS[name] for name in SETS if verdicts[name, metric] == verdict] for metric in DIFFERENCES)
        lines.append([verdict, *(", ".join(titles) or "-" for titles in of_lengths)])
    return make_table(("`auto` is", "P@10", "P@50"), lines)


def picture_leads() -> str:
    """Return the lead of `auto` over the best single method in P@10 on every set, with both values, as an SVG file."""
    leads = {}
    values = []
    for name, title in SETS.items():
        results = read_results(name)
        rows = {row["strategy"]: row for row in results["results"]}
        best = results["best_single"]["precision_at_10"]
        comparison = rows["auto"]["against"][best]
        leads[title] = Interval(comparison["difference_at_10"], *comparison["difference_at_10_ci"])
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


ELSEWHERE = {
    "als_fold_in": "implicit `AlternatingLeastSquares`, LensKit `ImplicitMFScorer`, RecTools `ImplicitALSWrapperModel`",
    "item_item": "implicit `CosineRecommender`, LensKit `ItemKNNScorer`, RecTools `ImplicitItemKNNWrapperModel`",
    "user_user": "LensKit `UserKNNScorer`",
    "ease": "LensKit `EASEScorer`, RecTools `EASEModel`",
}
"""Models of other libraries that are built like a baseline."""


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
