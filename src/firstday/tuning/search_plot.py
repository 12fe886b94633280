"""The picture of a search for settings: precision of each trial over time, and by each setting."""

from __future__ import annotations

from typing import Any

import numpy as np

from firstday.evaluation.plots import ACCENT, INK, MUTED, WIDTH_IN, drawing
from firstday.tuning.search import Search, Trial
from firstday.tuning.settings_to_try import Choice

COLUMNS = 3
PANEL_IN, HEAD_IN = 1.45, 2.6
"""Height of a row of settings, and of the picture's first part."""
LOWEST_SHOWN = 0.25
"""Trials below this quantile and below the start are drawn at the lower edge, or they would flatten the others."""


def plot_search(search: Search) -> str:
    """Draw a search: trials over time with the best so far, then precision by the value of each setting.

    The start is a square, the best trial a large dot, in every part. Trials far below the others stand at the lower
    edge as triangles.
    """
    choices, trials = search.choices, search.trials
    n_rows = -(-len(choices) // COLUMNS)
    precision = np.array([trial.precision for trial in trials])
    low = min(float(np.quantile(precision, LOWEST_SHOWN)), trials[0].precision)
    high = float(precision.max())
    room = max(high - low, 0.1)
    limits = (low - 0.15 * room, high + 0.15 * room)
    with drawing("search", WIDTH_IN, HEAD_IN + PANEL_IN * n_rows) as (figure, out):
        grid = figure.add_gridspec(1 + n_rows, COLUMNS, height_ratios=[HEAD_IN / PANEL_IN, *[1.0] * n_rows])
        axes = figure.add_subplot(grid[0, :])
        minutes = [(trial.began + trial.seconds) / 60 for trial in trials]
        _draw(axes, minutes, search, limits)
        axes.step(
            [*minutes, max(minutes)],
            [*np.maximum.accumulate(precision), high],
            where="post",
            color=ACCENT,
            lw=1.3,
            zorder=1,
        )
        axes.axhline(trials[0].precision, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
        axes.set_title("square: the start; large dot: the best; triangles: far below", fontsize=8, color=MUTED)
        axes.set_xlim(left=0)
        axes.set_xlabel("minutes")
        axes.set_ylabel(f"validation\nP@{search.start.recommend.k}, %")
        for number, choice in enumerate(choices):
            panel = figure.add_subplot(grid[1 + number // COLUMNS, number % COLUMNS])
            _draw(panel, [_place_of(choice, trial) for trial in trials], search, limits)
            panel.set_xticks(range(len(choice.values)), [_shorten(value) for value in choice.values])
            panel.set_xlim(-0.5, len(choice.values) - 0.5)
            panel.tick_params(axis="both", labelsize=7)
            panel.tick_params(axis="y", labelleft=number % COLUMNS == 0)
            panel.set_title(choice.name.replace(".", "\n", 1), fontsize=8, color=INK)
    return out[0]


def _draw(axes: Any, places: list[float], search: Search, limits: tuple[float, float]) -> None:
    """Draw a mark for each trial; those below the limits stand at the lower edge."""
    best, lowest = search.best, limits[0]
    for place, trial in zip(places, search.trials, strict=True):
        is_best, is_start, is_below = trial is best, trial.number == 0, trial.precision < lowest
        axes.plot(
            place,
            max(trial.precision, lowest),
            "o" if is_best else "s" if is_start else "v" if is_below else "o",
            color=ACCENT if is_best else INK if is_start else MUTED,
            alpha=1 if is_best or is_start else 0.45,
            ms=8 if is_best else 6 if is_start else 4,
            mew=0,
            zorder=4 if is_best else 3 if is_start else 2,
            clip_on=False,
        )
    axes.set_ylim(*limits)
    axes.grid(axis="y")
    axes.locator_params(axis="y", nbins=5)


def _place_of(choice: Choice, trial: Trial) -> float:
    """Return the place of a trial's value among those that were tried."""
    return choice.values.index(trial.settings[choice.name]) if choice.name in trial.settings else choice.start


def write_value(value: Any) -> str:
    """Write the value of a setting."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def _shorten(value: Any) -> str:
    """Write a value in the room that it has below an axis."""
    return f"{value:.2g}" if isinstance(value, float) and value < 10 else write_value(value)
