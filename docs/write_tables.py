"""Fill the tables between markers in README.md and docs from docs/results: no figure is typed by hand.

python docs/write_tables.py
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from table_makers import (
    arrivals,
    bandit,
    dependencies,
    experiments,
    leaderboard,
    onboarding,
    paper,
    quality,
    scale,
    tuning,
)
from table_makers.measured import NotMeasuredError

DOCS = Path(__file__).parent
PAGES = tuple(
    DOCS / page
    for page in (
        "../README.md",
        "quality.md",
        "protocols.md",
        "simulator.md",
        "reproduce.md",
        "onboarding.md",
        "rules.md",
        "spark.md",
        "tune.md",
        "experiments.md",
        "bandit.md",
        "leaderboard.md",
        "dependencies.md",
    )
)
MAKERS: Mapping[str, Callable[..., list[str]]] = {
    "evaluated": quality.evaluated,
    "clocks": quality.clocks,
    "list-speed": quality.list_speed,
    "list-equality": quality.list_equality,
    "rules": quality.rules_cost,
    "rules_equality": quality.rules_equality,
    "calibration": quality.calibration,
    "components": quality.components,
    "blend_defaults": quality.blend_defaults,
    "known_items": quality.known_items,
    "leads": quality.leads,
    "growth": scale.growth,
    "repeats": scale.repeats,
    "spark-growth": scale.spark_growth,
    "sample-cost": scale.sample_cost,
    "simulated": scale.simulated,
    "arrivals": arrivals.policies,
    "arrivals_new": arrivals.new_items,
    "onboarding": onboarding.onboarding,
    "onboarding_variants": onboarding.onboarding_variants,
    "onboarding_speed": onboarding.onboarding_speed,
    "ab_tests": experiments.ab_tests,
    "replay": bandit.replay,
    "replay_ways": bandit.replay_ways,
    "tune": tuning.tune,
    "leaderboard_sets": leaderboard.leaderboard_sets,
    "paper_scale": paper.paper_scale,
    "paper_stages": paper.paper_stages,
    "paper_figures": paper.paper_figures,
    "dependencies": dependencies.dependencies,
    "install_sizes": dependencies.total_sizes,
}
"""What writes a table, by the word in its marker."""


def render(page: str) -> str:
    """Return a page with its tables renewed."""

    def renew(found: re.Match[str]) -> str:
        kind, *arguments = found[1].split()
        try:
            lines = MAKERS[kind](*arguments)
        except NotMeasuredError:
            lines = ["Not measured yet."]
        return f"<!-- table: {found[1]} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return re.sub(r"<!-- table: (.+?) -->\n.*?<!-- end -->", renew, page, flags=re.DOTALL)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
