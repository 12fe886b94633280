"""The figures in README and docs are those of docs/results, and links lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import write_tables
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from table_makers.measured import DATASETS, read_results

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
MARKDOWN = MarkdownIt().enable("table").use(anchors_plugin, max_level=4)


def test_every_table_is_what_was_measured() -> None:
    for path in write_tables.PAGES:
        page = path.read_text(encoding="utf-8")
        assert "<!-- table: " in page
        assert write_tables.render(page) == page, f"{path.name}: run make docs"


def test_what_the_text_says_of_the_results_holds() -> None:
    for name in DATASETS:
        rows = {row["strategy"]: row for row in read_results(name)["results"]}
        assert rows["segment"]["precision_ci"][0] > rows["popular"]["precision_ci"][1]
        assert rows["segment"]["precision"] > 1.12 * rows["popular"]["precision"]
        assert rows["personal"]["minus_segment_ci"][0] > 0
        assert rows["direct"]["minus_segment_ci"][0] > 0
        beside = rows["blend"]["against"]
        assert beside["paper_segment"]["ratio_ci"][0] > 1.15
        assert beside["paper_segment"]["ratio"] >= 1.2
        assert rows["neighbors"]["against"]["segment"]["ratio_ci"][0] > 1.03
        assert all(beside[baseline]["ratio_ci"][0] > 1 for baseline in read_results(name)["options"])
    asked = read_results("onboarding-movielens-100k")["results"]
    five = {(row["list"], row["arm"]): row for row in asked if row["questions"] == 5}
    for metric in ("precision", "precision_common"):
        assert five["answers", "segments"][metric] >= 1.1 * five["answers", "popular"][metric]
    for arm in ("segments", "popular", "random"):  # noes count: lists by all answers are the better ones
        assert five["answers", arm]["precision"] > five["blend", arm]["precision"]
    befriended = {row["strategy"]: row["friends_only"] for row in read_results("deezer-europe")["results"]}
    assert befriended["blend"] > 1.25 * befriended["popular"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in read_links(page):
        if not target.startswith(("https://", "http://", "mailto:")):
            name, _, anchor = target.partition("#")
            path = page.parent / name if name else page
            assert path.exists(), target
            assert not anchor or anchor in read_anchors(path), f"{target}: {path.name} has no such heading"


def read_links(page: Path) -> list[str]:
    """Return where the links and pictures of a page lead."""
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    inline = [part for token in tokens for part in token.children or ()]
    return [str(part.attrs.get("href") or part.attrs["src"]) for part in inline if part.type in ("link_open", "image")]


def read_anchors(page: Path) -> set[str]:
    """Return the names that the headings of a page can be linked by."""
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    return {str(token.attrs["id"]) for token in tokens if token.type == "heading_open" and "id" in token.attrs}


def test_lines_of_the_readme_fit_into_an_editor() -> None:
    for number, line in enumerate((ROOT / "README.md").read_text(encoding="utf-8").splitlines(), 1):
        assert len(line) <= 120 or line.startswith("|"), number  # rows of tables cannot be broken
