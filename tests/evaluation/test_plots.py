"""Plots of the report: what they draw, and in the page's colours."""

from __future__ import annotations

import re

from firstday.evaluation.comparisons import plot_cut_offs
from tests.evaluation.reports import results, results_at_cut_offs

MAY, JUNE = "2024-05-01T00:00:00Z", "2024-06-01T00:00:00Z"
BY_CUT_OFF = {
    MAY: {"popular": 30.0, "item_item": 35.0, "ease": 40.0, "blend": 60.0, "auto": 50.0},
    JUNE: {"popular": 31.0, "item_item": 36.0, "ease": 37.0, "blend": 61.0, "auto": 51.0},
}


def legend(svg: str | None) -> set[str]:
    return set(re.findall(r">\s*([a-z]\w+)\s*</text>", str(svg)))


def test_quality_by_cut_off_is_that_of_the_default_the_best_single_method_and_popular() -> None:
    svg = plot_cut_offs(results_at_cut_offs(BY_CUT_OFF))
    assert legend(svg) == {"auto", "ease", "popular"}
    assert all(f">{day}</text>" in re.sub(r"\s+", "", str(svg)) for day in ("2024-05-01", "2024-06-01"))
    assert plot_cut_offs(results_at_cut_offs({MAY: BY_CUT_OFF[MAY]})) is None
    assert plot_cut_offs(results()) is None


def test_the_plot_names_each_strategy_once() -> None:
    shown = results({"popular": 30, "segment": 50, **{f"other_{n:02}": 40 + n / 10 for n in range(13)}})
    svg = shown.plot_strategies()
    assert sorted(re.findall(r">\s*(popular|segment|other_\d+)\s*</text>", svg)) == sorted(shown.strategies)
    assert "P@50, %" in svg


def test_a_plot_takes_its_colours_from_the_page() -> None:
    svg = results().plot_strategies()
    assert "var(--accent, " in svg
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", svg)
    assert svg.startswith("<svg")
    assert "<metadata" not in svg
