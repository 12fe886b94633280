"""Results as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from firstday.artifact.trained_model import TrainedModel
from firstday.evaluation.paper_figures import TABLE, in_paper_order, subtract_paper, title_of
from firstday.evaluation.replay import ReplayResults
from firstday.evaluation.results import (
    HEAD_METRICS,
    MINUS,
    RATIO,
    ROUTE,
    UNKNOWN_VECTORS,
    Figure,
    Results,
    best_on_all,
    mean_fit_seconds,
)
from firstday.evaluation.slices import FRIENDS_ONLY, NOTHING_DONE, REFERENCE, size_slice
from firstday.metrics import HEAD, METRICS
from firstday.recommend.auto import tabulate_selection
from firstday.reproduce.table import Reproduction
from firstday.training.option_search import describe_choices

MOST_OF_ALL = 95.0
"""Share of the users, in %, from which on a row is said to be another strategy's."""


def print_results(results: Results, console: Console, against: str = REFERENCE) -> None:
    """Print strategies side by side, best precision first, and how to read them.

    Parameters
    ----------
    results
        What to print.
    console
        Where to print.
    against
        The strategy with which the others are compared, one of those that the evaluation was asked for.
    """
    _print_metrics(results, console, against)
    _print_slices(results, console, against)
    _print_lists(results, console, against)
    for name, tunings in results.tunings.items():
        if not tunings[0].grid:  # as published, nothing was tried
            continue
        chosen = "; ".join(describe_choices(tunings))
        n_tried = tunings[0].n_tried
        _print_line(console, f"{name}: best of {n_tried} combinations tried, on validation users: {chosen}.")
    rule = (
        f"hits / min({results.k}, relevant), as in the paper" if results.divide_by == "min" else f"hits / {results.k}"
    )
    _print_line(
        console,
        f"{results.describe_users()} Precision is {rule}. Brackets: 95 % interval over {results.units}; differences "
        "are user by user.",
    )
    if results.precomputed:
        _print_line(console, UNKNOWN_VECTORS)


def print_datasets(all_results: Sequence[Results], console: Console, against: str = REFERENCE) -> None:
    """Print strategies side by side on several datasets: a row for each strategy, a column for each dataset."""
    names = best_on_all(all_results)
    k = " or ".join(dict.fromkeys(f"{results.k}" for results in all_results))
    columns = [results.dataset for results in all_results]
    for title, metric, form in (
        (f"Cold users, precision of lists of {k}, in %", "precision", ".1f"),
        (f"Difference to {against}, user by user, in points", f"{MINUS}{against}", "+.1f"),
    ):
        table = _table(title, columns)
        for name in names:
            cells = [_with_interval(results.find(name, metric), form) for results in all_results]
            table.add_row(name, *cells, style=_style(name, against))
        console.print(table)
    for results in all_results:
        _print_line(console, f"{results.dataset}: {results.describe_users()} Lists of {results.k}.")
    _print_line(console, "Brackets: 95 % interval. Recall, NDCG, groups and more: --json and --report.")


def print_replay(results: ReplayResults, console: Console) -> None:
    """Print policies side by side, most hits first, and how to read them."""
    settings, classes = results.settings, results.classes
    rounds = dict.fromkeys([1, settings.rounds])
    table = _table(
        f"{results.dataset}: items used of what was shown, mean of a user",
        ("in all", f"/ {results.against}", *(f"round {number}" for number in rounds)),
        "policy",
    )
    by_class = _table("The same in all, by what was known at first", tuple(classes), "policy")
    for name in results.best_first:
        by_round, total, ratio = results.hits[name].mean(axis=0), results.sum_up(name), results.compare(name)
        cells = [
            f"{total.mean:.1f} \\[{total.low:.1f}, {total.high:.1f}]",
            f"{ratio.mean:.2f} \\[{ratio.low:.2f}, {ratio.high:.2f}]",
            *(f"{by_round[number - 1]:.2f}" for number in rounds),
        ]
        style = _style(name, results.against)
        table.add_row(name, *cells, style=style)
        by_class.add_row(name, *(f"{results.sum_up(name, known).mean:.1f}" for known in classes), style=style)
    console.print(table)
    console.print(by_class)
    sees = "all of it" if settings.visible is None else f"{settings.visible} places, and each further one with"
    sees += "" if settings.visible is None else f" the probability {settings.persistence:g}"
    late = f" News of what was used comes {settings.delay} round(s) late." if settings.delay else ""
    counts = ", ".join(f"{name} {n:,}" for name, n in classes.items())
    _print_line(
        console,
        f"{settings.rounds} round(s) of {settings.slate} items, of which a user sees {sees}.{late} "
        f"{len(results.users):,} users of {len(results.seeds)} seed(s); by what was known: {counts}. "
        "Brackets: 95 % interval over users.",
    )


