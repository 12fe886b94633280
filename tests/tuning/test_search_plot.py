"""The plot of a search for settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution

from firstday.config import Config
from firstday.tuning.search import Search
from firstday.tuning.search_plot import plot_search, write_value
from firstday.tuning.settings_to_try import Choice

CHOICES = (Choice("embedding.dimensions", (8, 16, 32), 1), Choice("ranker.hidden", ((150, 9), (300,)), 1))


@pytest.mark.parametrize("precision", [(30, 31, 29), (0,)])
def test_each_setting_has_a_part_with_the_values_that_were_tried(precision: tuple[float, ...], tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    ranges: dict[str, Any] = {choice.name: IntDistribution(0, len(choice.values) - 1) for choice in CHOICES}
    for value, places in zip(precision, ((1, 1), (2, 1), (1, 0)), strict=False):
        study.add_trial(
            optuna.create_trial(value=value, params=dict(zip(ranges, places, strict=True)), distributions=ranges)
        )
    plot_search(Search(Config(), "blend", CHOICES, study, None, "time", 9, 9, 9, "sampled", (), 60), tmp_path / "x.svg")
    svg = (tmp_path / "x.svg").read_text()
    for text in ("embedding", "dimensions", "ranker", "hidden", "validation P@50, %", "16", "150, 9"):
        assert f">{text}</text>" in svg


def test_values_are_written_shortly() -> None:
    assert [write_value(value) for value in (300, 7.5, 1 / 16, (400, 300))] == ["300", "7.5", "0.0625", "400, 300"]
