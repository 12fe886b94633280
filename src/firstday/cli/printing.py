"""Results as tables on the terminal."""

from __future__ import annotations

import math

from rich import box
from rich.console import Console
from rich.table import Table

from firstday.evaluate.paper_figures import Comparison, compare_with_paper
from firstday.evaluate.results import DAY_ONE_SIZES, REFERENCE, Results, Row, mean_fit_seconds
from firstday.metrics import METRICS, Interval
from firstday.reproduce.table import Reproduction


def print_results(results: Results, console: Console, against: str = REFERENCE) -> None:
    """Print strategies side by side, best precision first, and how to read them.

    Parameters
    ----------
    results
        What was found.
    console
        Where to print.
    against
        The strategy with which the others are compared, one of those in `Row.against`.
    """
    best_first = sorted(results.rows, key=lambda row: -row.metrics["precision"].mean)
    table = _table(
        f"{results.dataset}: cold users, lists of {results.k}, in %",
        (f"P@{results.k}", f"R@{results.k}", f"NDCG@{results.k}", f"P - P of {against}"),
    )
    for row in best_first:
        beside = row.against.get(against)
        difference = "" if beside is None else _interval(beside.difference, "+.1f")
        recall, ndcg = f"{row.metrics['recall'].mean:.1f}", f"{row.metrics['ndcg'].mean:.1f}"
        precision = _interval(row.metrics["precision"], ".1f")
        table.add_row(row.strategy, precision, recall, ndcg, difference, style=_style(row, against))
    console.print(table)
    sizes = [size for size in DAY_ONE_SIZES if any(size in row.by_day_one_size for row in results.rows)]
    idle = ("profile only",) if any(row.profile_only for row in results.rows) else ()
    befriended = ("friends only",) if any(row.friends_only for row in results.rows) else ()
    table = _table(f"P@{results.k} by items used on day one, in %", (*sizes, *idle, *befriended, "ms per user"))
    for row in best_first:
        found = [row.by_day_one_size.get(size) for size in sizes] + [row.profile_only] * len(idle)
        found += [row.friends_only] * len(befriended)
        cells = tuple("" if interval is None else f"{interval.mean:.1f}" for interval in found)
        table.add_row(row.strategy, *cells, f"{row.ms_per_user:.2f}", style=_style(row, against))
    console.print(table)
    _print_lists(results, best_first, console, against)
    rule = (
        f"hits / min({results.k}, relevant), as in the paper" if results.divide_by == "min" else f"hits / {results.k}"
    )
    console.print(
        f"{results.n_warm:,} warm and {results.n_cold:,} cold users in each of {len(results.seeds)} seed(s), protocol "
        f"{results.protocol}. Precision is {rule}. Brackets: 95 % interval over users; differences are user by user.",
        highlight=False,
        markup=False,
    )


def _print_lists(results: Results, rows: list[Row], console: Console, against: str) -> None:
    """Print what the lists are like, and how peers were tuned."""
    fitted = ("fit, s",) if results.tunings else ()
    ratio = (f"P / P of {against}",) if any(against in row.against for row in rows) else ()
    table = _table(
        "Own lists (not a fallback's), in % of users; novelty, in bits; items reached, in % of all",
        (*ratio, "own", "novelty", "reached", *fitted),
    )
    for row in rows:
        beside, tunings = row.against.get(against), results.tunings.get(row.strategy)
        cells = ["" if beside is None else _interval(beside.ratio, ".2f")] * len(ratio)
        cells += [f"{row.coverage:.1f}", f"{row.novelty:.2f}", f"{row.reached:.1f}"]
        cells += [f"{mean_fit_seconds(tunings):.2f}" if tunings else ""] * len(fitted)
        table.add_row(row.strategy, *cells, style=_style(row, against))
    console.print(table)
    for name, tunings in results.tunings.items():
        if not tunings[0].grid:  # as published, nothing was tried
            continue
        chosen = [", ".join(f"{option} {value:g}" for option, value in tuning.options.items()) for tuning in tunings]
        n_tried = math.prod(len(values) for values in tunings[0].grid.values())
        console.print(
            f"{name}: of {n_tried} combinations, on validation users: {'; '.join(dict.fromkeys(chosen))}.",
            highlight=False,
            markup=False,
        )


def _table(title: str, columns: tuple[str, ...]) -> Table:
    """Make a table of strategies that fits 80 columns."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("strategy", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _style(row: Row, against: str) -> str | None:
    """Make the reference stand out."""
    return "bold" if row.strategy == against else None


def _interval(found: Interval, form: str) -> str:
    """Write a mean and its interval."""
    return f"{found.mean:{form}} \\[{found.low:{form}}, {found.high:{form}}]"


SHORT = {"precision": "P", "recall": "R", "ndcg": "NDCG"}


def print_comparison(found: Reproduction, console: Console) -> None:
    """Print three lines for each strategy (our figures, the paper's, the difference), and how to read them."""
    results = found.results
    table = Table(
        title=f"{results.dataset}: the paper's Table 1 ({found.space}), in %",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("method", no_wrap=True)
    table.add_column("", no_wrap=True)
    for metric in METRICS:
        table.add_column(f"{SHORT[metric]}@{results.k}", no_wrap=True)
    for compared in compare_with_paper(results, found.space):
        _add(table, compared)
    console.print(table)
    took = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in found.seconds.items())
    for line in (
        f"{results.n_warm:,} training, {found.summary['n_validation']:,} validation and {results.n_cold:,} test users, "
        f"{found.summary['items']:,} items, {len(results.seeds)} seed(s). Precision is hits / min({results.k}, "
        "relevant). ±: standard deviation over random fifths of the test users, as in the paper.",
        f"Seconds: {took}; in all {sum(found.seconds.values()):.0f}.",
    ):
        console.print(line, highlight=False, markup=False)


def _add(table: Table, compared: Comparison) -> None:
    """Add the lines of one strategy."""
    row, paper = compared.row, compared.paper
    style = "bold" if row.strategy == REFERENCE else None
    ours = (_figure(row.metrics[metric].mean, row.deviations[metric]) for metric in METRICS)
    table.add_row(compared.title, "ours", *ours, style=style)
    name = f"  {row.strategy}" if compared.title != row.strategy else ""
    if paper is None:
        table.add_row(name, "paper", *("-" for _ in METRICS), end_section=True)
        return
    theirs = (_figure(paper[metric].mean, paper[metric].deviation) for metric in METRICS)
    table.add_row(name, "paper", *theirs)
    table.add_row("", "minus", *(f"{compared.difference(metric):+6.2f}" for metric in METRICS), end_section=True)


def _figure(mean: float, deviation: float | None) -> str:
    """Write a figure and what it varies by, the points under each other."""
    return f"{mean:6.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")
