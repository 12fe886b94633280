"""Drawing as SVG text that stands in a page or alone, and follows light and dark mode.

Matplotlib draws in stand-in colours, which become CSS variables with a light fallback: a page sets the variables once
for each mode. Text stays text, in the reader's own system font.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

from firstday.errors import MissingExtraError

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
