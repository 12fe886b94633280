"""The paper's table beside ours on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from firstday.evaluate.metrics import METRICS
from firstday.evaluate.paper_table import Comparison, compare_with_paper
from firstday.evaluate.results import REFERENCE
from firstday.reproduce.table import Reproduction

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
