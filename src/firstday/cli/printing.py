"""Results as tables on the terminal."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Literal

import rich.table
import typer
from rich import box
from rich.console import Console
from rich.markup import escape

from firstday.evaluation.comparisons import compare_sizes, describe_lists, describe_tunings
from firstday.evaluation.results import HEAD_METRICS, UNKNOWN_VECTORS, Results
from firstday.evaluation.text_table import Table, write_line
from firstday.evaluation.verdicts import MEANING


def print_table(table: Table, intervals: Container[str] | None = None, hidden: Container[str] = ()) -> None:
    """Print a table with the accented row in bold; `intervals` are the columns with small print (all if None)."""
    table = table.select(*(name for name in table.columns if name not in hidden))
    grid = rich.table.Table(
        title=escape(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for number, name in enumerate(table.columns):
        justify: Literal["left", "right"] = "right" if number and name not in table.words else "left"
        grid.add_column(name, justify=justify, overflow="fold", no_wrap=not number)
    for row in table.rows:
        short = {name: cell.partition("\n")[0] for name, cell in row.items()}
        texts = [write_line(row[name]) if intervals is None or name in intervals else short[name] for name in row]
        grid.add_row(*map(escape, texts), style="bold" if table.accented in [*short.values()][:1] else None)
    Console().print(grid)


def print_signals(signals: Iterable[Mapping[str, Any]]) -> None:
    """Print a line for each signal of `describe_signals`."""
    for row in signals:
        counts = ", ".join(f"{n:,} x {entity}" for entity, n in row["interactions"].items())
        roles = ", ".join(row["roles"]) or "features only"
        advice = row["advice"] and f"; {row['advice']}"
        typer.echo(f"- signal {row['signal']} ({counts}): {roles}{advice}")


def print_error(sentence: str) -> None:
    """Print a sentence on standard error."""
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {sentence}", err=True)


def print_line(line: str) -> None:
    """Print a line, wrapped, without highlighting or markup."""
    Console().print(line, highlight=False, markup=False)


def print_results(results: Results) -> None:
    """Print a table of strategies, best precision first, with an explanation."""
    print_table(
        results.compare_strategies(),
        intervals=(f"P@{results.k}", f"P@{results.k} minus {results.reference}"),
    )
    if results.later_uses is not None:
        print_table(results.compare_all_uses(), intervals=())
    print_table(compare_sizes(results, HEAD_METRICS[0] if results.has_head else "precision"), intervals=())
    print_table(describe_lists(results), intervals=(f"P / {results.reference}",), hidden=("Gini", "diversity"))
    if results.own_metrics:
        print_table(results.compare_hits(), intervals=[f"{name}@{results.k}" for name in results.own_metrics])
    for sentence in describe_tunings(results):
        print_line(sentence)
    rule = (
        f"min({results.k}, relevant), as in the paper (capped recall)" if results.divide_by == "min" else f"{results.k}"
    )
    print_line(
        f"{results.describe_users()} Precision is hits / {rule}. Brackets: 95 % interval over {results.units}; "
        "differences are paired by user."
    )
    for sentence in results.describe_leads():
        print_line(sentence)
    print_line(f"{MEANING[0].upper()}{MEANING[1:]}")
    for sentence in results.describe_warnings():
        print_line(f"Warning: {sentence}")
    for sentence in results.describe_motion():
        print_line(sentence)
    if results.precomputed:
        print_line(UNKNOWN_VECTORS)
