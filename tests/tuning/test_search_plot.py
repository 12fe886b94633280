"""The picture of a search for settings."""

from __future__ import annotations

from typing import Any

from firstday.config import Config
from firstday.evaluation.plots import standalone
from firstday.tuning.search import Search, Trial
from firstday.tuning.search_plot import plot_search, write_value
from firstday.tuning.settings_to_try import Choice

CHOICES = (
    Choice("embedding.dimensions", (8, 16, 32), 1),
    Choice("ranker.hidden", ((150,), (300,)), 1),
    Choice("embedding.als_confidence", (7.5, 15.0), 1),
    Choice("segments.n_segments", (10, 20, 40), 0),
)


def make_search(*precision: float) -> Search:
    settings: list[dict[str, Any]] = [
        {},
        {"embedding.dimensions": 32},
        {"ranker.hidden": (150,), "segments.n_segments": 40},
    ]
    trials = tuple(
        Trial(number, settings[number % 3], value, 20.0 * number, 20.0) for number, value in enumerate(precision)
    )
    return Search(Config(), "blend", CHOICES, trials, None, "time", 100, 20, 40, "sampled", (), 60.0)


def test_each_setting_has_a_part_with_the_values_that_were_tried() -> None:
    svg = plot_search(make_search(30, 31, 29, 2))
    for name in (
        *(name for choice in CHOICES for name in choice.name.split(".")),
        "minutes",
        "validation",
        "150",
        "7.5",
        "P@50, %",
    ):
        assert f">{name}" in svg
    assert standalone(svg).startswith("<svg")


def test_equal_precision_and_a_single_trial_can_be_drawn() -> None:
    assert plot_search(make_search(0, 0))
    assert plot_search(make_search(30))
    assert plot_search(make_search(30, 31, 29)) == plot_search(make_search(30, 31, 29))


def test_values_are_written_shortly() -> None:
    assert [write_value(value) for value in (300, 7.5, 1 / 16, (400, 300))] == ["300", "7.5", "0.0625", "400, 300"]
