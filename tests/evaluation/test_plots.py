"""Plots of the report: what they draw, and in the page's colours."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from firstday.evaluation.plots import plot_day_one_sizes, plot_strategies, plot_training
from tests.evaluation.reports import HISTORY, N, render, results


def test_empty_size_class_is_left_out() -> None:
    bare = results(sizes=np.full(N, 2))
    assert "1-3" in plot_day_one_sizes(bare)
    assert "4-9" not in plot_day_one_sizes(bare)
    assert "4-9" not in render(bare)


def test_plots_name_each_strategy_once() -> None:
    shown = results({"popular": 30, "segment": 50, **{f"other_{n:02}": 40 + n / 10 for n in range(13)}})
    best = shown.best_first
    for plot, strategies in ((plot_strategies, best), (plot_day_one_sizes, (*best[:8], "popular"))):
        svg = plot(shown)
        assert sorted(re.findall(r">\s*(popular|segment|other_\d+)\s*</text>", svg)) == sorted(strategies)
        assert "P@50, %" in svg


def test_plots_take_their_colours_from_the_page() -> None:
    for svg in (plot_strategies(results()), plot_day_one_sizes(results()), plot_training(HISTORY, 50)):
        assert svg is not None
        assert "var(--accent, " in svg
        assert not re.search(r"(?<!, )#[0-9a-f]{6}", svg)
        assert svg.startswith("<svg")
        assert "<metadata" not in svg


def test_training_marks_the_epoch_that_was_selected() -> None:
    assert plot_training((), 50) is None
    assert "selected: epoch 2" in str(plot_training(HISTORY, 50))
    unmeasured = str(plot_training([replace(epoch, precision=None, kept=False) for epoch in HISTORY], 50))
    assert "selected:" not in unmeasured
    assert "validation" not in unmeasured
