"""Comparison tables of the terminal, reports and notebooks."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from firstday.artifact.trained_model import TrainedModel
from firstday.evaluation.paper_figures import FIGURES, TABLE, PaperRow, Space, subtract_paper, title_of
from firstday.evaluation.replay import ReplayResults
from firstday.evaluation.results import HEAD_METRICS, MINUS, RATIO, ROUTE, Results
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
from firstday.recommend.strategies.auto import tabulate_selection
from firstday.training.option_search import describe_choices

SHORT = {"precision": "P", "recall": "R", "ndcg": "NDCG"}
ANSWERED_BY = "answered by"


@dataclass(frozen=True)
class Table:
    """A captioned table of text.

    Parameters
    ----------
    title
        Caption.
    rows
        Cells of each row by column heading, the same headings in all rows. The first cell is the row heading. Further
        lines of a cell are small print: the bounds of an interval.
    accented
        Heading of the highlighted row.
    words
        Headings of left-aligned columns, which hold text.
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

    def split_cells(self) -> list[list[list[str]]]:
        """Return the lines of each cell by row and column."""
        return [[cell.split("\n") for cell in row.values()] for row in self.rows]

    def write_cells(self, intervals: Container[str] | None = None) -> list[list[str]]:
        """Return each cell as a line of text; `intervals` are the columns with small print (all if None)."""
        return [
            [
                f"{text} [{', '.join(small)}]" if small and (intervals is None or column in intervals) else text
                for column, (text, *small) in zip(self.columns, row, strict=True)
            ]
            for row in self.split_cells()
        ]


def write_signed(value: float, digits: int = 1) -> str:
    """Format a number with an explicit sign (a true minus sign), or none if it rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def _cell(results: Results, name: str, metric: str, of_slice: str) -> str:
    """Format a figure and its bounds; differences are signed, figures that are not in % have two digits."""
    figure = results.find(name, metric, of_slice)
    if figure is None:
        return ""
    digits = 2 if metric.startswith((RATIO, "novelty", "ms")) else 1
    numbers = [number for number in (figure.mean, figure.low, figure.high) if number is not None]
    return "\n".join(map(write_signed, numbers)) if metric.startswith(MINUS) else _write(numbers, digits)


def _write(numbers: Sequence[float], digits: int) -> str:
    return "\n".join(f"{number:.{digits}f}" for number in numbers)


def pivot(title: str, columns: Mapping[str, tuple[Results, str, str]], accented: str) -> Table:
    """Tabulate figures by heading, given results, metric and slice; strategies best first; omit empty columns."""
    names = dict.fromkeys(name for results, *_ in columns.values() for name in results.best_first)
    rows = [
        {"strategy": name, **{heading: _cell(results, name, *key) for heading, (results, *key) in columns.items()}}
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
        f"P / {against}'s": f"{RATIO}{against}",
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
    routes = sorted(results.split_metric(name, ROUTE).items(), key=lambda route: -route[1].mean)
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
    k = " or ".join(dict.fromkeys(f"{results.k}" for results in all_results))
    titles = {
        "precision": f"P@{k} for cold users, in %",
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
        rows.append((title_of(name), "ours", *_write_deviations(ours)))
        if minus := subtract_paper(results, name, space):
            rows.append((f"  {name}", "paper", *_write_deviations(TABLE[space][name])))
            rows.append(("", "difference", *(write_signed(points, 2) for points in minus.values())))
    title = f"{results.dataset}: Table 1 of the paper ({space}), in %, ± deviation over random fifths of the users"
    return Table(title, [dict(zip(columns, row, strict=True)) for row in rows], title_of(REFERENCE))


def _write_deviations(row: PaperRow) -> list[str]:
    """Format the mean of each metric, with its deviation where there is one."""
    spreads = {metric: row[f"{metric}_deviation"] for metric in METRICS}
    return [f"{row[at]:.2f}" + ("" if spread is None else f" ± {spread:.2f}") for at, spread in spreads.items()]


def compare_policies(results: ReplayResults) -> Table:
    """Compare policies, most hits first: in all, and by what was initially known about the users."""
    rows = [
        {
            "policy": row["policy"],
            "total": _write([row["hits"], *row["hits_ci"]], 1),
            f"/ {results.against}": _write([row["ratio"], *row["ratio_ci"]], 2),
            "round 1": f"{row['hits_by_round'][0]:.2f}",
            "last round": f"{row['hits_by_round'][-1]:.2f}",
            **{f"{known} ({found['n_users']:,})": f"{found['hits']:.1f}" for known, found in row["by_known"].items()},
        }
        for row in results.rows
    ]
    title = f"{results.dataset}: items used among those shown, mean per user"
    return Table(title, rows, results.against)


def compare_classes(model: TrainedModel) -> Table:
    """Compare the strategy that `auto` uses for each class of users with `popular`."""
    rows = []
    for row in tabulate_selection(model):
        precision = {name: f"{value:.1f}" for name, value in row["precision"].items()}
        rows.append(
            {
                "known": row["known"],
                ANSWERED_BY: row["strategy"],
                "P, %": precision.get(row["strategy"], ""),
                "popular, %": precision.get("popular", ""),
                "validation users": f"{row['n_users']:,} {row['users']}",
            }
        )
    return Table("auto, by what is known about a user", rows, words=(ANSWERED_BY, "validation users"))
