"""Results as a table on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from firstday.evaluate.intervals import Interval
from firstday.evaluate.results import DAY_ONE_SIZES, REFERENCE, Results, Row


def print_results(results: Results, console: Console) -> None:
    """Print strategies side by side, best precision first, and how to read them."""
    best_first = sorted(results.rows, key=lambda row: -row.metrics["precision"].mean)
    table = _table(
        f"{results.dataset}: cold users, lists of {results.k}, in %",
        (f"P@{results.k}", f"R@{results.k}", f"NDCG@{results.k}", f"P - P of {REFERENCE}"),
    )
    for row in best_first:
        difference = "" if row.against_reference is None else _interval(row.against_reference, "+.1f")
        recall, ndcg = f"{row.metrics['recall'].mean:.1f}", f"{row.metrics['ndcg'].mean:.1f}"
        precision = _interval(row.metrics["precision"], ".1f")
        table.add_row(row.strategy, precision, recall, ndcg, difference, style=_style(row))
    console.print(table)
    sizes = [size for size in DAY_ONE_SIZES if any(size in row.by_day_one_size for row in results.rows)]
    idle = ("profile only",) if any(row.profile_only for row in results.rows) else ()
    table = _table(f"P@{results.k} by items used on day one, in %", (*sizes, *idle, "ms per user"))
    for row in best_first:
        found = [row.by_day_one_size.get(size) for size in sizes] + [row.profile_only] * len(idle)
        cells = tuple("" if interval is None else f"{interval.mean:.1f}" for interval in found)
        table.add_row(row.strategy, *cells, f"{row.ms_per_user:.2f}", style=_style(row))
    console.print(table)
    rule = (
        f"hits / min({results.k}, relevant), as in the paper" if results.divide_by == "min" else f"hits / {results.k}"
    )
    console.print(
        f"{results.n_warm:,} warm and {results.n_cold:,} cold users in each of {len(results.seeds)} seed(s), protocol "
        f"{results.protocol}. Precision is {rule}. Brackets: 95 % interval over users; differences are user by user.",
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


def _style(row: Row) -> str | None:
    """Make the reference stand out."""
    return "bold" if row.strategy == REFERENCE else None


def _interval(found: Interval, form: str) -> str:
    """Write a mean and its interval."""
    return f"{found.mean:{form}} \\[{found.low:{form}}, {found.high:{form}}]"
