"""Plots of all reports, each a single ``<svg>`` element in the page's colours; output is deterministic.

All raise `MissingExtraError` if Matplotlib is not installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstday.cold.cold_model import Epoch
from firstday.errors import needs_extra
from firstday.evaluation.slices import BASELINE, REFERENCE, group_slice, size_slice
from firstday.metrics import bootstrap_means

if TYPE_CHECKING:  # they draw themselves in notebooks
    from firstday.evaluation.replay import ReplayResults
    from firstday.evaluation.results import Results

THEME = {
    "--ink": ("#1b1f24", "#e8eaed"),
    "--muted": ("#59636e", "#a3acb8"),
    "--line": ("#d5d9df", "#353c46"),
    "--accent": ("#0068a8", "#63b7f2"),
    "--series-1": ("#c65300", "#ff8f45"),
    "--series-2": ("#00825f", "#2fc79a"),
    "--series-3": ("#b04488", "#ee9fce"),
    "--series-4": ("#957000", "#e8c520"),
    "--series-5": ("#66707c", "#a9b2bd"),
    "--series-6": ("#5a46b8", "#b5a8ff"),
    "--series-7": ("#8a4b20", "#d9a77c"),
}
"""CSS variable -> its colours in light and dark mode.

Hues are from the colour-blind-safe palette of Okabe and Ito; lightness is chosen for contrast with the page.
"""
INK, MUTED, LINE, ACCENT, *SERIES = (light for light, _ in THEME.values())
MARKERS = ("s", "^", "D", "v", "P", "X", "p", "<", ">", "*", "h")
STYLE = Path(__file__).with_name("report.mplstyle")
WIDTH_IN = 5.2
"""Figure width in inches: narrow, so that text stays readable when a phone scales the figure down."""


@contextmanager
def drawing(name: str, height_in: float) -> Iterator[tuple[Any, list[str]]]:
    """Yield a figure and a list; on exit, the figure's SVG is appended to the list."""
    with needs_extra("the report", "train"):
        from matplotlib import style
        from matplotlib.figure import Figure
    with style.context(STYLE, after_reset=True), warnings.catch_warnings():
        # Text is measured in Matplotlib's font, which lacks many scripts that the reader's font has.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure, out, text = Figure(figsize=(WIDTH_IN, height_in), layout="constrained"), list[str](), StringIO()
        yield figure, out
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for reference in ('id="', 'href="#', "url(#"):  # several plots share a page
        svg = svg.replace(reference, f"{reference}{name}-")
    for variable, (light, _) in THEME.items():
        svg = svg.replace(light, f"var({variable}, {light})")
    out.append(svg)


def theme_css(dark: bool) -> str:
    """Return the CSS variables of light or dark mode."""
    return " ".join(f"{variable}: {colours[dark]};" for variable, colours in THEME.items())


def standalone(svg: str) -> str:
    """Return an SVG element as a standalone file that follows the viewer's light or dark mode."""
    style = f"<style>@media (prefers-color-scheme: dark) {{ svg {{ {theme_css(dark=True)} }} }}</style>"
    return svg.replace(">", f">{style}", 1)


def draw_rows(
    axes: Any, rows: Sequence[float] | np.ndarray, values: Sequence[Any], color: str, size: float = 7, **label: str
) -> None:
    """Draw dots with horizontal intervals, given values with `mean`, `low` and `high`."""
    axes.hlines(rows, [value.low for value in values], [value.high for value in values], color=color, lw=2, alpha=0.5)
    axes.plot([value.mean for value in values], rows, "o", color=color, ms=size, **label)


