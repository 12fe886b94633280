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
from firstday.config import Config
from firstday.errors import ConfigError
from firstday.evaluation.report.content import explain_protocol, gather_evaluation, gather_model
from firstday.evaluation.report.render import check_report_path, render_report, write_report
from firstday.evaluation.results import UNKNOWN_VECTORS, Figure, Results
from firstday.metrics import Interval
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import SegmentItem, SegmentRow
from firstday.training.option_search import Tuning
from tests.evaluation.test_report import (
    EXAMPLE,
    HISTORY,
    HOSTILE,
    RIGHT_TO_LEFT,
    SEGMENT,
    SUMMARY,
    Page,
    around,
    figure,
    results,
)
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
    return tuple(segment(at, 5 + (37 * at) % 400, RIGHT_TO_LEFT if at % 2 else HOSTILE) for at in range(n))


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


def render(shown: Results | None = None, **changes: Any) -> str:
    content = gather_evaluation(shown or full_results(), dataset_summary=SUMMARY, config=Config(), **changes)
    return render_report(content)


def text_of(shown: Results | None = None, **changes: Any) -> str:
    """Return the words of a report."""
    return words_of(render(shown, **changes))


@pytest.fixture(scope="module")
def page() -> str:
    return render(example=EXAMPLE, command="firstday evaluate tables")


def words_of(page: str) -> str:
    return Page(page.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")).text


def test_a_report_tells_what_was_measured(page: str) -> None:
    text = words_of(page)
    for words in (
        "country: $DE_ gets 38.0 % with segment, all others 50.0 %. That is 12.0 points less",
        "\N{MINUS SIGN}15.0 to \N{MINUS SIGN}9.0, an interval that holds for all 4 groups compared at once",
        "With popular the same gap is \N{MINUS SIGN}3.0 points.",
        "under 25",
        " ".join(HOSTILE.split())[:100],
        RIGHT_TO_LEFT,
        "too few to judge by",
        "55.0",
        "used afterwards",
        "half of",
        "10 segments of the run with seed 0",
        "stands beside segment",
    ):
        assert words in text, words
    for words in ("None", "combinations tried", UNKNOWN_VECTORS):
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
    page = render(full_results(tunings={"item_item": (tuning, other)}))
    text = Page(re.sub(r"(</t[hd]>)", r" \1", page)).text
    chosen = "shrinkage 10 (highest allowed), neighbors 50 (lowest allowed); shrinkage 0, neighbors 100"
    assert f"item_item: best of 5 combinations tried, on validation users: {chosen}." in text


@pytest.mark.parametrize("n_segments", [1, 12, 1000])
def test_segments_are_all_shown_largest_first(n_segments: int) -> None:
    page = render(full_results(n_segments))
    shown = re.findall(r'<tr><th scope="row">(\d+)</th>', page)
    assert sorted(map(int, shown)) == list(range(n_segments))
    sizes = {row.number: row.n_users for row in segments(n_segments)}
    assert [sizes[int(n)] for n in shown] == sorted(sizes.values(), reverse=True)
    assert len(page) < 2500 * n_segments + 400_000


def test_without_a_gap_it_is_said_and_without_profiles_the_section_is_left_out() -> None:
    text = text_of(full_results(gaps=NO_GAP | {"country=$DE_": {"popular": Interval(-12, -15, -9)}}))
    assert "No group is beyond noise: of 3 groups" in text
    assert "With popular, the largest gap beyond noise is that country: $DE_ gets 12.0 points less" in text
    assert "too few cold users to compare groups" in text_of(full_results(groups={"country": COUNTRIES}, gaps={}))
    assert "What each group of users gets" not in text_of(full_results(groups={}))


def test_popular_is_named_only_where_it_was_evaluated() -> None:
    assert "stands beside" not in render(full_results(10, SEGMENT))


def test_many_groups_are_drawn_largest_first_and_all_in_the_table() -> None:
    many = {f"town {n}": (500 - n, 40 + n / 10) for n in range(90)}
    page = render(full_results(groups={"city": many}))
    assert "The 16 largest of 90 groups; the table has all." in page
    assert page.count("town 89") == 1
    assert page.count("town 3<") + page.count("town 3 (") == 2


def test_the_model_to_keep_is_shown_instead_of_the_first_seeds() -> None:
    text = text_of(replace(full_results(), segments=(segment(77, 123),)), described="the model that is kept")
    assert "One segment of the model that is kept holds all 123 warm users" in text
    assert "cold model of the model that is kept" in text


@pytest.mark.parametrize(
    ("name", "ending"),
    [("report.md", "ends in '.md'"), ("report.pdf", "ends in '.pdf'"), ("report", "has no ending")],
)
def test_a_report_is_html(name: str, ending: str) -> None:
    check_report_path("page.HTM")
    with pytest.raises(ConfigError) as caught:
        check_report_path(name)
    assert str(caught.value) == (
        f"{name}: {ending}, but a report is HTML: give it a name that ends in .html, or take --json for machines."
    )


def test_a_model_alone_is_reported(recommender: Recommender, tmp_path: Path) -> None:
    model = recommender.model
    manifest = read_manifest(recommender.save(tmp_path / "model"))
    write_report(gather_model(model, manifest, "firstday inspect model"), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    text = Page(html.replace("\N{NO-BREAK SPACE}", " ")).text
    sizes = model.segments.items.sizes
    assert f"Segments {len(sizes)} Features" in text
    assert f"Warm users, who were counted {sizes.sum()}" in text
    assert manifest["version"] in text
    assert f"the part of what a list of {manifest['metrics']['k']} can find" in text
    assert "Training of the cold model of this model" in text
    assert "firstday inspect model" in text
    assert "embedding.dimensions 12" in text
    assert Page(html).open == []
    assert html.count("<svg") == 1


@pytest.mark.parametrize("protocol", ["sampled", "registration", "another"])
def test_of_vectors_brought_along_it_is_said_that_nobody_knows_what_they_have_seen(protocol: str) -> None:
    learned, _ = explain_protocol(protocol, Config())
    brought, _ = explain_protocol(protocol, Config(), precomputed=True)
    assert learned.endswith("is in anything that was trained.")
    assert brought.endswith(f"is in anything that was trained here. {UNKNOWN_VECTORS}")


def test_a_report_and_its_json_say_that_vectors_were_brought_along(capsys: pytest.CaptureFixture[str]) -> None:
    shown = replace(full_results(), precomputed=True)
    assert UNKNOWN_VECTORS in " ".join(text_of(shown).split())
    measured = evaluate_tiny()
    told = replace(measured, precomputed=True)
    assert (measured.to_json()["vectors"], measured.to_json()["vectors_note"]) == ("learned from warm users", None)
    assert (told.to_json()["vectors"], told.to_json()["vectors_note"]) == ("precomputed", UNKNOWN_VECTORS)
    print_results(told)
    assert UNKNOWN_VECTORS in " ".join(capsys.readouterr().out.split())
