"""What the report tells of groups, popularity and segments, with few segments and many."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstday.artifact.folder import read_manifest
from firstday.config import Config
from firstday.errors import ConfigError
from firstday.evaluate.report.render import check_report_path, render_report, write_model_report
from firstday.evaluate.slices import Breakdown, Gap, GroupFigures, Grouping, PopularityShares, UserGroup
from firstday.metrics import Interval
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import SegmentItem, SegmentRow
from firstday.training.tune import Tuning
from tests.evaluate.test_report import EXAMPLE, HISTORY, HOSTILE, RIGHT_TO_LEFT, SEGMENT, SUMMARY, Page, around, results

STRATEGIES = ("popular", "segment", "fold_in")
TEN_PARTS = tuple(range(1, 11))
GAP = Gap("country", "DE", "segment", 38.0, 50.0, Interval(-12, -15, -9), -3.0, 7)


def segment(number: int, n_users: int, title: str = "Fargo") -> SegmentRow:
    items = (SegmentItem("i1", title, 0.75, 0.25), SegmentItem("i2", "", 0.5, 0.4))
    return SegmentRow(number, n_users, 0.1 + number / 10_000, items, items[:1])


def group(label: str, n_users: int, mean: float, **changes: Any) -> UserGroup:
    return UserGroup(label, n_users, {name: around(mean) for name in STRATEGIES}, **changes)


COUNTRIES = Grouping("country", (group(HOSTILE, 300, 50), group("$DE_", 200, 38), group("not known", 7, 45)))
AGES = Grouping("age", (group("under 25", 250, 50), group("25 and over", 257, 49)))


def breakdown(n_segments: int = 10, **changes: Any) -> Breakdown:
    values: dict[str, Any] = {
        "groups": GroupFigures((AGES, COUNTRIES), GAP, None, 7),
        "popularity": PopularityShares(TEN_PARTS, (10.0,) * 10, dict.fromkeys(STRATEGIES, (55.0, *((5.0,) * 9)))),
        "segments": tuple(
            segment(n, 5 + (37 * n) % 400, RIGHT_TO_LEFT if n % 2 else HOSTILE) for n in range(n_segments)
        ),
        "history": HISTORY,
    }
    return Breakdown(**{**values, **changes})


def render(found: Breakdown | None = None, **changes: Any) -> str:
    return render_report(results(breakdown=found or breakdown()), dataset_summary=SUMMARY, config=Config(), **changes)


def text_of(found: Breakdown | None = None, **changes: Any) -> str:
    """Return the words of a report."""
    return Page(render(found, **changes).replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")).text


def test_a_report_tells_what_was_measured() -> None:
    text = text_of(example=EXAMPLE, command="firstday evaluate tables")
    for words in (
        "country: DE gets 38.0 % with segment, all others 50.0 %. That is 12.0 points less",
        "\N{MINUS SIGN}15.0 to \N{MINUS SIGN}9.0, an interval that holds for all 7 groups compared at once",
        "With popular the same gap is \N{MINUS SIGN}3.0 points.",
        "User by user, segment is 10.0 points above popular",
        "under 25",
        "$DE_",
        " ".join(HOSTILE.split())[:100],
        RIGHT_TO_LEFT,
        "too few to judge by",
        "55.0",
        "used afterwards",
        "firstday evaluate tables",
        "als_confidence = 15.0",
        "1,943",
        "number 17, 1,038 users",
        "half of",
    ):
        assert words in text, words
    assert "None" not in text


def test_a_page_with_everything_is_well_formed() -> None:
    page = Page(render(example=EXAMPLE))
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("href", "xlink:href", "aria-labelledby"):
            target = attributes.get(name)
            if target:
                assert target.removeprefix("#") in ids, target
    names = [tag for tag, _ in page.tags]
    assert names.count("svg") == names.count("figure") == 7
    assert "<script" not in render(example=EXAMPLE)


def test_tuned_peers_are_told_with_what_was_chosen() -> None:
    grid = {"shrinkage": (0.0, 10.0), "neighbors": (50, 100, 200)}
    tuning = Tuning(grid, {"shrinkage": 10.0, "neighbors": 50}, 51.0, 90, 0.25, 2.0)
    other = replace(tuning, options={"shrinkage": 0.0, "neighbors": 50})
    found = results(breakdown=breakdown(), tunings={"item_item": (tuning, other)})
    page = render_report(found, dataset_summary=SUMMARY, config=Config())
    text = Page(re.sub(r"(</t[hd]>)", r" \1", page)).text
    assert re.search(r"item_item\s+6\s+0.25\s+shrinkage 10.0, neighbors 50; shrinkage 0.0, neighbors 50", text)
    assert "tuned peers" not in render().lower()


@pytest.mark.parametrize(("n_segments", "shown"), [(1, 1), (10, 10), (12, 12), (13, 8), (1000, 8)])
def test_few_segments_are_all_shown_and_of_many_the_largest_and_smallest(n_segments: int, shown: int) -> None:
    found = breakdown(n_segments)
    page = render(found)
    before_all, _, folded = page.partition(f"<details><summary>All {n_segments:,} segments")
    rows = re.findall(r'<tr><th scope="row">(\d+)</th>', before_all if folded else page)
    assert len(rows) == shown
    if folded:
        everything = re.findall(r'<tr><th scope="row">(\d+)</th>', folded)
        assert sorted(map(int, everything)) == list(range(n_segments))
        sizes = {row.number: row.n_users for row in found.segments}
        assert [sizes[int(n)] for n in everything] == sorted(sizes.values(), reverse=True)
        assert [sizes[int(n)] for n in rows[-3:]] == sorted(sizes.values())[2::-1]
    assert page.count("<use ") > n_segments  # a dot each
    assert len(page) < 2500 * n_segments + 400_000


def test_without_a_gap_it_is_said_and_without_profiles_the_section_is_left_out() -> None:
    even = GroupFigures((AGES,), None, replace(GAP, strategy="popular", baseline=None), 7)
    text = text_of(breakdown(groups=even))
    assert "No group is beyond noise: of 7 groups" in text
    assert "With popular, the largest gap beyond noise is that country: DE gets 12.0 points less" in text
    few = text_of(breakdown(groups=GroupFigures((COUNTRIES,), None, None, 0)))
    assert "too few cold users to compare groups" in few
    assert "What each group of users gets" not in text_of(breakdown(groups=GroupFigures((), None, None, 0)))


def test_popular_is_named_only_where_it_was_evaluated() -> None:
    alone = Grouping("age", tuple(replace(one, precision={"segment": around(40)}) for one in AGES.groups))
    shares = PopularityShares(TEN_PARTS, (10.0,) * 10, {"segment": (10.0,) * 10})
    found = breakdown(groups=GroupFigures((alone,), None, None, 2), popularity=shares)
    page = render_report(results(SEGMENT, breakdown=found), dataset_summary=SUMMARY, config=Config())
    assert "stands beside" not in page
    assert "stands beside segment" in " ".join(render().split())


def test_many_groups_are_drawn_largest_first_and_all_in_the_table() -> None:
    many = Grouping("city", tuple(group(f"town {n}", 500 - n, 40 + n / 10) for n in range(90)))
    page = render(breakdown(groups=GroupFigures((many,), None, None, 90)))
    assert "The 16 largest of 90 groups; the table has all." in page
    assert page.count("town 89") == 1
    assert page.count("town 3<") + page.count("town 3 (") == 2


def test_the_model_to_keep_is_shown_instead_of_the_first_seeds() -> None:
    page = text_of(history=HISTORY, segments=[segment(77, 123)])
    assert "One segment of the model that is kept holds all 123 warm users" in page
    assert "cold model of the model that is kept" in page
    assert "10 segments of the run with seed 0" in text_of()


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
    write_model_report(model, manifest, tmp_path / "report.html", command="firstday inspect model")
    html = (tmp_path / "report.html").read_text()
    text = Page(html.replace("\N{NO-BREAK SPACE}", " ")).text
    sizes = model.segments.items.sizes
    assert f"{sizes.sum()} users in {len(sizes)} segments" in text
    assert manifest["version"] in text
    assert f"lists of {manifest['metrics']['k']} from segments find" in text
    assert "Training of the cold model of this model" in text
    assert "firstday train TABLES --config settings.toml --out MODEL" in text
    assert "dimensions = 12" in text
    assert Page(html).open == []
    assert html.count("<svg") == 2
