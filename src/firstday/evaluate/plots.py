"""Plots of the report: strategies, day-one sizes, training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from firstday.cold.model import Epoch
from firstday.evaluate.drawing import ACCENT, INK, MUTED, SERIES, drawing, spread
from firstday.evaluate.results import BASELINE, DAY_ONE_SIZES, REFERENCE, Results, Row

MARKERS = ("s", "^", "D", "v", "P", "X", "p", "<", ">", "*", "h")
SIZE_NAMES = {"0": "0", "1-3": "1 to 3", "4+": "4 and more"}

WIDTH_IN = 5.2  # narrow, so that text is still readable where a phone scales the figure down
LABEL_GAP_PT = 12.5  # height of one line of labels
MOST_LINES = 8
"""Strategies that are drawn by day-one size, at most: more cannot be told apart."""


def plot_strategies(results: Results) -> str:
    """Draw precision by strategy, best first, with 95 % intervals.

    Parameters
    ----------
    results
        From `run_benchmark`.

    Returns
    -------
    str
        One ``<svg>`` element, the same for the same results.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    rows = by_precision(results)
    with drawing("strategies", WIDTH_IN, 0.62 + 0.27 * len(rows)) as (figure, out):
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            found, accented = row.metrics["precision"], row.strategy == REFERENCE
            colour = ACCENT if accented else MUTED
            axes.plot([found.low, found.high], [place, place], color=colour, lw=3 if accented else 1.8, alpha=0.55)
            axes.plot(found.mean, place, "o", color=colour, ms=9 if accented else 7, gid=f"mark-{row.strategy}")
            axes.annotate(
                f"{found.mean:.1f}",
                (found.high, place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center_baseline",
                color=ACCENT if accented else INK,
                weight="bold" if accented else "normal",
            )
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [row.strategy for row in rows])
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set(color=ACCENT if row.strategy == REFERENCE else INK)
            label.set_weight("bold" if row.strategy == REFERENCE else "normal")
        low, high = min(r.metrics["precision"].low for r in rows), max(r.metrics["precision"].high for r in rows)
        room = max(high - low, 1.0)
        axes.set_xlim(max(0.0, low - 0.08 * room), high + 0.18 * room)
        axes.locator_params(axis="x", nbins=8, integer=True)
        axes.set_xlabel(f"P@{results.k}, %")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    return out[0]


