"""Comparison tables of the terminal, reports and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from firstday.data.sources.deezer_kdd21 import Space
from firstday.evaluation.paper_figures import FIGURES, TABLE, TITLES, PaperRow, subtract_paper
from firstday.evaluation.replay import ReplayResults
from firstday.evaluation.results import HEAD_METRICS, MINUS, RATIO, ROUTE_PREFIX, Results
from firstday.evaluation.slices import (
    ALL,
    DISJOINT_SIZES,
    FRIENDS_ONLY,
    NOTHING_DONE,
    REFERENCE,
    TENTH,
    group_slice,
    size_slice,
)
from firstday.metrics import HEAD, METRICS
from firstday.training.search import describe_choices

SHORT = {"precision": "P", "recall": "R", "ndcg": "NDCG"}
ANSWERED_BY = "answered by"


@dataclass(frozen=True)
class Table:
    """A captioned table of text, by row and column heading; the first column has the row headings.

    A second line of a cell is small print, such as an interval. `accented` is the heading of the highlighted row, and
    `words` are the headings of left-aligned columns.
    """

    title: str
    rows: Sequence[Mapping[str, str]]
    accented: str = ""
    words: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Column headings."""
        return tuple(*self.rows[:1])

    def select(self, *columns: str) -> Table:
        """Return the table with the given columns."""
        return replace(self, rows=[{column: row[column] for column in columns} for row in self.rows])


def write_signed(value: float, digits: int = 1) -> str:
    """Format a number with an explicit sign (a true minus sign)."""
    return f"{value:+z.{digits}f}".replace("-", "\N{MINUS SIGN}")


def write_cell(write: Callable[[float], str], mean: float, *ends: float | None) -> str:
    """Format a figure, with its interval as small print."""
    interval = ", ".join(write(end) for end in ends if end is not None)
    return f"{write(mean)}\n{interval}".strip()


def write_line(cell: str) -> str:
    """Return a cell on one line, its small print in brackets."""
    text, _, small = cell.partition("\n")
    return f"{text} [{small}]" if small else text


def _write_figure(results: Results, name: str, metric: str, of_slice: str) -> str:
    """Format a figure and its interval; differences are signed, figures that are not in % have two digits."""
    figure = results.find(name, metric, of_slice)
    if figure is None:
        return ""
    write = "{:.2f}".format if metric.startswith((RATIO, "novelty", "ms")) else "{:.1f}".format
    return write_cell(write_signed if metric.startswith(MINUS) else write, figure.mean, figure.low, figure.high)


def pivot(title: str, columns: Mapping[str, tuple[Results, str, str]], accented: str) -> Table:
    """Tabulate figures by heading, given results, metric and slice; strategies best first; omit empty columns."""
    names = dict.fromkeys(name for results, *_ in columns.values() for name in results.best_first)
    rows = [
        {
            "strategy": name,
            **{heading: _write_figure(results, name, *key) for heading, (results, *key) in columns.items()},
        }
        for name in names
    ]
    filled = (heading for heading in ("strategy", *columns) if any(row[heading] for row in rows))
    return Table(title, rows, accented).select(*filled)


def compare_strategies(results: Results, against: str = REFERENCE) -> Table:
    """Compare precision, recall and NDCG, also at 10."""
    metrics = dict(zip((f"P@{HEAD}", f"NDCG@{HEAD}"), HEAD_METRICS, strict=True))
    metrics |= {f"{SHORT[metric]}@{results.k}": metric for metric in METRICS}
    metrics[f"P@{results.k} minus {against}"] = f"{MINUS}{against}"
    columns = {heading: (results, metric, ALL) for heading, metric in metrics.items()}
    return pivot(f"{results.dataset}: means over cold users, in %", columns, results.leader)


def _compare_slices(results: Results, title: str, slices: Mapping[str, str], metric: str = "precision") -> Table:
    """Compare strategies across slices, given by heading; slices without users are omitted."""
    figures = {label: results.find(results.leader, metric, of_slice) for label, of_slice in slices.items()}
    columns = {
        f"{label} ({figure.n:,})": (results, metric, figure.slice) for label, figure in figures.items() if figure
    }
    return pivot(title, columns, results.leader)


def compare_sizes(results: Results, metric: str = "precision") -> Table:
    """Compare strategies by items used on day one, and for users with a profile alone."""
    slices = {size: size_slice(size) for size in DISJOINT_SIZES}
    slices |= {"profile only": NOTHING_DONE, "friends only": FRIENDS_ONLY}
    k = results.k if metric == "precision" else HEAD
    return _compare_slices(results, f"P@{k} by items used on day one (users), in %", slices, metric)


def compare_groups(results: Results, column: str) -> Table:
    """Compare strategies by group of a profile column."""
    slices = {label: group_slice(column, label) for label in results.groups[column]}
    return _compare_slices(results, f"P@{results.k} by {column} (users), in %, with 95 % intervals", slices)


