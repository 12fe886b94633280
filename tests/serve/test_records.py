"""What a user's records mean as signals."""

from __future__ import annotations

from dataclasses import asdict, replace

from firstday.features.signals import Signals
from firstday.features.wire_types import Impression
from firstday.serve.store.records import Event, Profile, ShownList, StoredEvent, StoredUser
from tests.serve.store_harness import make_event, make_shown

LIST = ShownList("l1", "explore", ("i1", "i2", "i3"), (1.0, 0.25, 0.125))
CERTAIN = ShownList("l2", "segment", ("i9",))


def stored(*events: Event) -> tuple[StoredEvent, ...]:
    return tuple(StoredEvent(**asdict(event), received_us=number) for number, event in enumerate(events))


def test_records_become_signals() -> None:
    profile = Profile({"age": 24, "profile": {"country": "FR"}, "picks": [["artist", "a7"]]})
    events = stored(make_shown("e1", "i5"), make_event("e2", list_id="l1"))
    assert StoredUser(profile, events, (LIST, CERTAIN)).to_signals("u") == Signals(
        user_id="u",
        age=24,
        country="FR",
        interactions=[("onboarding", "artist", "a7"), ("stream", "item", "i1")],
        shown=[
            Impression("i1", 1, "l1", 1.0, "explore", 0),
            Impression("i2", 2, "l1", 0.25, "explore", 0),
            Impression("i3", 3, "l1", 0.125, "explore", 0),
            Impression("i9", 1, "l2", 1.0, "segment", 0),
            Impression("i5", visit=0),
        ],
    )


def test_reported_impressions_replace_the_recorded_list() -> None:
    """The caller's events say what was seen; the record says how it was chosen."""
    events = stored(
        make_shown("e1", "i3", list_id="l1"),
        make_shown("e2", "i1", list_id="l1", position=1, propensity=0.5, policy="mine"),
        make_shown("e3", "new", list_id="l1", position=9),
        make_event("e4", list_id="l2"),
    )
    assert StoredUser(events=events, lists=(replace(LIST, is_told=True), CERTAIN)).to_signals().shown == (
        Impression("i9", 1, "l2", 1.0, "segment", 0),
        Impression("i3", None, "l1", 0.125, "explore", 0),
        Impression("i1", 1, "l1", 0.5, "mine", 1),
        Impression("new", 9, "l1", None, None, 2),
    )


def test_a_visit_ends_half_an_hour_after_the_last_request() -> None:
    minute = 60_000_000
    lists = tuple(ShownList(f"l{us}", "mine", ("i1",), received_us=us * minute) for us in (10, 20, 60, 80))
    user = StoredUser(lists=lists)
    for now, start in ((81, 60), (109, 60), (110, 110), (200, 200)):
        assert user.find_visit(now * minute, 30) == start * minute
    assert user.find_visit(80 * minute, 0) == 80 * minute
    shown = user.to_signals("u", 61 * minute, 30).shown
    assert [(one.list_id, one.visit) for one in shown] == [("l10", 0), ("l20", 0), ("l60", 1)]
