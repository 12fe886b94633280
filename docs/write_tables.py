"""Renew what README.md and docs have from the code and docs/results: python docs/write_tables.py.

The tables between markers, and docs/images/quality.svg.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from table_makers import (
    bandit,
    cost,
    demo,
    motion,
    operations,
    order,
    paper,
    quality,
    scale,
    settings,
)

DOCS = Path(__file__).parent
MARKED = re.compile(r"<!-- table: (.+?) -->\n.*?<!-- end -->", re.DOTALL)
MAKERS: Mapping[str, Callable[..., list[str]]] = {
    "demo_list": demo.demo_list,
    "strategies": quality.strategies,
    "day_one_sizes": quality.day_one_sizes,
    "clocks": quality.clocks,
    "leads": quality.leads,
    "list-growth": cost.list_growth,
    "list-varied": cost.list_varied,
    "start": cost.start,
    "order": order.order,
    "later_uses": motion.later_uses,
    "shared_items": motion.shared_items,
    "grown_days": motion.grown_days,
    "new_item_gains": motion.new_item_gains,
    "nothing_known": quality.nothing_known,
    "growth": scale.growth,
    "replay": bandit.replay,
    "paper_figures": paper.paper_figures,
    "paper_departures": paper.paper_departures,
    "paper_effects": paper.paper_effects,
    "training_settings": settings.training_settings,
    "serve_settings": settings.serve_settings,
    "load": cost.load,
    "clean_nights": operations.clean_nights,
    "damages": operations.damages,
    "stores": operations.stores,
    "attacks": operations.attacks,
    "faults": operations.faults,
    "alerts": operations.alerts,
}
"""Function that makes a table, by the first word of its marker; further words are its arguments."""


def list_pages() -> list[Path]:
    """Return the pages with tables."""
    pages = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
    return [page for page in pages if MARKED.search(page.read_text(encoding="utf-8"))]


def render(page: str) -> str:
    """Return a page with its tables renewed."""

    def renew(found: re.Match[str]) -> str:
        kind, *arguments = found[1].split()
        lines = "\n".join(MAKERS[kind](*arguments))
        return f"<!-- table: {found[1]} -->\n{lines}\n<!-- end -->"

    return MARKED.sub(renew, page)


if __name__ == "__main__":
    for path in list_pages():
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
    (DOCS / "images" / "quality.svg").write_text(quality.picture_leads(), encoding="utf-8")
