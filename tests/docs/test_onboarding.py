"""What docs/onboarding.md says of the questionnaire is what was measured."""

from __future__ import annotations

import json

from tests.docs.test_pages import DOCS

RESULTS = DOCS / "results"


Rows = dict[tuple[str, str, int], dict[str, float]]


def read_rows(name: str) -> Rows:
    content = json.loads((RESULTS / f"onboarding-{name}.json").read_text("utf-8"))
    return {(row["list"], row["arm"], row["questions"]): row for row in content["results"]}


def test_five_questions_beat_five_popular_ones_by_a_tenth() -> None:
    rows = read_rows("movielens-100k")
    five, popular = rows["answers", "segments", 5], rows["answers", "popular", 5]
    assert five["precision"] >= 1.1 * popular["precision"]
    assert five["precision_common"] >= 1.1 * popular["precision_common"]
    for arm in ("segments", "popular", "random"):  # noes count: lists by all answers are the better ones
        assert rows["answers", arm, 5]["precision"] > rows["blend", arm, 5]["precision"]