def selection_table(model: TrainedModel) -> Table:
    """Return what `auto` answers each class of users by, and what that rests on."""
    table = Table(box=box.SIMPLE_HEAD, title="auto, by what is known of a user", title_justify="left")
    for title in ("known", "answered by", "P, %", "of popular", "judged on"):
        table.add_column(title, justify="left" if title in ("known", "answered by", "judged on") else "right")
    for row, users in tabulate_selection(model):
        precision = row["precision"]
        figures = (precision.get(name) for name in (row["strategy"], "popular"))
        cells = ["" if figure is None else f"{figure:.1f}" for figure in figures]
        table.add_row(row["known"], row["strategy"], *cells, users)
    return table


def _print_metrics(results: Results, console: Console, against: str) -> None:
    """Print precision and NDCG, of the head of lists too, and the difference to the reference."""
    heads = [f"P@{HEAD}", f"NDCG@{HEAD}"] if results.has_head else []
    columns = (*heads, f"P@{results.k}", f"NDCG@{results.k}", f"P@{results.k} - {against}'s")
    table = _table(f"{results.dataset}: cold users, in %", columns)
    for name in results.best_first:
        cells = [
            *(f"{results.get(name, metric).mean:.1f}" for metric in (HEAD_METRICS if heads else ())),
            _with_interval(results.get(name, "precision"), ".1f"),
            f"{results.get(name, 'ndcg').mean:.1f}",
            _with_interval(results.find(name, f"{MINUS}{against}"), "+.1f"),
        ]
        table.add_row(_name_row(results, name), *cells, style=_style(name, against))
    console.print(table)
    if any(_other_route(results, name) for name in results.strategies):
        _print_line(console, "= NAME: (nearly) everybody is answered by that strategy.")


def _name_row(results: Results, name: str) -> str:
    """Name a strategy, and the one that makes (nearly) all of its lists, if that is another."""
    other = _other_route(results, name)
    return f"{name} = {other}" if other else name


def _other_route(results: Results, name: str) -> str:
    """Return the route that answers 95 % of the users or more where it is another strategy's; else ""."""
    routes = results.split_metric(name, ROUTE)
    return next((route for route, figure in routes.items() if route != name and figure.mean >= MOST_OF_ALL), "")


def _print_slices(results: Results, console: Console, against: str) -> None:
    """Print precision by what is known of the user, and time."""
    slices = {f"{size} ({n:,})": size_slice(size) for size, n in results.sizes().items()}
    titles = {"profile only": NOTHING_DONE, "friends only": FRIENDS_ONLY}
    slices |= {
        f"{title} ({figure.n:,})": name
        for title, name in titles.items()
        if (figure := results.find(results.leader, "precision", name))
    }
    metric, k = (HEAD_METRICS[0], HEAD) if results.has_head else ("precision", results.k)
    table = _table(f"P@{k} by items used on day one (users), in %", (*slices, "ms per user"))
    for name in results.best_first:
        cells = [f"{results.get(name, metric, of_slice).mean:.1f}" for of_slice in slices.values()]
        cells.append(f"{results.get(name, 'ms_per_user').mean:.2f}")
        table.add_row(name, *cells, style=_style(name, against))
    console.print(table)


