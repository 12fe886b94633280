"""Comparison tables of the terminal, reports and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from firstday.artifact.trained_model import TrainedModel
from firstday.evaluation.paper_figures import TABLE, PaperRow, Space, in_paper_order, subtract_paper, title_of
from firstday.evaluation.replay import ReplayResults
from firstday.evaluation.results import HEAD_METRICS, MINUS, RATIO, ROUTE, Results, best_on_all, mean_fit_seconds
from firstday.evaluation.slices import (
    ALL,
    FRIENDS_ONLY,
    MIN_USERS,
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
"""Text, followed by small print: a note, or the bounds of an interval."""
MOST_OF_ALL = 95.0
"""Minimum share of users, in %, for a route to be named next to its strategy."""
SHORT = {"precision": "P", "recall": "R", "ndcg": "NDCG"}
NOTHING: Cell = ("",)


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

    def write_cells(self) -> list[list[str]]:
        """Return each cell as a single line of text, with small print in brackets."""
        return [[f"{text} [{', '.join(small)}]" if small else text for text, *small in row] for row in self.rows]


def write_signed(value: float, digits: int = 1) -> str:
    """Format a number with an explicit sign (a true minus sign), or none if it rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def write_mean(value: Any, digits: int = 1, *, is_signed: bool = False) -> Cell:
    """Format the mean and bounds of a `Figure` or an `Interval`; an empty cell for None."""
    if value is None:
        return NOTHING
    numbers = [number for number in (value.mean, value.low, value.high) if number is not None]
    return tuple(write_signed(number, digits) if is_signed else f"{number:.{digits}f}" for number in numbers)


def write_share(percent: float) -> str:
    """Format a share as a whole percentage; 0 % and 100 % are exact."""
    text = "<1" if 0 < percent < 1 else ">99" if 99 < percent < 100 else f"{percent:.0f}"
    return f"{text}\N{NO-BREAK SPACE}%"


def _tabulate(results: Results, title: str, write_row: Callable[[str], Mapping[str, Cell]], *words: str) -> Table:
    """Build a table with one row per strategy, best first, given a function from its name to cells by heading."""
    rows = [{"strategy": (name,), **write_row(name)} for name in results.best_first]
    return Table(title, tuple(rows[0]), tuple(tuple(row.values()) for row in rows), results.leader, words)


def _cell(results: Results, name: str, metric: str, of_slice: str = ALL, digits: int = 1) -> Cell:
    """Format one metric of a strategy."""
    return write_mean(results.find(name, metric, of_slice), digits, is_signed=metric.startswith(MINUS))


def compare_strategies(results: Results, against: str = REFERENCE, *, narrow: bool = False) -> Table:
    """Compare precision, recall and NDCG, also at 10; a narrow table has fewer figures."""
    headings = {"precision": f"P@{results.k}", "recall": f"R@{results.k}", "ndcg": f"NDCG@{results.k}"}
    if results.has_head:
        headings = dict(zip(HEAD_METRICS, (f"P@{HEAD}", f"NDCG@{HEAD}"), strict=True)) | headings
    if narrow:
        del headings["recall"]
    difference = f"{MINUS}{against}"
    if against in results.strategies:
        headings[difference] = f"P@{results.k} - {against}'s"

    def write_row(name: str) -> dict[str, Cell]:
        cells = {metric: _cell(results, name, metric) for metric in headings}
        routes = sorted(results.split_metric(name, ROUTE).items(), key=lambda route: -route[1].mean)
        if narrow:
            other = [f"= {route}" for route, share in routes if route != name and share.mean >= MOST_OF_ALL]
            cells = {metric: cells[metric][: 3 if metric in ("precision", difference) else 1] for metric in cells}
            return {"strategy": (name, *other)} | {headings[metric]: cell for metric, cell in cells.items()}
        answered = ", ".join(f"{route} {write_share(share.mean)}" for route, share in routes)
        return {headings[metric]: cell for metric, cell in cells.items()} | {"answered by": (answered,)}

    title = f"{results.dataset}: means over cold users in %, with 95 % intervals over {results.units}"
    return _tabulate(results, title, write_row, "answered by")


def compare_sizes(results: Results, metric: str = "precision", *, narrow: bool = False) -> Table:
    """Compare strategies by items used on day one, and for users with a profile alone."""
    slices = {f"{size} ({n:,})": size_slice(size) for size, n in results.sizes().items()}
    for title, name in (("profile only", NOTHING_DONE), ("friends only", FRIENDS_ONLY)):
        if figure := results.find(results.leader, metric, name):
            slices[f"{title} ({figure.n:,})"] = name
    return _tabulate(
        results,
        f"P@{results.k if metric == 'precision' else HEAD} by items used on day one (users), in %",
        lambda name: {
            title: _cell(results, name, metric, of_slice)[: 1 if narrow else 3] for title, of_slice in slices.items()
        },
    )


def describe_lists(results: Results, against: str = REFERENCE) -> Table:
    """Summarise coverage, novelty and run time."""
    has_ratio = any(results.find(name, f"{RATIO}{against}") for name in results.strategies)
    fitted = {name: (f"{mean_fit_seconds(tunings):.2f}",) for name, tunings in results.tunings.items()}

    def write_row(name: str) -> dict[str, Cell]:
        return {
            **({f"P / P of {against}": _cell(results, name, f"{RATIO}{against}", digits=2)} if has_ratio else {}),
            "users": _cell(results, name, "user_coverage"),
            "items": _cell(results, name, "catalogue_coverage"),
            "novelty": _cell(results, name, "novelty_bits", digits=2),
            "ms a user": _cell(results, name, "ms_per_user", digits=2),
            **({"fit, s": fitted.get(name, NOTHING)} if fitted else {}),
        }

    title = (
        "Coverage of users (lists that no fallback made) and of items (in at least one list), in %; novelty, in bits"
    )
    return _tabulate(results, title, write_row)