def name_rows(axes: Any, names: Sequence[str], accented: Sequence[bool]) -> None:
    """Label the rows of a plot from top to bottom, with some labels highlighted."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    for label, is_accented in zip(axes.get_yticklabels(), accented, strict=True):
        if is_accented:
            label.set(color=ACCENT, weight="bold")
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x")


def draw_lines(
    figure: Any, lines: Mapping[str, Sequence[tuple[float, Any]]], accented: str, legend: Mapping[str, str]
) -> Any:
    """Draw one line per name with vertical intervals, and return the axes.

    Parameters
    ----------
    figure
        Of `drawing`.
    lines
        By name: pairs of position and value, which has `mean`, `low` and `high`.
    accented
        Name of the highlighted line.
    legend
        Labels that replace names in the legend.
    """
    axes = figure.add_subplot()
    for number, (name, points) in enumerate(lines.items()):
        is_accented = name == accented
        color = ACCENT if is_accented else SERIES[number % len(SERIES)]
        shift = min(0.045, 0.4 / len(lines)) * (number - (len(lines) - 1) / 2)
        places = [place + shift for place, _ in points]
        axes.vlines(places, [at.low for _, at in points], [at.high for _, at in points], color=color, lw=1.1, alpha=0.4)
        axes.plot(
            places,
            [value.mean for _, value in points],
            marker="o" if is_accented else MARKERS[number % len(MARKERS)],
            color=color,
            lw=2.6 if is_accented else 1.3,
            ms=7 if is_accented else 5,
            zorder=5 if is_accented else 3,
            label=legend.get(name, name),
        )
    axes.grid(axis="y")
    figure.legend(loc="outside right upper")
    return axes


def plot_strategies(results: Results) -> str:
    """Draw precision by strategy, best first, with 95 % intervals."""
    figures = [results.get(name, "precision") for name in results.best_first]
    with drawing("strategies", 0.62 + 0.27 * len(figures)) as (figure, out):
        axes = figure.add_subplot()
        is_leader = [value.strategy == results.leader for value in figures]
        for row, (value, accented) in enumerate(zip(figures, is_leader, strict=True)):
            color = ACCENT if accented else MUTED
            draw_rows(axes, [row], [value], color, 9 if accented else 7)
            axes.annotate(
                f"{value.mean:.1f}", (value.high, row), (6, 0), textcoords="offset points", va="center", color=color
            )
        name_rows(axes, results.best_first, is_leader)
        axes.margins(x=0.1)
        axes.set_xlabel(f"P@{results.k}, %")
    return out[0]


SIZE_NAMES = {"0": "0", "1-3": "1 to 3", "4-9": "4 to 9", "10+": "10 and more"}
MOST_LINES = 8
"""Maximum number of strategies in the plot by day-one size; more are hard to tell apart."""


def drawn_by_size(results: Results) -> list[str]:
    """Return the strategies plotted by day-one size, best first: leader, reference, baseline and the best others."""
    first = {results.leader, REFERENCE, BASELINE}.intersection(results.strategies)
    others = [name for name in results.best_first if name not in first]
    drawn = first.union(others[: MOST_LINES - len(first)])
    return [name for name in results.best_first if name in drawn]


def plot_day_one_sizes(results: Results) -> str:
    """Draw precision by day-one size, one line per strategy, with 95 % intervals.

    Classes without users are omitted, and so are all but the best `MOST_LINES` strategies.
    """
    sizes = results.sizes()
    lines = {
        name: [(place, results.get(name, "precision", size_slice(size))) for place, size in enumerate(sizes)]
        for name in drawn_by_size(results)
    }
    with drawing("day-one", 3.4) as (figure, out):
        axes = draw_lines(figure, lines, results.leader, {})
        axes.set_xticks(range(len(sizes)), [f"{SIZE_NAMES[size]}\n{n:,} users" for size, n in sizes.items()])
        axes.set_xlabel("items used on day one")
        axes.set_ylabel(f"P@{results.k}, %")
    return out[0]


def plot_replay(results: ReplayResults) -> str:
    """Draw the hits of each round, one line per policy, with 95 % intervals and total hits in the legend."""
    lines = {
        name: list(enumerate(bootstrap_means(results.hits[name].astype(np.float64), results.users), 1))
        for name in results.best_first
    }
    legend = {name: f"{name} {sum(value.mean for _, value in points):.1f}" for name, points in lines.items()}
    with drawing("replay", 3.8) as (figure, out):
        axes = draw_lines(figure, lines, results.against, legend)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("round")
        axes.set_ylabel(f"items used of {results.settings.slate} shown")
    return out[0]


MOST_GROUPS = 16
"""Maximum number of groups in a plot, the largest ones; the table has all."""
MOST_LETTERS = 22


def plot_group(results: Results, column: str, number: int) -> str:
    """Draw the precision of the leader and of `popular` by group of a profile column, with 95 % intervals.

    Parameters
    ----------
    results
        The results.
    column
        The profile column.
    number
        Makes the element ids unique on the page.
    """
    leader = results.leader
    labels = results.groups[column]
    users = {label: results.get(leader, "precision", group_slice(column, label)).n for label in labels}
    largest = sorted(labels, key=lambda label: -users[label])[:MOST_GROUPS]
    shown = [label for label in labels if label in largest]
    with drawing(f"group-{number}", 1.05 + 0.34 * len(shown)) as (figure, out):
        axes = figure.add_subplot()
        for name in [leader] + [name for name in results.strategies if name == BASELINE != leader]:
            values = [results.get(name, "precision", group_slice(column, label)) for label in shown]
            color, shift = (ACCENT, -0.14) if name == leader else (MUTED, 0.14)
            draw_rows(axes, np.arange(len(shown)) + shift, values, color, label=name)
        overall = results.get(leader, "precision").mean
        axes.axvline(overall, color=ACCENT, lw=1, ls=(0, (4, 3)), label=f"{leader}, all users")
        name_rows(axes, [f"{_shorten(label)} ({users[label]:,} users)" for label in shown], [False] * len(shown))
        axes.set_xlabel(f"P@{results.k}, %")
        figure.legend(loc="outside upper left", ncols=3)
    return out[0]


def _shorten(label: str) -> str:
    """Truncate a long label."""
    return label if len(label) <= MOST_LETTERS else label[: MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def plot_training(history: Sequence[Epoch], k: int) -> str | None:
    """Draw loss and validation precision by epoch, and mark the selected epoch; None without epochs.

    Parameters
    ----------
    history
        Training history of a `ColdModel`.
    k
        List length of the validation precision.
    """
    if not history:
        return None
    measured = [epoch for epoch in history if epoch.precision is not None]
    with drawing("training", 3.6 if measured else 2.2) as (figure, out):
        panels = figure.subplots(2 if measured else 1, 1, sharex=True, squeeze=False)[:, 0]
        panels[0].plot([epoch.number for epoch in history], [epoch.loss for epoch in history], color=INK)
        panels[0].set_ylabel("training loss")
        panels[0].set_ylim(bottom=0)
        if measured:
            panels[1].plot([epoch.number for epoch in measured], [epoch.precision for epoch in measured], color=ACCENT)
            for epoch in measured:
                if epoch.kept:
                    panels[1].plot(epoch.number, epoch.precision, "o", color=ACCENT)
                    panels[1].set_title(f"kept: epoch {epoch.number}, {epoch.precision:.1f} %")
            panels[1].set_ylabel(f"validation\nP@{k}, %")
        for panel in panels:
            panel.grid(axis="y")
        panels[-1].locator_params(axis="x", integer=True)
        panels[-1].set_xlabel("epoch")
    return out[0]