def _print_lists(results: Results, console: Console, against: str) -> None:
    """Print what the lists are like, and how long fitted baselines took."""
    with_ratio = any(results.find(name, f"{RATIO}{against}") for name in results.strategies)
    columns = [f"P / P of {against}"] * with_ratio
    columns += ["users", "items", "novelty", *["fit, s"] * bool(results.tunings)]
    table = _table(
        "Coverage of users (lists that no fallback made) and of items (in at least one list), in %; novelty, in bits",
        columns,
    )
    for name in results.best_first:
        cells = [_with_interval(results.find(name, f"{RATIO}{against}"), ".2f")] * with_ratio
        cells += [f"{results.get(name, metric).mean:.1f}" for metric in ("user_coverage", "catalogue_coverage")]
        cells += [f"{results.get(name, 'novelty_bits').mean:.2f}"]
        if results.tunings:
            tunings = results.tunings.get(name)
            cells.append(f"{mean_fit_seconds(tunings):.2f}" if tunings else "")
        table.add_row(name, *cells, style=_style(name, against))
    console.print(table)


def _print_line(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False)


def _table(title: str, columns: Sequence[str], rows: str = "strategy") -> Table:
    """Make a table of strategies, or of what else stands in the rows, that fits 80 columns."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(rows, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _style(name: str, against: str) -> str | None:
    """Make the reference stand out."""
    return "bold" if name == against else None


def _with_interval(figure: Figure | None, form: str) -> str:
    """Write a mean and its interval; nothing where there is no figure."""
    return "" if figure is None else f"{figure.mean:{form}} \\[{figure.low:{form}}, {figure.high:{form}}]"


SHORT = {"precision": "P", "recall": "R", "ndcg": "NDCG"}


def print_comparison(reproduction: Reproduction, console: Console) -> None:
    """Print three lines for each strategy (our figures, the paper's, the difference), and how to read them."""
    results, summary = reproduction.results, reproduction.summary
    table = Table(
        title=f"{results.dataset}: the paper's Table 1 ({reproduction.space}), in %",
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
    for name in in_paper_order(results.strategies):
        _add_to_comparison(table, reproduction, name)
    console.print(table)
    took = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in reproduction.seconds.items())
    for line in (
        f"{results.n_warm:,} training, {summary['n_validation']:,} validation and {results.n_cold:,} test users, "
        f"{summary['items']:,} items, {len(results.seeds)} seed(s). Precision is hits / min({results.k}, "
        "relevant). ±: standard deviation over random fifths of the test users, as in the paper.",
        f"Seconds: {took}; in all {sum(reproduction.seconds.values()):.0f}.",
    ):
        _print_line(console, line)


def _add_to_comparison(table: Table, reproduction: Reproduction, name: str) -> None:
    """Add the lines of one strategy."""
    results, title = reproduction.results, title_of(name)
    keys = [(metric, f"{metric}_deviation") for metric in METRICS]
    ours = [_with_deviation(results.get(name, metric).mean, results.get(name, spread).mean) for metric, spread in keys]
    table.add_row(title, "ours", *ours, style="bold" if name == REFERENCE else None)
    below = f"  {name}" if title != name else ""
    paper, minus = TABLE[reproduction.space].get(name), subtract_paper(results, name, reproduction.space)
    if paper is None or minus is None:
        table.add_row(below, "paper", *("-" for _ in METRICS), end_section=True)
        return
    table.add_row(below, "paper", *(_with_deviation(paper[metric], paper[spread]) for metric, spread in keys))
    table.add_row("", "minus", *(f"{points:+6.2f}" for points in minus.values()), end_section=True)


def _with_deviation(mean: float | None, deviation: float | None) -> str:
    """Write a figure and what it varies by, the points under each other."""
    return f"{mean:6.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")
