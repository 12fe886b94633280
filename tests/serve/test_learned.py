"""What was shown in a request, and what an explanation says was learned from it: numbers of five users, by hand."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.serve.conftest import add_events, get_list, ids_of, post_list
from tests.serve.test_explain import ask

NAMES = {0: ["One", "Two", "Three"], 1: ["Four", "Five", "Three"]}
"""By the share of the segment's users times the logarithm of the lift."""


def assert_learned(answer: dict[str, Any], counts: tuple[int, int], risen: int, north: tuple[float, float]) -> None:
    """Check that one of the two segments rose and the other fell, by how likely the north was before and after."""
    learned = answer["explanation"]["learned"]
    assert (learned["n_passed_over"], learned["n_used"]) == counts
    beliefs = {1: north, 0: (1 - north[0], 1 - north[1])}
    for name, segment in (("risen", risen), ("fallen", 1 - risen)):
        (found,) = learned[name]
        assert (found["segment"], found["titles"]) == (segment, NAMES[segment])
        assert (found["before"], found["after"]) == pytest.approx(beliefs[segment], abs=1e-5)


def test_what_was_passed_over_makes_those_who_use_it_less_likely(by_hand: httpx.Client) -> None:
    # i1 is used by 3 of 5: with five users of everyone's habits by 6 of 8 in the east and 3 of 7 in the north. Evidence
    # has a power of one half. Before, segments are as likely as they are large.
    east = 0.6 * np.sqrt(1 / 4)
    north = 0.4 * np.sqrt(4 / 7)
    assert_learned(ask(by_hand, {"shown": ["i1"]}), (1, 0), 1, (0.4, north / (east + north)))


def test_what_was_used_of_what_was_shown_counts_as_learned(by_hand: httpx.Client) -> None:
    # Who uses i4 is predicted to be in the north, where the east is half as likely; i4 is used by 2 of 8 and by 4 of 7.
    east = 1 / 3 * 1 / 4
    north = 2 / 3 * 4 / 7
    signals = {"interactions": [["stream", "item", "i4"]], "shown": ["i4", ["i1", 1], "nobody-knows"]}
    assert_learned(ask(by_hand, signals), (1, 1), 1, (0.4, north / (east + north)))


def test_nothing_is_learned_where_nothing_was_passed_over(by_hand: httpx.Client) -> None:
    nothing: list[dict[str, Any]] = [
        {},
        {"interactions": [["stream", "item", "i1"]]},
        {"interactions": [["stream", "item", "i1"]], "shown": ["i1"]},
        {"shown": ["no"]},
    ]
    for signals in nothing:
        assert "learned" not in ask(by_hand, signals)["explanation"]
    assert "explanation" not in post_list(by_hand, {"shown": ["i1"]})


def test_what_the_store_knows_was_shown_is_told_alike(by_hand: httpx.Client) -> None:
    add_events(by_hand, "anna", "i4")
    add_events(by_hand, "anna", "i1", signal="shown", list_id="a", position=3)
    add_events(by_hand, "anna", "i2", signal="shown")
    stored = get_list(by_hand, "anna", explain=True, strategy="popular")
    shown = [{"item_id": "i1", "list_id": "a", "position": 3}, "i2"]
    given = ask(by_hand, {"interactions": [["stream", "item", "i4"]], "shown": shown}, strategy="popular")
    assert stored["explanation"]["learned"] == given["explanation"]["learned"]
    assert stored["items"] == given["items"]
    assert ids_of(given) == ["i3", "i5", "i6", "i1"]  # i1 and i2 rest: they come last
