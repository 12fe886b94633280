"""Plots of the report, each one ``<svg>`` element that follows light and dark mode, the same for the same results.

Each raises `MissingExtraError` where Matplotlib is not installed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from firstday.cold.cold_model import Epoch
from firstday.errors import needs_extra
from firstday.evaluation.slices import BASELINE, N_TENTHS, REFERENCE, TENTH, group_slice, size_slice
from firstday.metrics import bootstrap_means
from firstday.recommend.segment_description import SegmentRow

if TYPE_CHECKING:  # they draw themselves in notebooks
    from firstday.evaluation.replay import ReplayResults
    from firstday.evaluation.results import Results

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
    with needs_extra("the report", "train"):
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
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


WIDTH_IN = 5.2  # narrow, so that text is still readable where a phone scales the figure down


def plot_strategies(results: Results) -> str:
    """Draw precision by strategy, best first, with 95 % intervals."""
    names = results.best_first
    figures = [results.get(name, "precision") for name in names]
    with drawing("strategies", WIDTH_IN, 0.62 + 0.27 * len(names)) as (figure, out):
        axes = figure.add_subplot()
        for place, value in enumerate(figures):
            accented = value.strategy == results.leader
            colour = ACCENT if accented else MUTED
            axes.plot([value.low, value.high], [place, place], color=colour, lw=3 if accented else 1.8, alpha=0.55)
            axes.plot(value.mean, place, "o", color=colour, ms=9 if accented else 7, gid=f"mark-{value.strategy}")
            axes.annotate(
                f"{value.mean:.1f}",
                (value.high, place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center_baseline",
                color=ACCENT if accented else INK,
                weight="bold" if accented else "normal",
            )
        axes.set_ylim(len(names) - 0.4, -0.6)
        _name_rows(axes, range(len(names)), names, results.leader)
        low, high = min(value.low or 0.0 for value in figures), max(value.high or 0.0 for value in figures)
        room = max(high - low, 1.0)
        axes.set_xlim(max(0.0, low - 0.08 * room), high + 0.18 * room)
        axes.locator_params(axis="x", nbins=8, integer=True)
        axes.set_xlabel(f"P@{results.k}, %")
        axes.grid(axis="x")
    return out[0]


def _name_rows(axes: Any, places: Sequence[float], names: Sequence[str], leader: str | None = None) -> None:
    """Write names beside rows, that of the leader so that it stands out."""
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set(color=ACCENT if name == leader else INK, weight="bold" if name == leader else "normal")


MARKERS = ("s", "^", "D", "v", "P", "X", "p", "<", ">", "*", "h")
SIZE_NAMES = {"0": "0", "1-3": "1 to 3", "4-9": "4 to 9", "10+": "10 and more"}
LABEL_GAP_PT = 12.5  # height of one line of labels
MOST_LINES = 8
"""Strategies that are drawn by day-one size, at most: more cannot be told apart."""


def drawn_by_size(results: Results) -> list[str]:
    """Return the strategies drawn by day-one size, best first: leader, reference, baseline and the best others."""
    others = [name for name in results.best_first if name not in (results.leader, REFERENCE, BASELINE)]
    left_out = others[MOST_LINES - (len(results.strategies) - len(others)) :]
    return [name for name in results.best_first if name not in left_out]


def plot_day_one_sizes(results: Results) -> str:
    """Draw precision by day-one size, one line a strategy, with 95 % intervals and labels at the lines' ends.

    Classes without users are left out, and all but the best of more than `MOST_LINES` strategies.
    """
    sizes, names = results.sizes(), drawn_by_size(results)
    in_order = [name for name in results.strategies if name in names and name != results.leader]
    with drawing("day-one", WIDTH_IN, max(3.3, 1.0 + 0.24 * len(names))) as (figure, out):
        axes = figure.add_subplot()
        ends: list[tuple[float, float, str, str]] = []
        for rank, name in enumerate(names):
            accented = name == results.leader
            number = 0 if accented else in_order.index(name)
            colour = ACCENT if accented else SERIES[number % len(SERIES)]
            # Beside each other, or intervals would hide each other.
            shift = min(0.045, 0.4 / len(names)) * (rank - (len(names) - 1) / 2)
            points = [(at + shift, results.get(name, "precision", size_slice(size))) for at, size in enumerate(sizes)]
            if not points:
                continue
            over = 5 if accented else 3
            for x, value in points:
                axes.plot([x, x], [value.low, value.high], color=colour, lw=1.1, alpha=0.4, zorder=over - 1)
            axes.plot(
                [x for x, _ in points],
                [value.mean for _, value in points],
                marker="o" if accented else MARKERS[number % len(MARKERS)],
                color=colour,
                lw=2.6 if accented else 1.3,
                ms=7 if accented else 5,
                zorder=over,
                gid=f"mark-{name}",
            )
            ends.append((points[-1][0], points[-1][1].mean, name, colour))
        axes.set_xticks(range(len(sizes)), [f"{SIZE_NAMES[size]}\n{n:,} users" for size, n in sizes.items()])
        axes.set_xlim(-0.3, len(sizes) - 0.7)
        axes.set_xlabel("items used on day one")
        axes.set_ylabel(f"P@{results.k}, %")
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        label_ends(figure, axes, ends)
    return out[0]


def plot_replay(results: ReplayResults) -> str:
    """Draw the hits of each round, one line a policy, with 95 % intervals over users; labels tell the hits in all."""
    rounds = np.arange(1, results.settings.rounds + 1)
    names = results.best_first
    others = [name for name in results.hits if name != results.against]
    with drawing("replay", WIDTH_IN, max(3.6, 1.0 + 0.26 * len(names))) as (figure, out):
        axes = figure.add_subplot()
        ends: list[tuple[float, float, str, str]] = []
        for name in names:
            accented = name == results.against
            number = 0 if accented else others.index(name)
            colour = ACCENT if accented else SERIES[number % len(SERIES)]
            intervals = bootstrap_means(results.hits[name].astype(np.float64), results.users)
            means = [interval.mean for interval in intervals]
            over = 5 if accented else 3
            axes.vlines(
                rounds, [i.low for i in intervals], [i.high for i in intervals], color=colour, lw=1.1, alpha=0.4
            )
            axes.plot(
                rounds,
                means,
                marker="o" if accented else MARKERS[number % len(MARKERS)],
                color=colour,
                lw=2.6 if accented else 1.3,
                ms=6 if accented else 4.5,
                zorder=over,
                gid=f"mark-{name}",
            )
            ends.append((float(rounds[-1]), means[-1], f"{name} {sum(means):.1f}", colour))
        axes.set_xticks(rounds)
        axes.set_xlabel("round")
        axes.set_ylabel(f"items used of {results.settings.slate} shown")
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        label_ends(figure, axes, ends)
    return out[0]


def label_ends(figure: Any, axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
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
            weight="bold" if colour == ACCENT else "normal",
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


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move values apart so that neighbours are at least `gap` from each other, and none further than it must.

    Parameters
    ----------
    places
        Where each would stand, in any order.
    gap
        Least distance.

    Returns
    -------
    list of float
        Where each stands, in the order given: the closest in least squares.
    """
    order = sorted(range(len(places)), key=lambda ix: places[ix])
    # With the gaps taken out, the task is to keep the order: neighbours that would cross share their mean.
    blocks: list[tuple[float, int]] = []  # mean, members
    for rank, ix in enumerate(order):
        mean, members = places[ix] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            below, n = blocks.pop()
            mean, members = (below * n + mean * members) / (n + members), n + members
        blocks.append((mean, members))
    flat = [mean for mean, members in blocks for _ in range(members)]
    moved = [0.0] * len(places)
    for rank, ix in enumerate(order):
        moved[ix] = flat[rank] + rank * gap
    return moved


