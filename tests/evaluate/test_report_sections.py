"""What the report tells of groups, popularity and segments, in HTML and Markdown, with few segments and many."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from firstday.artifact.folder import read_manifest
from firstday.config import Config
from firstday.errors import ConfigError
from firstday.evaluate.report.render import (
    escape_markdown,
    find_form,
    render_report,
    write_block,
    write_code,
    write_model_report,
    write_report,
)
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
    items = (SegmentItem("i1", title, 0.75, 0.25, 3.0), SegmentItem("i2", "", 0.5, 0.4, 1.25))
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


def render(form: Any = "html", found: Breakdown | None = None, **changes: Any) -> str:
    return render_report(
        results(breakdown=found or breakdown()), form, dataset_summary=SUMMARY, config=Config(), **changes
    )


def text_of(form: str, found: Breakdown | None = None, **changes: Any) -> str:
    """Return the words of a report, however it is laid out."""
    page = render(form, found, **changes)
    if form == "md":
        page = MarkdownIt("commonmark").enable("table").render(page)
    return Page(re.sub(r"<(br|hr) ?/?>", " ", page).replace("\N{NO-BREAK SPACE}", " ")).text


@pytest.mark.parametrize("form", ["html", "md"])
def test_both_forms_tell_the_same(form: str) -> None:
    text = text_of(form, example=EXAMPLE, command="firstday evaluate tables")
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


def test_markdown_has_whole_tables_and_nothing_else_gets_through() -> None:
    page = MarkdownIt("commonmark").enable("table").render(render("md", example=EXAMPLE, command="a\n```\nb"))
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    # strategies, sizes, age, country, popularity, what lists are like, segments, training, data
    assert len(tables) == 9
    for table in tables:
        rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
        assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
    outside = re.sub(r"<(table|pre)>.*?</\1>", "", page, flags=re.DOTALL)
    assert "|" not in outside
    assert "--:" not in page
    assert "<script" not in page
    assert "a\n```\nb" in page


@pytest.mark.parametrize(
    "text", ["a|b", "<b>", "*x*", "_y_", "`c`", "[l](u)", "# h", "&amp;", "\\", "1 < 2 > 0", "a\nb"]
)
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    shown = MarkdownIt("commonmark").enable("table").render(f"| {escape_markdown(text)} |\n|---|\n| x |\n")
    assert Page(shown).text == f"{' '.join(text.split())} x"
    assert "<h1>" not in shown
    assert "<em>" not in shown
    code = MarkdownIt("commonmark").enable("table").render(f"| h |\n|---|\n| {write_code(text)} |\n")
    assert code.count("<td>") == 1
    fenced = MarkdownIt("commonmark").render(write_block(f"x\n{text}\n````\n"))
    assert fenced.count("<pre>") == 1
    assert "````" in fenced


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
    for form in ("html", "md"):
        page = render_report(found, form, dataset_summary=SUMMARY, config=Config())
        if form == "md":
            page = MarkdownIt("commonmark").enable("table").render(page)
        text = Page(re.sub(r"(</t[hd]>)", r" \1", page)).text
        assert re.search(r"item_item\s+6\s+0.25\s+shrinkage 10.0, neighbors 50; shrinkage 0.0, neighbors 50", text)
    assert "tuned peers" not in render().lower()


@pytest.mark.parametrize(("n_segments", "shown"), [(1, 1), (10, 10), (12, 12), (13, 8), (1000, 8)])
def test_few_segments_are_all_shown_and_of_many_the_largest_and_smallest(n_segments: int, shown: int) -> None:
    found = breakdown(n_segments)
    page = render("html", found)
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
    assert len(re.findall(r"^\| \d+ \| \d+ \| 0\.\d\d \|", render("md", found), re.MULTILINE)) == shown


def test_without_a_gap_it_is_said_and_without_profiles_the_section_is_left_out() -> None:
    even = GroupFigures((AGES,), None, replace(GAP, strategy="popular", baseline=None), 7)
    for form in ("html", "md"):
        text = text_of(form, breakdown(groups=even))
        assert "No group is beyond noise: of 7 groups" in text
        assert "With popular, the largest gap beyond noise is that country: DE gets 12.0 points less" in text
        few = text_of(form, breakdown(groups=GroupFigures((COUNTRIES,), None, None, 0)))
        assert "too few cold users to compare groups" in few
        assert "What each group of users gets" not in text_of(form, breakdown(groups=GroupFigures((), None, None, 0)))


def test_popular_is_named_only_where_it_was_evaluated() -> None:
    alone = Grouping("age", tuple(replace(one, precision={"segment": around(40)}) for one in AGES.groups))
    shares = PopularityShares(TEN_PARTS, (10.0,) * 10, {"segment": (10.0,) * 10})
    found = breakdown(groups=GroupFigures((alone,), None, None, 2), popularity=shares)
    page = render_report(results(SEGMENT, breakdown=found), dataset_summary=SUMMARY, config=Config())
    assert "stands beside" not in page
    assert "stands beside segment" in " ".join(render().split())


def test_many_groups_are_drawn_largest_first_and_all_in_the_table() -> None:
    many = Grouping("city", tuple(group(f"town {n}", 500 - n, 40 + n / 10) for n in range(90)))
    page = render("html", breakdown(groups=GroupFigures((many,), None, None, 90)))
    assert "The 16 largest of 90 groups; the table has all." in page
    assert page.count("town 89") == 1
    assert page.count("town 3<") + page.count("town 3 (") == 2


def test_the_model_to_keep_is_shown_instead_of_the_first_seeds() -> None:
    page = text_of("html", history=HISTORY, segments=[segment(77, 123)])
    assert "One segment of the model that is kept holds all 123 warm users" in page
    assert "cold model of the model that is kept" in page
    assert "10 segments of the run with seed 0" in text_of("html")


@pytest.mark.parametrize("name", ["report.md", "report.MD", "page.htm", "page.html"])
def test_the_ending_decides(name: str, tmp_path: Path) -> None:
    write_report(results(), tmp_path / name, dataset_summary=SUMMARY, config=Config())
    start = (tmp_path / name).read_text()[:15]
    assert start == ("# Cold users of" if "md" in name.lower() else "<!doctype html>")


@pytest.mark.parametrize(("name", "found"), [("report.pdf", "ends in '.pdf'"), ("report", "has no ending")])
def test_another_ending_is_refused(name: str, found: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"{found}; a report is \.html or \.md: give its name one of these endings\."
    ):
        find_form(name)


def test_a_model_alone_is_reported(recommender: Recommender, tmp_path: Path) -> None:
    model = recommender.model
    manifest = read_manifest(recommender.save(tmp_path / "model"))
    for form in ("html", "md"):
        write_model_report(model, manifest, tmp_path / f"report.{form}", command="firstday inspect model")
        page = (tmp_path / f"report.{form}").read_text()
        if form == "md":
            page = MarkdownIt("commonmark").enable("table").render(page)
        text = Page(re.sub(r"<(br|hr) ?/?>", " ", page).replace("\N{NO-BREAK SPACE}", " ")).text
        sizes = model.segments.items.sizes
        assert f"{sizes.sum()} users in {len(sizes)} segments" in text
        assert manifest["version"] in text
        assert f"lists of {manifest['metrics']['k']} from segments find" in text
        assert "Training of the cold model of this model" in text
        assert "firstday train TABLES --config settings.toml --out MODEL" in text
        assert "dimensions = 12" in text
    html = (tmp_path / "report.html").read_text()
    assert Page(html).open == []
    assert html.count("<svg") == 2
