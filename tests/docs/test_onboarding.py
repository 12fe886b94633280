"""What docs/onboarding.md says of the questionnaire is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import write_tables

from tests.docs.test_pages import DOCS

RESULTS = DOCS / "results"


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    content: dict[str, object] = json.loads(Path(RESULTS / "onboarding-movielens-100k.json").read_text("utf-8"))
    return content


def test_five_questions_beat_five_popular_ones_by_a_tenth(found: dict[str, object]) -> None:
    assert isinstance(found["results"], list)
    assert (found["users"], found["seeds"]) == ("cold", [0, 1, 2, 3, 4])
    rows = {(row["list"], row["arm"], row["questions"]): row for row in found["results"]}
    five = rows["answers", "adaptive", 5]
    assert five["precision"] >= 1.1 * rows["answers", "popular", 5]["precision"]
    assert five["precision_common"] >= 1.1 * rows["answers", "popular", 5]["precision_common"]
    assert five["precision_minus_popular_ci"][0] > 0
    for arm in ("adaptive", "segments", "popular", "random"):  # noes count: lists by all answers are the better ones
        assert rows["answers", arm, 5]["precision"] > rows["blend", arm, 5]["precision"]
    assert rows["blend", "segments", 5]["precision"] > rows["blend", "adaptive", 5]["precision"]


def test_tables_are_what_was_measured() -> None:
    page = (DOCS / "onboarding.md").read_text(encoding="utf-8")
    assert "<!-- table: onboarding movielens-100k answers -->" in page
    assert write_tables.render(page) == page, "run make docs"