MOST_GROUPS = 16
"""Groups of one plot, the largest ones: the table has all."""
MOST_LETTERS = 22


def plot_group(results: Results, column: str, number: int) -> str:
    """Draw the precision of each group of one profile column, of the leader and of `popular`, with 95 % intervals.

    Parameters
    ----------
    results
        The results.
    column
        The profile column.
    number
        Tells the ids of this plot from those of others.
    """
    leader = results.leader
    names = [leader] + [name for name in results.strategies if name == BASELINE and name != leader]
    groups = [(label, results.get(leader, "precision", group_slice(column, label))) for label in results.groups[column]]
    largest = sorted(groups, key=lambda group: -group[1].n)[:MOST_GROUPS]
    groups = [group for group in groups if group in largest]
    with drawing(f"group-{number}", WIDTH_IN, 1.05 + 0.34 * len(groups)) as (figure, out):
        axes = figure.add_subplot()
        overall = results.get(leader, "precision").mean
        axes.axvline(overall, color=ACCENT, lw=1, ls=(0, (4, 3)), label=f"{leader}, all users")
        for place, name in enumerate(names):
            colour, marker = ((MUTED, "s"), (ACCENT, "o"))[name == leader]
            beside = 0.0 if len(names) == 1 else (-0.14, 0.14)[place]
            for at, (label, _) in enumerate(groups):
                value = results.get(name, "precision", group_slice(column, label))
                axes.plot([value.low, value.high], [at + beside] * 2, color=colour, lw=2, alpha=0.45)
                shown = name if at == 0 else None  # once in the legend
                axes.plot(value.mean, at + beside, marker, color=colour, ms=7 if name == leader else 5, label=shown)
        axes.set_ylim(len(groups) - 0.4, -0.6)
        _name_rows(axes, range(len(groups)), [f"{_shorten(label)} ({_count(value.n)})" for label, value in groups])
        axes.locator_params(axis="x", nbins=8)
        axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
        axes.set_xlabel(f"P@{results.k}, %")
        axes.grid(axis="x")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(
            [*handles[1:], handles[0]],
            [*labels[1:], labels[0]],
            loc="outside upper left",
            ncols=len(labels),
            frameon=False,
            handlelength=1.6,
            labelcolor=MUTED,
        )
    return out[0]


def _shorten(label: str) -> str:
    """Cut a long label; the table has it whole."""
    return label if len(label) <= MOST_LETTERS else label[: MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _count(n: int) -> str:
    return f"{n:,} user" + ("" if n == 1 else "s")


def plot_popularity(results: Results) -> str:
    """Draw the share of list places by popularity of the items, one bar a strategy, below what users went on to use."""
    names = ("used afterwards", *results.best_first)
    shares = [results.used_by_popularity]
    shares += [tuple(value.mean for value in results.split_metric(name, TENTH).values()) for name in results.best_first]
    shades = [1 - 0.94 * part / (N_TENTHS - 1) for part in range(N_TENTHS)]
    with drawing("popularity", WIDTH_IN, 1.15 + 0.27 * len(names)) as (figure, out):
        axes = figure.add_subplot()
        places = [0.0, *(at + 1.35 for at in range(len(names) - 1))]
        for place, parts in zip(places, shares, strict=True):
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
        _name_rows(axes, places, names)
        axes.get_yticklabels()[0].set_style("italic")
        axes.set_xlabel("share of what was used (first bar), of places of lists, %")
        axes.spines["left"].set_visible(False)
    return out[0]


def _fill(axes: Any, left: float, width: float, place: float, height: float, shade: float) -> None:
    """Draw one part of a bar, framed so that the palest one shows."""
    axes.barh(place, width, left=left, height=height, color=ACCENT, alpha=shade, lw=0)
    axes.barh(place, width, left=left, height=height, fill=False, edgecolor=ACCENT, lw=0.4)


def plot_segments(rows: Sequence[SegmentRow]) -> str:
    """Draw each segment as a dot, ten or thousands: how many users it has, and how far they are from its centroid."""
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
            _point_at(axes, "largest", max(rows, key=attrgetter("n_users")), dots)
            _point_at(axes, "smallest", min(rows, key=attrgetter("n_users")), dots)
    return out[0]


def _scale_sizes(axes: Any, sizes: Sequence[int]) -> None:
    """Let sizes that differ by much stand on a scale of factors, in plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.get_major_locator().set_params(subs=[1, 2, 5] if max(sizes) < 200 * max(1, min(sizes)) else [1])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(lambda _value, _at: "")
    axes.set_xlim(left=max(0.8, axes.get_xlim()[0]))


CORNERS = ((0.99, "right"), (0.01, "left"))
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
    tried = []
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
        tried.append(((is_outside + sum(box.overlaps(other) for other in others), covered, way), label))
    best = min(tried, key=lambda place: place[0])[1]
    for _, label in tried:
        if label is not best:
            label.remove()


def plot_training(history: Sequence[Epoch], k: int) -> str | None:
    """Draw loss and validation precision over epochs, and mark the epoch whose network was kept; None without epochs.

    Parameters
    ----------
    history
        From a `ColdModel`.
    k
        Length of the lists that precision is of.
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
            panels[1].set_ylabel(f"validation\nP@{k}, %")
            panels[1].margins(y=0.25)
        for panel in panels:
            panel.grid(axis="y")
            panel.locator_params(axis="y", nbins=5)
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        panels[-1].set_xlabel("epoch")
        figure.align_ylabels()
    return out[0]