def plot_day_one_sizes(results: Results) -> str:
    """Draw precision by day-one size, one line a strategy, with 95 % intervals and labels at the lines' ends.

    Where there are more than `MOST_LINES` strategies, the reference, the baseline and the best others are drawn.

    Parameters
    ----------
    results
        From `run_benchmark`; classes without users are left out.

    Returns
    -------
    str
        One ``<svg>`` element.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    sizes = used_sizes(results)
    rows = drawn_by_size(results)
    with drawing("day-one", WIDTH_IN, max(3.3, 1.0 + 0.24 * len(rows))) as (figure, out):
        axes = figure.add_subplot()
        ends: list[tuple[float, float, str, str]] = []
        for row in rows:
            colour, marker = _style(row, rows, results)
            accented = row.strategy == REFERENCE
            points = [(at, row.by_day_one_size[size]) for at, size in enumerate(sizes) if size in row.by_day_one_size]
            if not points:
                continue
            xs = [at + _shift(row, rows) for at, _ in points]  # beside each other, or intervals would hide each other
            means = [found.mean for _, found in points]
            over = 5 if accented else 3
            for x, (_, found) in zip(xs, points, strict=True):
                axes.plot([x, x], [found.low, found.high], color=colour, lw=1.1, alpha=0.4, zorder=over - 1)
            axes.plot(
                xs,
                means,
                marker=marker,
                color=colour,
                lw=2.6 if accented else 1.3,
                ms=7 if accented else 5,
                zorder=over,
                gid=f"mark-{row.strategy}",
            )
            ends.append((xs[-1], means[-1], row.strategy, colour))
        counts = {size: n for row in rows for size, n in row.n_by_day_one_size.items()}
        axes.set_xticks(range(len(sizes)), [f"{SIZE_NAMES.get(s, s)}\n{counts[s]:,} users" for s in sizes])
        axes.set_xlim(-0.3, len(sizes) - 0.7)
        axes.set_xlabel("items used on day one")
        axes.set_ylabel(f"P@{results.k}, %")
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        _label_ends(figure, axes, ends)
    return out[0]


def plot_training(history: Sequence[Epoch], k: int | None = None) -> str | None:
    """Draw loss and validation precision over epochs, and mark the epoch whose network was kept.

    Parameters
    ----------
    history
        From a `ColdModel`.
    k
        Length of the lists that precision is of, for the label.

    Returns
    -------
    str or None
        One ``<svg>`` element; None where there is no history.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    if not history:
        return None
    measured = [(epoch.number, epoch.precision) for epoch in history if epoch.precision is not None]
    with drawing("training", WIDTH_IN, 3.6 if measured else 2.2) as (figure, out):
        panels = figure.subplots(2 if measured else 1, 1, sharex=True, squeeze=False)[:, 0]
        panels[0].plot([e.number for e in history], [e.loss for e in history], color=INK, lw=1.5, gid="mark-loss")
        panels[0].set_ylabel("training loss")
        panels[0].set_ylim(bottom=0)
        if measured:
            panels[1].plot(*zip(*measured, strict=True), color=ACCENT, lw=1.8, gid="mark-validation")
            for number, precision in ((e.number, e.precision) for e in history if e.kept and e.precision is not None):
                panels[1].plot(number, precision, "o", color=ACCENT, ms=7)
                late = number > (history[0].number + history[-1].number) / 2
                panels[1].annotate(
                    f"kept: epoch {number}, {precision:.1f} %",
                    (number, precision),
                    xytext=(5 if late else -5, 8),
                    textcoords="offset points",
                    ha="right" if late else "left",
                    color=ACCENT,
                )
            panels[1].set_ylabel(f"validation\n{'precision' if k is None else f'P@{k}'}, %")
            panels[1].margins(y=0.25)
        for panel in panels:
            panel.grid(axis="y")
            panel.locator_params(axis="y", nbins=5)
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        panels[-1].set_xlabel("epoch")
        figure.align_ylabels()
    return out[0]


def by_precision(results: Results) -> list[Row]:
    """Return the rows, best precision first, ties in the order of the results."""
    return sorted(results.rows, key=lambda row: -row.metrics["precision"].mean)


def drawn_by_size(results: Results) -> list[Row]:
    """Return the rows that are drawn by day-one size, best precision first."""
    rows = by_precision(results)
    others = [row for row in rows if row.strategy not in (REFERENCE, BASELINE)]
    left_out = others[MOST_LINES - (len(rows) - len(others)) :]
    return [row for row in rows if row not in left_out]


def used_sizes(results: Results) -> list[str]:
    """Return the classes of day-one size that have users, smallest first."""
    return [size for size in DAY_ONE_SIZES if any(size in row.by_day_one_size for row in results.rows)]


def _style(row: Row, drawn: Sequence[Row], results: Results) -> tuple[str, str]:
    """Return a strategy's colour and marker, by its place among those drawn in the order of the results."""
    if row.strategy == REFERENCE:
        return ACCENT, "o"
    number = [other for other in results.rows if other in drawn and other.strategy != REFERENCE].index(row)
    return SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]


def _shift(row: Row, rows: Sequence[Row]) -> float:
    """Return how far beside the tick a strategy stands."""
    return min(0.045, 0.4 / len(rows)) * (rows.index(row) - (len(rows) - 1) / 2)


def _label_ends(figure: Any, axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each line's name right of the axes, moved apart where names would overlap, joined to its end."""
    axes.set_ylim(axes.get_ylim())
    figure.canvas.draw()  # settles the layout, in which distances are measured
    points_per_unit = (axes.transData.transform((0, 1)) - axes.transData.transform((0, 0)))[1] * 72 / figure.dpi
    places = spread([mean for _, mean, _, _ in ends], LABEL_GAP_PT / points_per_unit)
    for (x, mean, name, colour), place in zip(ends, places, strict=True):
        axes.annotate(
            name,
            (x, mean),
            xytext=(1.05, place),
            textcoords=("axes fraction", "data"),
            va="center_baseline",
            color=colour,
            weight="bold" if name == REFERENCE else "normal",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.7,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )
