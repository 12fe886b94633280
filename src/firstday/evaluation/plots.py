"""Plots of all reports, each a single ``<svg>`` element in the page's colours; output is deterministic.

All raise `MissingExtraError` if Matplotlib is not installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from firstday.errors import needs_extra

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
INK, MUTED, ACCENT = (THEME[f"--{name}"][0] for name in ("ink", "muted", "accent"))
STYLE = Path(__file__).with_name("report.mplstyle")
WIDTH_IN = 5.2
"""Figure width in inches: narrow, so that text stays readable when a phone scales the figure down."""


def draw(name: str, height_in: float, paint: Callable[[Any], None]) -> str:
    """Return the SVG of the figure that `paint` draws, given its axes; ids start with `name`."""
    with needs_extra("the report", "train"):
        from matplotlib import style
        from matplotlib.figure import Figure
    text = StringIO()
    with style.context(STYLE, after_reset=True), warnings.catch_warnings():
        # Text is measured in Matplotlib's font, which lacks many scripts that the reader's font has.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        paint(figure.add_subplot())
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for reference in ('id="', 'href="#', "url(#"):  # several plots share a page
        svg = svg.replace(reference, f"{reference}{name}-")
    for variable, (light, _) in THEME.items():
        svg = svg.replace(light, f"var({variable}, {light})")
    return svg


def theme_css(dark: bool) -> str:
    """Return the CSS variables of light or dark mode."""
    return " ".join(f"{variable}: {colours[dark]};" for variable, colours in THEME.items())


def standalone(svg: str) -> str:
    """Return an SVG element as a standalone file that follows the viewer's light or dark mode."""
    style = f"<style>@media (prefers-color-scheme: dark) {{ svg {{ {theme_css(dark=True)} }} }}</style>"
    return svg.replace(">", f">{style}", 1)


def draw_dots(axes: Any, values: Mapping[str, Any], accented: str) -> None:
    """Draw labelled rows from top to bottom: dots with intervals, given values with `mean`, `low` and `high`."""
    axes.set_yticks(range(len(values)), list(values))
    for row, (name, value) in enumerate(values.items()):
        color = ACCENT if name == accented else MUTED
        axes.hlines([row], value.low, value.high, color=color, lw=2, alpha=0.5)
        axes.plot([value.mean], [row], "o", color=color, ms=7)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x")


def draw_lines(axes: Any, lines: Mapping[str, Sequence[Any]], ticks: Sequence[object], accented: str = "") -> None:
    """Draw a line by name over labelled ticks, given values with `mean`, `low` and `high` for each tick."""
    for number, (name, values) in enumerate(lines.items()):
        shift = min(0.045, 0.4 / len(lines)) * (number - (len(lines) - 1) / 2)
        low, mean, high = np.array([(value.low, value.mean, value.high) for value in values]).T
        accent = {"color": ACCENT, "lw": 2.6, "ms": 7, "zorder": 5} if name == accented else {"lw": 1.3, "ms": 5}
        places = np.arange(len(ticks)) + shift
        axes.errorbar(places, mean, [mean - low, high - mean], marker="o", elinewidth=0.7, label=name, **accent)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.grid(axis="y")
    axes.figure.legend(loc="outside right upper")


def plot_means(values: Mapping[str, Any], accented: str, label: str) -> str:
    """Draw a mean and its interval for each strategy, from top to bottom; `label` is that of the axis."""

    def paint(axes: Any) -> None:
        draw_dots(axes, values, accented)
        for row, (heading, value) in enumerate(values.items()):
            color = ACCENT if heading == accented else MUTED
            place = {"xy": (value.high, row), "xytext": (6, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(f"{value.mean:.1f}", **place, color=color)
        axes.margins(x=0.1)
        axes.set_xlabel(label)

    return draw("strategies", 0.62 + 0.27 * len(values), paint)
