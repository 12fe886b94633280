"""Renew what README.md and docs have from the code and docs/results: python docs/write_tables.py.

The tables between markers, and docs/images/quality.svg.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from table_makers import (
    arrivals,
    bandit,
    cost,
    demo,
    dependencies,
    experiments,
    onboarding,
    operations,
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
    "list-speed": quality.list_speed,
    "list-growth": cost.list_growth,
    "list-varied": cost.list_varied,
    "start": cost.start,
    "list-equality": quality.list_equality,
    "rules": quality.rules_cost,
    "rules_equality": quality.rules_equality,
    "calibration": quality.calibration,
    "clock_lists": quality.clock_lists,
    "clock_ages": quality.clock_ages,
    "components": quality.components,
    "blend_defaults": quality.blend_defaults,
    "known_items": quality.known_items,
    "elsewhere": quality.elsewhere,
    "nothing_known": quality.nothing_known,
    "denied_ids": quality.denied_ids,
    "similar_items": quality.similar_items,
    "similar_for_users": quality.similar_for_users,
    "growth": scale.growth,
    "repeats": scale.repeats,
    "spark-growth": scale.spark_growth,
    "sample-cost": scale.sample_cost,
    "simulated": scale.simulated,
    "arrivals": arrivals.policies,
    "arrivals_new": arrivals.new_items,
    "new_items": arrivals.hidden_items,
    "onboarding": onboarding.onboarding,
    "onboarding_variants": onboarding.onboarding_variants,
    "onboarding_speed": onboarding.onboarding_speed,
    "ab_tests": experiments.ab_tests,
    "replay": bandit.replay,
    "paper_scale": paper.paper_scale,
    "paper_stages": paper.paper_stages,
    "paper_figures": paper.paper_figures,
    "dependencies": dependencies.dependencies,
    "first_lists": dependencies.first_lists,
    "install_sizes": dependencies.total_sizes,
    "training_settings": settings.training_settings,
    "serve_settings": settings.serve_settings,
    "load": cost.load,
    "clean_nights": operations.clean_nights,
    "damages": operations.damages,
    "recording": operations.recording,
    "stores": operations.stores,
    "exporting": operations.exporting,
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
