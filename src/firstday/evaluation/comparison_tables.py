"""Comparison tables of the terminal, reports and notebooks."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from firstday.artifact.trained_model import TrainedModel
from firstday.evaluation.paper_figures import TABLE, PaperRow, Space, in_paper_order, subtract_paper, title_of
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

Cell = tuple[str, ...]
"""Text, followed by small print: the bounds of an interval."""
SHORT = {"precision": "P", "recall": "R", "ndcg": "NDCG"}
NOTHING: Cell = ("",)
ANSWERED_BY = "answered by"


@dataclass(frozen=True)
class Table:
    """A captioned table of text cells.

    Parameters
    ----------
    title
        Caption.
    columns
        Column headings.
    rows
        Cells of each row; the first cell is the row heading.
    accented
        Heading of the highlighted row.
    words
        Headings of left-aligned columns, which hold text.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    accented: str = ""
    words: tuple[str, ...] = ()

    def select(self, *columns: str) -> Table:
        """Return the table with the given columns."""
        places = [self.columns.index(column) for column in columns]
        return replace(self, columns=columns, rows=tuple(tuple(row[place] for place in places) for row in self.rows))

    def write_cells(self, intervals: Container[str] | None = None) -> list[list[str]]:
        """Return each cell as a line of text; `intervals` are the columns with small print (all if None)."""
        return [
            [
                f"{text} [{', '.join(small)}]" if small and (intervals is None or column in intervals) else text
                for column, (text, *small) in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]


def write_signed(value: float, digits: int = 1) -> str:
    """Format a number with an explicit sign (a true minus sign), or none if it rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def _cell(results: Results, name: str, metric: str, of_slice: str = ALL) -> Cell:
    """Format a figure and its bounds; differences are signed, figures that are not in % have two digits."""
    figure = results.find(name, metric, of_slice)
    if figure is None:
        return NOTHING
    digits = 2 if metric.startswith((RATIO, "novelty", "ms")) else 1
    numbers = [number for number in (figure.mean, figure.low, figure.high) if number is not None]
    if metric.startswith(MINUS):
        return tuple(map(write_signed, numbers))
    return _write(numbers, digits)


def _write(numbers: Sequence[float], digits: int) -> Cell:
    return tuple(f"{number:.{digits}f}" for number in numbers)


def pivot(results: Results, title: str, columns: Mapping[str, tuple[str, str]]) -> Table:
    """Tabulate the figures with the given metric and slice by heading, strategies best first; omit empty columns."""
    cells: dict[str, list[Cell]] = {"strategy": [(name,) for name in results.best_first]}
    cells |= {heading: [_cell(results, name, *key) for name in results.best_first] for heading, key in columns.items()}
    cells = {heading: column for heading, column in cells.items() if any(cell != NOTHING for cell in column)}
    return Table(title, tuple(cells), tuple(zip(*cells.values(), strict=True)), results.leader)


def compare_strategies(results: Results, against: str = REFERENCE) -> Table:
    """Compare precision, recall and NDCG, also at 10."""
    heads = dict(zip((f"P@{HEAD}", f"NDCG@{HEAD}"), HEAD_METRICS, strict=True))
    metrics = {f"{SHORT[metric]}@{results.k}": metric for metric in METRICS}
    difference = {f"P@{results.k} minus {against}": f"{MINUS}{against}"}
    title = f"{results.dataset}: means over cold users, in %"
    return pivot(results, title, {heading: (key, ALL) for heading, key in (heads | metrics | difference).items()})


def _compare_slices(results: Results, title: str, slices: Mapping[str, str], metric: str = "precision") -> Table:
    """Compare strategies across slices, given by heading; slices without users are omitted."""
    figures = {label: results.find(results.leader, metric, of_slice) for label, of_slice in slices.items()}
    columns = {f"{label} ({figure.n:,})": (metric, figure.slice) for label, figure in figures.items() if figure}
    return pivot(results, title, columns)


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
    table = pivot(results, title, {heading: (metric, ALL) for heading, metric in metrics.items()})
    rows = [(*row, (_write_routes(results, row[0][0]),)) for row in table.rows]
    return replace(table, columns=(*table.columns, ANSWERED_BY), rows=tuple(rows), words=(ANSWERED_BY,))


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
    columns = {f"{at}: {n:,}": (f"{TENTH}{at}", ALL) for at, n in enumerate(results.items_by_popularity, 1)}
    table = pivot(results, f"Share of list entries at {results.k}, in %, by tenth of use: number of items", columns)
    used = (("used after day one",), *((f"{share:.1f}",) for share in results.used_by_popularity))
    return replace(table, rows=(used, *table.rows))


def compare_datasets(all_results: Sequence[Results], against: str = REFERENCE) -> list[Table]:
    """Compare strategies on several datasets: precision, and the difference to a reference."""
    k = " or ".join(dict.fromkeys(f"{results.k}" for results in all_results))
    titles = {
        "precision": f"P@{k} for cold users, in %",
        f"{MINUS}{against}": f"Difference to {against}, paired by user, in points",
    }
    names = dict.fromkeys(name for results in all_results for name in results.best_first)
    columns = ("strategy", *(results.dataset for results in all_results))
    return [
        Table(
            title,
            columns,
            tuple(((name,), *(_cell(results, name, metric) for results in all_results)) for name in names),
            against,
        )
        for metric, title in titles.items()
    ]


def compare_with_paper(results: Results, space: Space) -> Table:
    """Compare strategies with the paper's Table 1: three rows each (ours, the paper's, the difference)."""
    rows: list[tuple[Cell, ...]] = []
    for name in in_paper_order(results.strategies):
        title, minus = title_of(name), subtract_paper(results, name, space)
        ours = {key: results.get(name, key).mean for metric in METRICS for key in (metric, f"{metric}_deviation")}
        rows.append(((title,), ("ours",), *_write_deviations(ours)))
        if minus is not None:
            rows.append(((f"  {name}",), ("paper",), *_write_deviations(TABLE[space][name])))
            rows.append((NOTHING, ("difference",), *((write_signed(points, 2),) for points in minus.values())))
    columns = ("method", "source", *(f"{SHORT[metric]}@{results.k}" for metric in METRICS))
    title = f"{results.dataset}: Table 1 of the paper ({space}), in %, ± deviation over random fifths of the users"
    return Table(title, columns, tuple(rows), title_of(REFERENCE))


def _write_deviations(row: PaperRow) -> list[Cell]:
    """Format the mean of each metric, with its deviation where there is one."""
    spreads = {metric: row[f"{metric}_deviation"] for metric in METRICS}
    return [(f"{row[at]:.2f}" + ("" if spread is None else f" ± {spread:.2f}"),) for at, spread in spreads.items()]


def compare_policies(results: ReplayResults) -> Table:
    """Compare policies, most hits first."""
    rows = [
        (
            (row["policy"],),
            _write([row["hits"], *row["hits_ci"]], 1),
            _write([row["ratio"], *row["ratio_ci"]], 2),
            *(_write([row["hits_by_round"][at]], 2) for at in (0, -1)),
        )
        for row in results.rows
    ]
    columns = ("policy", "total", f"/ {results.against}", "round 1", f"round {results.settings.rounds}")
    title = f"{results.dataset}: items used among those shown, mean per user"
    return Table(title, columns, tuple(rows), results.against)


def compare_by_knowledge(results: ReplayResults) -> Table:
    """Compare policies by what was initially known about the users."""
    rows = [
        ((row["policy"],), *(_write([of_class["hits"]], 1) for of_class in row["by_known"].values()))
        for row in results.rows
    ]
    classes = (f"{name} ({of_class['n_users']:,})" for name, of_class in results.rows[0]["by_known"].items())
    title = "Total by what was known before the first round (users)"
    return Table(title, ("policy", *classes), tuple(rows), results.against)


def compare_classes(model: TrainedModel) -> Table:
    """Compare the strategy that `auto` uses for each class of users with `popular`."""
    rows = []
    for row, users in tabulate_selection(model):
        precision = [row["precision"].get(name) for name in (row["strategy"], "popular")]
        cells = (NOTHING if value is None else _write([value], 1) for value in precision)
        rows.append(((row["known"],), (row["strategy"],), *cells, (users,)))
    columns = ("known", ANSWERED_BY, "P, %", "popular, %", "validation users")
    return Table("auto, by what is known about a user", columns, tuple(rows), words=(ANSWERED_BY, "validation users"))