def describe_tunings(results: Results) -> list[str]:
    """Describe the option search of each baseline that has options in one sentence."""
    return [
        f"{name}: best of {tunings[0].n_tried} combinations tried, on validation users: "
        f"{'; '.join(describe_choices(tunings))}."
        for name, tunings in results.tunings.items()
        if tunings[0].grid
    ]


def compare_groups(results: Results, column: str) -> Table:
    """Compare precision across the groups of a profile column, one table column per strategy."""
    rows = []
    for label in results.groups[column]:
        figures = [results.get(name, "precision", group_slice(column, label)) for name in results.best_first]
        note = ("too few to judge by",) if figures[0].n < MIN_USERS else ()
        rows.append(((label, *note), (f"{figures[0].n:,}",), *map(write_mean, figures)))
    return Table(f"P@{results.k} in %, with 95 % intervals", (column, "users", *results.best_first), tuple(rows))


def compare_popularity(results: Results) -> Table:
    """Compare the popularity of recommended items, by tenths of total use."""
    n_items = dict(enumerate(results.items_by_popularity, 1))
    table = _tabulate(
        results,
        f"Share of places in lists of {results.k}, in %, by tenths of all use: number of items",
        lambda name: {f"{tenth}: {n:,}": _cell(results, name, f"{TENTH}{tenth}") for tenth, n in n_items.items()},
    )
    used = (("used afterwards",), *((f"{share:.1f}",) for share in results.used_by_popularity))
    return replace(table, rows=(used, *table.rows))


def compare_datasets(all_results: Sequence[Results], against: str = REFERENCE) -> list[Table]:
    """Compare strategies on several datasets: precision, and the difference to a reference."""
    k = " or ".join(dict.fromkeys(f"{results.k}" for results in all_results))
    columns = ("strategy", *(results.dataset for results in all_results))
    titles = {
        "precision": f"Cold users, precision of lists of {k}, in %",
        f"{MINUS}{against}": f"Difference to {against}, user by user, in points",
    }
    names = best_on_all(all_results)
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
        title, paper, minus = title_of(name), TABLE[space].get(name), subtract_paper(results, name, space)
        ours = {key: results.get(name, key).mean for metric in METRICS for key in (metric, f"{metric}_deviation")}
        rows.append(((title,), ("ours",), *_write_deviations(ours)))
        theirs = [("-",)] * len(METRICS) if paper is None else _write_deviations(paper)
        rows.append((((f"  {name}" if title != name else ""),), ("paper",), *theirs))
        if minus is not None:
            rows.append((NOTHING, ("minus",), *((f"{points:+.2f}",) for points in minus.values())))
    columns = ("method", "whose", *(f"{SHORT[metric]}@{results.k}" for metric in METRICS))
    title = f"{results.dataset}: the paper's Table 1 ({space}), in %, ± the deviation over random fifths of the users"
    return Table(title, columns, tuple(rows), title_of(REFERENCE))


def _write_deviations(row: PaperRow) -> list[Cell]:
    """Format the mean of each metric, with its deviation where there is one."""
    spreads = {metric: row[f"{metric}_deviation"] for metric in METRICS}
    return [(f"{row[at]:.2f}" + ("" if spread is None else f" ± {spread:.2f}"),) for at, spread in spreads.items()]


def compare_policies(results: ReplayResults) -> Table:
    """Compare policies, most hits first."""
    rounds = dict.fromkeys([1, results.settings.rounds])
    rows = [
        (
            (name,),
            write_mean(results.sum_up(name)),
            write_mean(results.compare(name), 2),
            *((f"{results.hits[name][:, number - 1].mean():.2f}",) for number in rounds),
        )
        for name in results.best_first
    ]
    columns = ("policy", "in all", f"/ {results.against}", *(f"round {number}" for number in rounds))
    title = f"{results.dataset}: items used of what was shown, mean of a user"
    return Table(title, columns, tuple(rows), results.against)


def compare_by_knowledge(results: ReplayResults) -> Table:
    """Compare policies by what was initially known about the users."""
    by_class = {known: results.of_class(known) for known in results.classes}
    rows = [
        ((name,), *(write_mean(part.sum_up(name))[:1] for part in by_class.values())) for name in results.best_first
    ]
    columns = ("policy", *by_class)
    return Table("The same in all, by what was known at first", columns, tuple(rows), results.against)


def compare_classes(model: TrainedModel) -> Table:
    """Compare the strategy that `auto` uses for each class of users with `popular`."""
    rows = [
        (
            (row["known"],),
            (row["strategy"],),
            *(
                (f"{row['precision'][name]:.1f}" if name in row["precision"] else "",)
                for name in (row["strategy"], "popular")
            ),
            (users,),
        )
        for row, users in tabulate_selection(model)
    ]
    words = ("known", "answered by", "judged on")
    columns = ("known", "answered by", "P, %", "of popular", "judged on")
    return Table("auto, by what is known of a user", columns, tuple(rows), words=words)
