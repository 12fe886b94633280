"""What the report tells of groups, popularity and segments, with few segments and many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstday.artifact.folder import read_manifest
from firstday.cli.printing import print_results
from firstday.evaluation.report.content import gather_model
from firstday.evaluation.report.render import render_report
from firstday.evaluation.results import UNKNOWN_VECTORS, Figure, Results
from firstday.metrics import Interval
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import SegmentItem, SegmentRow
from firstday.training.option_search import Tuning
from tests.evaluation.test_report import HISTORY, HOSTILE, RIGHT_TO_LEFT, Page, around, figure, render, results
from tests.evaluation.tiny import evaluate_tiny

STRATEGIES = ("popular", "segment", "fold_in")
AGES: dict[str, tuple[int, float]] = {"under 25": (250, 50), "25 and over": (257, 49)}
COUNTRIES: dict[str, tuple[int, float]] = {HOSTILE: (300, 50), "$DE_": (200, 38), "not known": (7, 45)}
"""Users and precision of each group."""
NO_GAP: dict[str, dict[str, Interval]] = {"age=under 25": {}, "age=25 and over": {}}
GAP: dict[str, dict[str, Interval]] = {
    "country=$DE_": {"segment": Interval(-12, -15, -9), "popular": Interval(-3, -7, 1)},
    f"country={HOSTILE}": {"segment": Interval(5, -1, 11)},
}
"""Difference to all others by group and strategy; by default next to none."""


def segment(number: int, n_users: int, title: str = "Fargo") -> SegmentRow:
    items = (SegmentItem("i1", title, 0.75, 0.25, 3.0), SegmentItem("i2", "", 0.5, 0.4, 1.25))
    return SegmentRow(number, n_users, 0.1 + number / 10_000, items, items[:1])


def segments(n: int) -> tuple[SegmentRow, ...]:
    return tuple(segment(at, 405 - at, RIGHT_TO_LEFT if at % 2 else HOSTILE) for at in range(n))


def group_figures(
    groups: Mapping[str, Mapping[str, tuple[int, float]]],
    gaps: Mapping[str, Mapping[str, Interval]],
    strategies: Sequence[str] = STRATEGIES,
) -> Iterator[Figure]:
    """Return what groups of users get, and the difference of some of them to all others."""
    for strategy in strategies:
        for column, labels in groups.items():
            for label, (n_users, mean) in labels.items():
                yield figure(strategy, "precision", around(mean), f"{column}={label}", n_users)
        for of_slice, differences in gaps.items():
            difference = differences.get(strategy, around(0.5))
            yield figure(strategy, "precision_minus_others", difference, of_slice)
            yield figure(strategy, "precision_of_others", 50.0, of_slice)


def full_results(
    n_segments: int = 10,
    *rows: tuple[Figure, ...],
    groups: Mapping[str, Mapping[str, tuple[int, float]]] | None = None,
    gaps: Mapping[str, Mapping[str, Interval]] | None = None,
    **changes: Any,
) -> Results:
    """Return results with profile groups, popularity and segments."""
    groups = {"age": AGES, "country": COUNTRIES} if groups is None else groups
    names = [figures[0].strategy for figures in rows] or STRATEGIES
    shares = (55.0, *((5.0,) * 9))
    tenths = (figure(name, f"places_by_popularity:{at}", share) for name in names for at, share in enumerate(shares, 1))
    return results(
        *rows,
        more=(*group_figures(groups, NO_GAP | GAP if gaps is None else gaps, names), *tenths),
        groups={column: tuple(labels) for column, labels in groups.items()},
        items_by_popularity=tuple(range(1, 11)),
        used_by_popularity=(10.0,) * 10,
        segments=segments(n_segments),
        history=HISTORY,
        **changes,
    )


def text_of(shown: Results) -> str:
    """Return the words of a report."""
    return words_of(render(shown))


@pytest.fixture(scope="module")
def page() -> str:
    return render(full_results(), command="firstday evaluate tables")


def words_of(page: str) -> str:
    return Page(page.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")).text


def test_a_report_tells_what_was_measured(page: str) -> None:
    text = words_of(page)
    for words in (
        "country: $DE_ gets 38.0 % with segment, all others 50.0 %. That is 12.0 points less",
        "\N{MINUS SIGN}15.0 to \N{MINUS SIGN}9.0, an interval that holds for all 4 groups simultaneously",
        "under 25 (250)",
        " ".join(HOSTILE.split())[:100],
        RIGHT_TO_LEFT,
        "not known (7)",
        "55.0",
        "used after day one",
        "10 segment(s) of the run with seed 0 hold",
    ):
        assert words in text, words
    for words in ("None", "combinations", UNKNOWN_VECTORS):
        assert words not in text, words


def test_a_page_with_everything_is_well_formed(page: str) -> None:
    shown = Page(page)
    assert shown.open == []
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in shown.tags:
        for name in ("href", "xlink:href", "aria-labelledby", "clip-path"):
            if target := attributes.get(name):
                assert target.removeprefix("url(").rstrip(")").removeprefix("#") in ids, target
    names = [tag for tag, _ in shown.tags]
    assert names.count("h1") == names.count("main") == 1
    assert names.count("table") == names.count("caption") == 7
    assert all("scope" in attributes for tag, attributes in shown.tags if tag == "th")
    images = [attributes for _, attributes in shown.tags if attributes.get("role") == "img"]
    assert len(images) == names.count("svg") == names.count("figure") == 5
    assert all(attributes["aria-label"] for attributes in images)
    assert "<script" not in page


def test_tuned_baselines_are_told_with_what_was_chosen() -> None:
    grid = {"shrinkage": (0.0, 10.0), "neighbors": (50, 100, 200)}
    tuning = Tuning(grid, {"shrinkage": 10.0, "neighbors": 50}, 51.0, 90, 0.25, 2.0, n_tried=5)
    other = replace(tuning, options={"shrinkage": 0.0, "neighbors": 100})
    text = text_of(full_results(tunings={"item_item": (tuning, other)}))
    chosen = "shrinkage 10 (highest allowed), neighbors 50 (lowest allowed); shrinkage 0, neighbors 100"
    assert f"item_item: best of 5 combinations on validation users: {chosen}." in text


def test_all_segments_are_shown_largest_first() -> None:
    page = render(full_results(300))
    shown = re.findall(r'<tr><th scope="row">(\d+)</th>', page)
    assert [int(number) for number in shown] == [row.number for row in segments(300)]
    assert len(page) < 2500 * 300 + 400_000


def test_without_a_gap_it_is_said_and_without_profiles_the_section_is_left_out() -> None:
    assert "No significant gap: with segment, none of 2 groups" in text_of(full_results(gaps=NO_GAP))
    assert "too few cold users to compare groups" in text_of(full_results(groups={"country": COUNTRIES}, gaps={}))
    assert "Groups of users" not in text_of(full_results(groups={}))


def test_the_first_groups_are_drawn_and_all_are_in_the_table() -> None:
    many = {f"town {n}": (500 - n, 40 + n / 10) for n in range(90)}
    page = render(full_results(groups={"city": many}))
    assert "The first 16 of 90 groups; the table has all." in page
    assert page.count("town 89 (") == 1
    assert page.count("town 3 (") == 2


def test_a_model_alone_is_reported(recommender: Recommender, tmp_path: Path) -> None:
    model = recommender.model
    manifest = read_manifest(recommender.save(tmp_path / "model"))
    html = render_report(gather_model(model, manifest, "firstday inspect model"))
    text = words_of(html)
    sizes = model.segments.items.sizes
    assert f"Segments {len(sizes)} Features" in text
    assert f"Warm users {sizes.sum()}" in text
    assert manifest["version"] in text
    assert "Training of the cold model of this model" in text
    assert "firstday inspect model" in text
    assert "embedding.dimensions: 12" in text
    assert Page(html).open == []
    assert html.count("<svg") == 1


def test_json_and_table_say_that_vectors_are_precomputed(capsys: pytest.CaptureFixture[str]) -> None:
    measured = evaluate_tiny()
    told = replace(measured, precomputed=True)
    assert (measured.to_json()["vectors"], measured.to_json()["vectors_note"]) == ("learned from warm users", None)
    assert (told.to_json()["vectors"], told.to_json()["vectors_note"]) == ("precomputed", UNKNOWN_VECTORS)
    print_results(told)
    assert UNKNOWN_VECTORS in " ".join(capsys.readouterr().out.split())
