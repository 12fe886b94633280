"""The plot of a search for settings: precision of each trial over time, and by each setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from firstday.evaluation.plots import ACCENT, INK, MUTED, drawing
from firstday.tuning.search import Search

COLUMNS = 3
PANEL_IN, HEAD_IN = 1.45, 2.6
"""Height of a row of settings, and of the plot's first part."""
LOWEST_SHOWN = 0.25
"""Trials below this quantile and below the start are drawn at the lower edge, or they would flatten the others."""


def plot_search(search: Search) -> str:
    """Draw a search: trials over time with the best so far, then precision by the value of each setting.

    The start is a square, the best trial a large dot, in every part. Trials far below the others stand at the lower
    edge.
    """
    precision = np.array([trial.precision for trial in search.trials])
    low = min(float(np.quantile(precision, LOWEST_SHOWN)), precision[0])
    n_rows = -(-len(search.choices) // COLUMNS)
    with drawing("search", HEAD_IN + PANEL_IN * n_rows) as (figure, out):
        grid = figure.add_gridspec(1 + n_rows, COLUMNS, height_ratios=[HEAD_IN / PANEL_IN, *[1.0] * n_rows])
        axes = figure.add_subplot(grid[0, :])
        minutes = [(trial.began + trial.seconds) / 60 for trial in search.trials]
        _draw(axes, minutes, search, low)
        axes.step(minutes, np.maximum.accumulate(precision), where="post", color=ACCENT, zorder=1)
        axes.axhline(precision[0], color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
        axes.set_title("square: the start; large dot: the best; at the lower edge: far below")
        axes.set_xlabel("minutes")
        axes.set_ylabel(f"validation\nP@{search.start.recommend.k}, %")
        for number, choice in enumerate(search.choices):
            panel = figure.add_subplot(grid[1 + number // COLUMNS, number % COLUMNS], sharey=axes)
            values = [trial.settings.get(choice.name, choice.values[choice.start]) for trial in search.trials]
            _draw(panel, [choice.values.index(value) for value in values], search, low)
            panel.set_xticks(range(len(choice.values)), [write_value(value) for value in choice.values])
            panel.set_xlim(-0.5, len(choice.values) - 0.5)
            panel.tick_params(labelsize=7, labelleft=number % COLUMNS == 0)
            panel.set_title(choice.name.replace(".", "\n", 1))
    return out[0]


def _draw(axes: Any, places: Sequence[float], search: Search, low: float) -> None:
    """Draw a mark for each trial; those below `low` stand there."""
    for place, trial in zip(places, search.trials, strict=True):
        marker, color, size = "o", MUTED, 4
        if trial.number == 0:
            marker, color, size = "s", INK, 6
        if trial is search.best:
            marker, color, size = "o", ACCENT, 8
        axes.plot(
            place,
            max(trial.precision, low),
            marker,
            color=color,
            ms=size,
            alpha=0.45 if size == 4 else 1,
            clip_on=False,
        )
    axes.grid(axis="y")


def write_value(value: Any) -> str:
    """Write the value of a setting."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