def describe_lists(results: Results, against: str = REFERENCE) -> Table:
    """Summarise coverage, novelty, run time and routes."""
    metrics = {
        f"P / {against}": f"{RATIO}{against}",
        "users": "user_coverage",
        "items": "catalogue_coverage",
        "novelty": "novelty_bits",
        "ms": "ms_per_user",
    }
    title = "Coverage of users (without fallbacks) and of items, in %; novelty, in bits; time per user, in ms"
    table = pivot(title, {heading: (results, metric, ALL) for heading, metric in metrics.items()}, results.leader)
    rows = [{**row, ANSWERED_BY: _write_routes(results, row["strategy"])} for row in table.rows]
    return replace(table, rows=rows, words=(ANSWERED_BY,))


def _write_routes(results: Results, name: str) -> str:
    """Format the routes of a strategy's lists, the most frequent first."""
    routes = sorted(results.split_metric(name, ROUTE_PREFIX).items(), key=lambda route: -route[1].mean)
    return ", ".join(f"{route} {share.mean:.0f} %" for route, share in routes)


def describe_tunings(results: Results) -> list[str]:
    """Describe the option search of each baseline that has options in one sentence."""
    return [
        f"{name}: best of {tunings[0].n_tried} combinations on validation users: "
        f"{'; '.join(describe_choices(tunings))}."
        for name, tunings in results.tunings.items()
        if tunings[0].grid
    ]


def compare_popularity(results: Results) -> Table:
    """Compare the popularity of recommended items, by tenths of total use."""
    columns = {f"{at}: {n:,}": (results, f"{TENTH}{at}", ALL) for at, n in enumerate(results.items_by_popularity, 1)}
    title = f"Share of list entries at {results.k}, in %, by tenth of use: number of items"
    table = pivot(title, columns, results.leader)
    used = ("used after day one", *(f"{share:.1f}" for share in results.used_by_popularity))
    return replace(table, rows=[dict(zip(table.columns, used, strict=True)), *table.rows])


def compare_datasets(all_results: Sequence[Results], against: str = REFERENCE) -> list[Table]:
    """Compare strategies on several datasets: precision, and the difference to a reference."""
    titles = {
        "precision": "Precision for cold users, in %",
        f"{MINUS}{against}": f"Difference to {against}, paired by user, in points",
    }
    names: dict[str, Results] = {}
    for number, results in enumerate(all_results, 1):
        names[f"{results.dataset} ({number})" if results.dataset in names else results.dataset] = results
    return [
        pivot(title, {name: (results, metric, ALL) for name, results in names.items()}, against)
        for metric, title in titles.items()
    ]


def compare_with_paper(results: Results, space: Space) -> Table:
    """Compare strategies with the paper's Table 1: three rows each (ours, the paper's, the difference)."""
    columns = ("method", "source", *(f"{SHORT[metric]}@{results.k}" for metric in METRICS))
    rows: list[tuple[str, ...]] = []
    for name in results.strategies:
        ours = {key: results.get(name, key).mean for key in FIGURES}
        rows.append((TITLES.get(name, name), "ours", *_write_deviations(ours)))
        if minus := subtract_paper(results, name, space):
            rows.append((f"  {name}", "paper", *_write_deviations(TABLE[space][name])))
            rows.append(("", "difference", *(write_signed(points, 2) for points in minus.values())))
    title = f"{results.dataset}: Table 1 of the paper ({space}), in %, ± deviation over random fifths of the users"
    return Table(title, [dict(zip(columns, row, strict=True)) for row in rows], TITLES[REFERENCE])


def _write_deviations(row: PaperRow) -> list[str]:
    """Format the mean of each metric, with its deviation where there is one."""
    spreads = {metric: row[f"{metric}_deviation"] for metric in METRICS}
    return [f"{row[at]:.2f}" + ("" if spread is None else f" ± {spread:.2f}") for at, spread in spreads.items()]


def compare_policies(results: ReplayResults) -> Table:
    """Compare policies, most hits first: in all, and by what was initially known about the users."""
    rows = [
        {
            "policy": row["policy"],
            "total": write_cell("{:.1f}".format, row["hits"], *row["hits_ci"]),
            f"/ {results.against}": write_cell("{:.2f}".format, row["ratio"], *row["ratio_ci"]),
            "round 1": f"{row['hits_by_round'][0]:.2f}",
            "last round": f"{row['hits_by_round'][-1]:.2f}",
            **{f"{known} ({found['n_users']:,})": f"{found['hits']:.1f}" for known, found in row["by_known"].items()},
        }
        for row in results.rows
    ]
    title = f"{results.dataset}: items used among those shown, mean per user"
    return Table(title, rows, results.against)
