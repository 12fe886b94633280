"""Plots of the experiment report."""

from __future__ import annotations

import math
from collections.abc import Mapping

from firstday.evaluation.plots import ACCENT, LINE, MUTED, draw_rows, drawing, name_rows
from firstday.experiment.experiment_results import Row
from firstday.metrics import Interval


def plot_changes(name: str, rows: Mapping[str, Row], accented: str = "") -> str | None:
    """Plot relative changes in %: thick fixed-horizon intervals, thin always-valid ones. None without ratios."""
    ratios = {
        label: _to_percent(ratio)
        for label, row in rows.items()
        if (ratio := row.comparison.ratio) is not None and not math.isnan(ratio.low)
    }
    if not ratios:
        return None
    with drawing(name, 0.7 + 0.3 * len(ratios)) as (figure, out):
        axes = figure.add_subplot()
        axes.axvline(0, color=LINE, lw=1.4)
        for place, (label, ratio) in enumerate(ratios.items()):
            color = ACCENT if label == accented else MUTED
            if (always := rows[label].comparison.ratio_always) is not None:
                axes.hlines(place, _to_percent(always).low, _to_percent(always).high, color=color, lw=1)
            draw_rows(axes, [place], [ratio], color)
        name_rows(axes, list(ratios), [label == accented for label in ratios])
        axes.set_xlabel("change, %")
    return out[0]


def _to_percent(ratio: Interval) -> Interval:
    return Interval(*(100 * (value - 1) for value in (ratio.mean, ratio.low, ratio.high)))
