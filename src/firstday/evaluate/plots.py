"""Plots of the report, as SVG that follows light and dark mode."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import numpy as np

from firstday.cold.cold_model import Epoch
from firstday.errors import MissingExtraError
from firstday.evaluate.results import BASELINE, DAY_ONE_SIZES, REFERENCE, Results, Row, by_precision
from firstday.evaluate.slices import N_PARTS, Grouping, PopularityShares
from firstday.recommend.segment_description import SegmentRow

INK, MUTED, LINE, ACCENT = "#10203a", "#10203b", "#10203c", "#10203d"
SERIES = ("#102041", "#102042", "#102043", "#102044", "#102045", "#102046", "#102047")
THEME = {
    INK: ("--ink", "#1b1f24", "#e8eaed"),
    MUTED: ("--muted", "#59636e", "#a3acb8"),
    LINE: ("--line", "#d5d9df", "#353c46"),
    ACCENT: ("--accent", "#0068a8", "#63b7f2"),
    SERIES[0]: ("--series-1", "#c65300", "#ff8f45"),
    SERIES[1]: ("--series-2", "#00825f", "#2fc79a"),
    SERIES[2]: ("--series-3", "#b04488", "#ee9fce"),
    SERIES[3]: ("--series-4", "#957000", "#e8c520"),
    SERIES[4]: ("--series-5", "#66707c", "#a9b2bd"),
    SERIES[5]: ("--series-6", "#5a46b8", "#b5a8ff"),
    SERIES[6]: ("--series-7", "#8a4b20", "#d9a77c"),
}
"""Stand-in colour -> CSS variable, its value in light mode and in dark mode.

Hues after the palette of Okabe and Ito, which colour-blind readers tell apart; lightness for contrast with the page.
"""


@contextmanager
def drawing(name: str, width_in: float, height_in: float) -> Iterator[tuple[Any, list[str]]]:
    """Give a figure to draw on, and a list that holds its SVG text afterwards."""
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError("the report", "train") from None
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "firstday",  # ids would otherwise be drawn at random
        "font.size": 10,
        "text.parse_math": False,  # a dollar sign in a label is one
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": LINE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": LINE,
        "grid.linewidth": 0.7,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "lines.solid_capstyle": "round",
    }
    with mpl.rc_context(), warnings.catch_warnings():
        # Text is measured in Matplotlib's own font, which lacks many scripts that the reader's has.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        mpl.rcdefaults()  # the reader's own matplotlibrc must not show
        mpl.rcParams.update(settings)
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        out: list[str] = []
        yield figure, out
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        out.append(_to_inline(text.getvalue(), name))


def _to_inline(svg: str, name: str) -> str:
    """Make of matplotlib's file an element for a page: themed, with ids of its own, and nothing that leads outside."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)  # it would rule the whole page
    # Matplotlib names the fonts that it measured with, in `font` or in `font-family` depending on its version.
    svg = re.sub(r"font: ([^;\"]*?)(\d[\d.]*px)[^;\"]*", r"font: \1\2 system-ui, sans-serif", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for stand_in, (variable, light, _) in THEME.items():
        svg = svg.replace(stand_in, f"var({variable}, {light})")
    return svg.replace("<svg ", '<svg style="stroke-linejoin: round; stroke-linecap: butt" ', 1)


def theme_css(dark: bool) -> str:
    """Return the CSS variables of one mode."""
    return " ".join(f"{variable}: {values[dark]};" for variable, *values in THEME.values())


def standalone(svg: str) -> str:
    """Make a file of an element: one that follows the reader's light or dark mode by itself."""
    style = f"<style>@media (prefers-color-scheme: dark) {{ svg {{ {theme_css(dark=True)} }} }}</style>"
    head, body = svg.split(">", 1)
    return f"{head}>{style}{body}\n"


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Move values apart so that neighbours are at least `gap` from each other, and none further than it must.

    Parameters
    ----------
    wanted
        Where each would stand, in any order.
    gap
        Least distance.

    Returns
    -------
    list of float
        Where each stands, in the order given: the closest in least squares.
    """
    order = sorted(range(len(wanted)), key=lambda ix: wanted[ix])
    # With the gaps taken out, the task is to keep the order: neighbours that would cross share their mean.
    blocks: list[tuple[float, int]] = []  # mean, members
    for rank, ix in enumerate(order):
        mean, members = wanted[ix] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            below, n = blocks.pop()
            mean, members = (below * n + mean * members) / (n + members), n + members
        blocks.append((mean, members))
    flat = [mean for mean, members in blocks for _ in range(members)]
    placed = [0.0] * len(wanted)
    for rank, ix in enumerate(order):
        placed[ix] = flat[rank] + rank * gap
    return placed


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
