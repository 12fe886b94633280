"""Tables and statements in README and docs are those of the code and of docs/results, and links lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import write_tables
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from table_makers.measured import SETS
from table_makers.quality import judge_leads

from firstday.evaluation.verdicts import AHEAD, BEHIND, NOT_WORSE

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
SAID = {AHEAD: {"simulated-clock", "deezer-europe"}, NOT_WORSE: {"movielens-100k"}, BEHIND: set()}
"""Datasets by what the README says of `auto` and the best single method at 10; of the others, it cannot be told."""
MARKDOWN = MarkdownIt().enable("table").use(anchors_plugin, max_level=4)


def test_every_table_is_current() -> None:
    kinds = set()
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        markers = write_tables.MARKED.findall(page)
        assert page.count("<!-- table: ") == len(markers)
        assert write_tables.render(page) == page, f"{path.name}: run make docs"
        kinds |= {marker.split()[0] for marker in markers}
    assert kinds == set(write_tables.MAKERS)


@pytest.mark.parametrize("verdict", SAID)
def test_verdicts_are_those_of_the_readme(verdict: str) -> None:
    verdicts = judge_leads()
    assert {name for name in SETS if verdicts[name, "precision_at_10"] == verdict} == SAID[verdict]


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
