"""Further plots of the report: groups of users, popularity of the lists, segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from firstday.evaluate.drawing import ACCENT, INK, MUTED, drawing
from firstday.evaluate.groups import Grouping
from firstday.evaluate.plots import WIDTH_IN
from firstday.evaluate.popularity import N_PARTS, PopularityShares
from firstday.evaluate.results import BASELINE, REFERENCE, Results
from firstday.evaluate.segment_rows import SegmentRow

MOST_GROUPS = 16
"""Groups of one picture, the largest ones: the table has all."""
MOST_LETTERS = 22
CORNERS = ((0.99, "right"), (0.01, "left"))


def plot_group(grouping: Grouping, number: int, leader: str, results: Results) -> str:
    """Draw the precision of each group of one profile column, of the leader and of `popular`, with 95 % intervals.

    Parameters
    ----------
    grouping
        The groups.
    number
        Tells this picture's ids from those of others.
    leader
        The strategy that stands out.
    results
        Where the overall mean is.

    Returns
    -------
    str
        One ``<svg>`` element.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    groups = grouping.groups
    if len(groups) > MOST_GROUPS:
        kept = sorted(groups, key=lambda group: -group.n_users)[:MOST_GROUPS]
        groups = tuple(group for group in groups if group in kept)
    names = [leader] + [name for name in groups[0].precision if name == BASELINE and name != leader]
    overall = next(row.metrics["precision"].mean for row in results.rows if row.strategy == leader)
    with drawing(f"group-{number}", WIDTH_IN, 1.05 + 0.34 * len(groups)) as (figure, out):
        axes = figure.add_subplot()
        axes.axvline(overall, color=ACCENT, lw=1, ls=(0, (4, 3)), label=f"{leader}, all users")
        for place, name in enumerate(names):
            colour, marker = ((MUTED, "s"), (ACCENT, "o"))[name == leader]
            beside = 0.0 if len(names) == 1 else (-0.14, 0.14)[place]
            for at, group in enumerate(groups):
                found = group.precision[name]
                axes.plot([found.low, found.high], [at + beside] * 2, color=colour, lw=2, alpha=0.45)
                label = name if at == 0 else None
                axes.plot(found.mean, at + beside, marker, color=colour, ms=7 if name == leader else 5, label=label)
        axes.set_ylim(len(groups) - 0.4, -0.6)
        axes.set_yticks(range(len(groups)), [f"{_shorten(g.label)} ({_count(g.n_users)})" for g in groups])
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.locator_params(axis="x", nbins=8)
        axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
        axes.set_xlabel(f"P@{results.k}, %")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        handles, labels = axes.get_legend_handles_labels()
        order = sorted(range(len(labels)), key=lambda ix: (labels[ix].endswith(", all users"), ix))
        figure.legend(
            [handles[ix] for ix in order],
            [labels[ix] for ix in order],
            loc="outside upper left",
            ncols=len(order),
            frameon=False,
            handlelength=1.6,
            labelcolor=MUTED,
        )
    return out[0]


