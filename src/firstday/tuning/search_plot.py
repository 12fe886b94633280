"""Plot of a search: precision of each trial over time and by setting."""

from __future__ import annotations

from typing import Any

import numpy as np

from firstday.evaluation.plots import ACCENT, INK, MUTED, drawing
from firstday.tuning.search import Search

COLUMNS = 3
PANEL_IN, HEAD_IN = 1.45, 2.6
"""Height of a row of settings, and of the top panel, in inches."""
LOWEST_SHOWN = 0.25
"""Trials below this quantile and below the start are clipped to the lower edge, so as not to flatten the others."""


def plot_search(search: Search) -> str:
    """Plot a search: trials over time with the best so far, then precision by value of each setting.

    In every panel the start is a square and the best trial a large dot. Trials far below the others are clipped to the
    lower edge.
    """
    precision = np.array([trial.precision for trial in search.trials])
    shown = np.maximum(precision, min(np.quantile(precision, LOWEST_SHOWN), precision[0]))
    marks = (
        (slice(None), {"marker": "o", "color": MUTED, "ms": 4, "alpha": 0.45}),
        (0, {"marker": "s", "color": INK, "ms": 6}),
        (search.best.number, {"marker": "o", "color": ACCENT, "ms": 8}),
    )
    minutes = np.array([trial.began + trial.seconds for trial in search.trials]) / 60
    n_rows = -(-len(search.choices) // COLUMNS)
    with drawing("search", HEAD_IN + PANEL_IN * n_rows) as (figure, out):
        grid = figure.add_gridspec(1 + n_rows, COLUMNS, height_ratios=[HEAD_IN / PANEL_IN, *[1.0] * n_rows])
        head = figure.add_subplot(grid[0, :])
        head.step(minutes, np.maximum.accumulate(precision), where="post", color=ACCENT, zorder=1)
        head.axhline(precision[0], color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
        head.set_title("square: the start; large dot: the best; at the lower edge: far below")
        head.set_xlabel("minutes")
        head.set_ylabel(f"validation\nP@{search.start.recommend.k}, %")
        parts = [(head, minutes)]
        for number, choice in enumerate(search.choices):
            panel = figure.add_subplot(grid[1 + number // COLUMNS, number % COLUMNS], sharey=head)
            values = [trial.settings.get(choice.name, choice.values[choice.start]) for trial in search.trials]
            panel.set_xticks(range(len(choice.values)), [write_value(value) for value in choice.values])
            panel.set_xlim(-0.5, len(choice.values) - 0.5)
            panel.tick_params(labelsize=7, labelleft=number % COLUMNS == 0)
            panel.set_title(choice.name.replace(".", "\n", 1))
            parts.append((panel, np.array([choice.values.index(value) for value in values])))
        for axes, places in parts:
            axes.grid(axis="y")
            for which, mark in marks:
                axes.plot(places[which], shown[which], ls="", clip_on=False, **mark)
    return out[0]


def write_value(value: Any) -> str:
    """Format the value of a setting."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
