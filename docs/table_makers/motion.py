"""Tables of what newcomers used later, by when it came, and of lists by age of the model."""

from __future__ import annotations

from typing import Any

from firstday.evaluation.slices import ALL
from table_makers.measured import SETS, estimate, make_table, read_results

STRATEGIES = ("auto", "latest", "trending", "recent", "popular")
MIN_USERS = 100
"""Minimum newcomers of a model's age to be shown."""
MIN_PAIRS = 10
"""Minimum uses of hidden items to be shown."""
TITLES = {**SETS, "series": "simulated series"}
Figures = dict[tuple[str, str, str], dict[str, Any]]


def later_uses() -> list[str]:
    """Return what newcomers used later, by when it came, and the figures of `auto` over what existed and over all."""
    lines = []
    for name, record in read_results("motion").items():
        figures = _index(record)
        cells = [f"{share:.0f}" for share in record["later_uses"].values()]
        for metrics in (("precision_at_10", "precision"), ("precision_all_at_10", "precision_all")):
            cells.append("/".join(f"{figures['auto', metric, ALL]['mean']:.1f}" for metric in metrics))
        gain = figures["auto", "precision_all_at_10_minus_older_model", ALL]
        cells += [f"{record['days_between']:.0f}", estimate(gain["mean"], (gain["low"], gain["high"]), "+.1f")]
        lines.append([TITLES[name], f"{record['newcomers']:,}", *cells])
    columns = ("dataset", "newcomers", "at training", "by day one", "later", "`precision`", "`precision_all`")
    return make_table((*columns, "days", "newer model"), lines)


def shared_items() -> list[str]:
    """Return places of hidden items by the number of the day's items that share an entity, as new and as known ones."""
    lines = []
    for name, record in read_results("new-items").items():
        title = f"{TITLES[name]}, {record.get('entity')}"
        for row in record.get("by_shared", ()):
            if row["items"] == "used" and row["pairs"] >= MIN_PAIRS:
                cells = [_place(row[kind]) for kind in ("new", "known")]
                ranks = [f"{row[kind]['median_rank']:,}" for kind in ("new", "known")]
                lines.append([title, str(row["shared"]), f"{row['pairs']:,}", *cells, *ranks])
                title = ""
    columns = ("dataset", "shared", "uses", "new: first ten", "known: first ten", "new: rank", "known: rank")
    return make_table(columns, lines)


def grown_days() -> list[str]:
    """Return places of members' newest items, new to the model, by the number of their items used on day one."""
    lines = []
    for name, record in read_results("new-items").items():
        for n, row in record.get("grown", {}).items():
            cells = [TITLES[name], n, f"{row['members']:,}", _place(row), f"{row['median_rank']:,}"]
            lines.append(cells)
    return make_table(("dataset", "used on day one", "shows", "first ten", "median rank"), lines)


def new_item_gains() -> list[str]:
    """Return `precision_all` of `auto` without and with the items that came, and the difference."""
    lines = []
    for name, record in read_results("new-items").items():
        gain = record["gain"]
        cells = []
        for figures in gain["precision_all"].values():
            difference = figures["with"] - figures["without"]
            ends = difference - figures["half_width"], difference + figures["half_width"]
            cells += [f"{figures['without']:.1f}/{figures['with']:.1f}", estimate(difference, ends, "+.1f")]
        lines.append([TITLES[name], str(gain["cut_offs"]), f"{gain['newcomers']:,}", *cells])
    columns = ("dataset", "cut-offs", "newcomers", "at 10: without/with", "gain", "at 50: without/with", "gain")
    return make_table(columns, lines)


def _place(figures: dict[str, Any]) -> str:
    return f"{figures['first_ten']:.1f} ± {figures['half_width']:.1f}"


def _index(record: dict[str, Any]) -> Figures:
    return {(figure["strategy"], figure["metric"], figure["slice"]): figure for figure in record["figures"]}


def _mark_both(figures: Figures, strategy: str, of_slice: str) -> str:
    """Write both precisions: bold above `auto` beyond chance, italic within chance of it."""
    parts = []
    for metric in ("precision_all_at_10", "precision_all"):
        mark = ""
        if strategy != "auto":
            difference = figures[strategy, f"{metric}_minus:auto", of_slice]
            mark = "**" if difference["low"] > 0 else "" if difference["high"] < 0 else "*"
        parts.append(f"{mark}{figures[strategy, metric, of_slice]['mean']:.1f}{mark}")
    return "/".join(parts)
