"""Tables and plots that compare strategies, for the terminal and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from firstday.evaluation.plots import draw, draw_lines
from firstday.evaluation.results import DIVERSITY, MINUS_OTHERS, RATIO, ROUTE_PREFIX, Results
from firstday.evaluation.slices import (
    ALL,
    BASELINE,
    DISJOINT_SIZES,
    FRIENDS_ONLY,
    NOTHING_DONE,
    cut_off_slice,
    group_slice,
    size_slice,
)
from firstday.evaluation.text_table import Table
from firstday.metrics import HEAD
from firstday.training.option_search import describe_choices

ANSWERED_BY = "answered by"


def _compare_slices(results: Results, title: str, slices: Mapping[str, str], metric: str = "precision") -> Table:
    """Compare strategies across slices, given by heading; slices without users are omitted."""
    columns = {}
    for label, of_slice in slices.items():
        if figure := results.find(results.leader, metric, of_slice):
            columns[f"{label} ({figure.n:,})"] = metric, of_slice
    return results.tabulate(title, columns)


def compare_sizes(results: Results, metric: str = "precision") -> Table:
    """Compare strategies by items used on day one, and for users with a profile alone."""
    slices = {size: size_slice(size) for size in DISJOINT_SIZES}
    slices |= {"profile only": NOTHING_DONE, "friends only": FRIENDS_ONLY}
    k = results.k if metric == "precision" else HEAD
    return _compare_slices(results, f"P@{k} by items used on day one (users), in %", slices, metric)


def plot_day_one_sizes(results: Results) -> str:
    """Draw precision by day-one size with 95 % intervals: a line for each of the best strategies and the references."""
    sizes = [size for size in DISJOINT_SIZES if results.find(results.leader, "precision", size_slice(size))]
    chosen = {*results.best_first[:8], results.leader, results.reference, BASELINE}
    names = [name for name in results.best_first if name in chosen]
    lines = {name: [results.get(name, "precision", size_slice(size)) for size in sizes] for name in names}

    def paint(axes: Any) -> None:
        draw_lines(axes, lines, sizes, results.leader)
        axes.set_xlabel("items used on day one")
        axes.set_ylabel(f"P@{results.k}, %")

    return draw("day-one", 3.4, paint)


def compare_cut_offs(results: Results, metric: str = "precision") -> Table:
    """Compare strategies by cut-off."""
    slices = {cut_off["at"][:10]: cut_off_slice(cut_off["at"]) for cut_off in results.cut_offs}
    k = results.k if metric == "precision" else HEAD
    return _compare_slices(results, f"P@{k} by cut-off (newcomers), in %", slices, metric)


def plot_cut_offs(results: Results) -> str | None:
    """Draw precision by cut-off with 95 % intervals: the leader, the reference and `popular`.

    None with fewer than two cut-offs.
    """
    if len(results.cut_offs) < 2:
        return None
    chosen = {results.leader, results.reference, BASELINE}
    moments = [cut_off["at"] for cut_off in results.cut_offs]
    lines = {
        name: [results.get(name, "precision", cut_off_slice(moment)) for moment in moments]
        for name in results.best_first
        if name in chosen
    }

    def paint(axes: Any) -> None:
        draw_lines(axes, lines, [moment[:10] for moment in moments], results.leader)
        for label in axes.get_xticklabels():
            label.set(rotation=45, rotation_mode="anchor", ha="right")
        axes.set_xlabel("cut-off")
        axes.set_ylabel(f"P@{results.k}, %")

    return draw("cut-offs", 3.4, paint)


def compare_groups(results: Results, column: str) -> list[Table]:
    """Compare strategies by group of a profile column, and large enough groups with all other users.

    Intervals of the second table are simultaneous over the groups of all columns.
    """
    slices = {label: group_slice(column, label) for label in results.groups[column]}
    intervals = f"with 95 % intervals over {results.units}"
    title = f"P@{results.k} by {column} (users), in %, {intervals}"
    gap_title = f"P@{results.k} by {column} minus all other users, in points, {intervals} that hold for all groups"
    return [_compare_slices(results, title, slices), _compare_slices(results, gap_title, slices, MINUS_OTHERS)]


def describe_lists(results: Results) -> Table:
    """Summarise coverage, exposure, diversity, novelty, run time and routes."""
    metrics = {
        f"P / {results.reference}": f"{RATIO}{results.reference}",
        "users": "user_coverage",
        "items": "catalogue_coverage",
        "Gini": "exposure_gini",
        "diversity": DIVERSITY,
        "novelty": "novelty_bits",
        "ms": "ms_per_user",
    }
    title = "Coverage of users (without fallbacks) and of items, in %; novelty, in bits; time per user, in ms"
    table = results.tabulate(title, {heading: (metric, ALL) for heading, metric in metrics.items()})
    rows = [{**row, ANSWERED_BY: _write_routes(results, row["strategy"])} for row in table.rows]
    return replace(table, rows=rows, words=(ANSWERED_BY,))


def _write_routes(results: Results, name: str) -> str:
    """Format the routes of a strategy's lists, the most frequent first."""
    routes = sorted(results.split_metric(name, ROUTE_PREFIX).items(), key=lambda route: -route[1].mean)
    return ", ".join(f"{route} {share.mean:.0f} %" for route, share in routes)


def describe_tunings(results: Results) -> list[str]:
    """Describe the option search of each baseline that has options in one sentence."""
    sentences = []
    for name, tunings in results.tunings.items():
        if tunings[0].grid:
            choices = "; ".join(describe_choices(tunings))
            n_tried = sum(len(tuning.trials) for tuning in tunings)
            sentences.append(f"{name}: best on validation users, {n_tried} trials in all: {choices}.")
    return sentences