def plot_popularity(shares: PopularityShares, strategies: Sequence[str]) -> str:
    """Draw the share of list places by popularity of the items, one bar a strategy, below what users went on to use.

    Parameters
    ----------
    shares
        In ten parts, the most used items first.
    strategies
        In the order to draw.

    Returns
    -------
    str
        One ``<svg>`` element.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    bars = [("used afterwards", shares.used), *((name, shares.places[name]) for name in strategies)]
    shades = [1 - 0.94 * part / (N_PARTS - 1) for part in range(N_PARTS)]
    with drawing("popularity", WIDTH_IN, 1.15 + 0.27 * len(bars)) as (figure, out):
        axes = figure.add_subplot()
        places = [0.0, *(at + 1.35 for at in range(len(strategies)))]
        for place, (_, parts) in zip(places, bars, strict=True):
            left = 0.0
            for part, shade in zip(parts, shades, strict=True):
                _fill(axes, left, part, place, 0.7, shade)
                left += part
        for part, shade in enumerate(shades):
            _fill(axes, 34 + 3.2 * part, 3.2, -1.55, 0.5, shade)
        for x, text, side in ((32.5, "most used items", "right"), (67.5, "least used items", "left")):
            axes.text(x, -1.55, text, ha=side, va="center_baseline", color=MUTED)
        axes.set_ylim(places[-1] + 0.6, -2)
        axes.set_xlim(0, 100)
        axes.set_yticks(places, [name for name, _ in bars])
        for label, (name, _) in zip(axes.get_yticklabels(), bars, strict=True):
            label.set(color=ACCENT if name == REFERENCE else INK, style="italic" if name == bars[0][0] else "normal")
            label.set_weight("bold" if name == REFERENCE else "normal")
        axes.set_xlabel("share of what was used (first bar), of places of lists, %")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    return out[0]


def plot_segments(rows: Sequence[SegmentRow]) -> str:
    """Draw each segment as a dot: how many users it has, and how far they are from its centroid.

    Parameters
    ----------
    rows
        The segments, ten or thousands.

    Returns
    -------
    str
        One ``<svg>`` element.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    sizes, spreads = [row.n_users for row in rows], [row.spread for row in rows]
    with drawing("segments", WIDTH_IN, 3.2) as (figure, out):
        axes = figure.add_subplot()
        few = len(rows) <= 40
        axes.plot(sizes, spreads, "o", color=ACCENT, ms=8 if few else 4, alpha=0.75 if few else 0.4, mew=0, gid="dots")
        if max(sizes) > 20 * max(1, min(sizes)):
            _scale_sizes(axes, sizes)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.06)
        axes.set_xlabel("warm users of the segment")
        axes.set_ylabel("spread, mean squared distance")
        axes.grid()
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.05 * (high - low))
        if len(rows) > 1:
            figure.canvas.draw()  # settles the layout, in which distances are measured
            dots = axes.transData.transform(np.column_stack([sizes, spreads]))
            _point_at(axes, "largest", max(rows, key=_size), dots)
            _point_at(axes, "smallest", min(rows, key=_size), dots)
    return out[0]


PLACES = (
    *(
        (0, y, "offset points", ha, va)
        for y, va in ((-14, "top"), (14, "bottom"))
        for ha in ("right", "left", "center")
    ),
    *((x, y, "offset points", ha, "center") for x, ha in ((-30, "right"), (30, "left")) for y in (-16, 16)),
    *((x, y, "axes fraction", ha, va) for y, va in ((0.03, "bottom"), (0.97, "top")) for x, ha in CORNERS),
)
"""Where a dot's name may stand: x, y, their unit, and which side of the name is there."""


def _point_at(axes: Any, name: str, row: SegmentRow, dots: np.ndarray) -> None:
    """Name a segment's dot, near it or in a corner: where the name covers fewest dots and no other name."""
    from matplotlib.text import Text

    frame, others = axes.get_window_extent(), [Text.get_window_extent(text) for text in axes.texts]
    found = []
    for x, y, unit, ha, va in PLACES:
        label = axes.annotate(
            f"{name}: segment {row.number}",
            (row.n_users, row.spread),
            xytext=(x, y),
            textcoords=unit,
            ha=ha,
            va=va,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.7, "shrinkA": 0, "shrinkB": 4},
        )
        label.set_in_layout(False)
        label.get_window_extent()  # puts it in its place
        box = Text.get_window_extent(label)  # without the line
        is_outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
        covered = int(box.padded(5).count_contains(dots))
        way = float(np.hypot(*(box.get_points().mean(axis=0) - axes.transData.transform((row.n_users, row.spread)))))
        found.append(((is_outside + sum(box.overlaps(other) for other in others), covered, way), label))
    best = min(found, key=lambda place: place[0])[1]
    for _, label in found:
        if label is not best:
            label.remove()


def _fill(axes: Any, left: float, width: float, place: float, height: float, shade: float) -> None:
    """Draw one part of a bar, framed so that the palest one shows."""
    axes.barh(place, width, left=left, height=height, color=ACCENT, alpha=shade, lw=0)
    axes.barh(place, width, left=left, height=height, fill=False, edgecolor=ACCENT, lw=0.4)


def _scale_sizes(axes: Any, sizes: Sequence[int]) -> None:
    """Let sizes that differ by much stand on a scale of factors, in plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.get_major_locator().set_params(subs=[1, 2, 5] if max(sizes) < 200 * max(1, min(sizes)) else [1])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(lambda _value, _at: "")
    axes.set_xlim(left=max(0.8, axes.get_xlim()[0]))


def _size(row: SegmentRow) -> int:
    return row.n_users


def _shorten(label: str) -> str:
    """Cut a long label; the table has it whole."""
    return label if len(label) <= MOST_LETTERS else label[: MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _count(n: int) -> str:
    return f"{n:,} user" + ("" if n == 1 else "s")
