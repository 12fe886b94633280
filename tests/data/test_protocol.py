"""Which protocol a log gets: the same by every function and command, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add

import numpy as np
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.splits.histories import Protocol
from firstday.data.splits.holdout import log_of, protocol_of
from firstday.data.splits.protocol import choose_protocol
from firstday.data.summary import Summary, summarise
from firstday.engine.engines import explain_protocol
from tests.data.test_splits_by_hand import Act, make_dataset

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def log(*hours: tuple[float | None, ...], registered: bool = False) -> Dataset:
    """Make a log of up to five users, given the hours at which each used items 0, 1, ...; None: without a time."""
    acts: list[Act] = [
        (user, "stream", f"i{item}", None if hour is None else NOON + timedelta(hours=hour))
        for user, moments in enumerate(hours)
        for item, hour in enumerate(moments)
    ]
    return make_dataset(acts, [NOON] * 5 if registered else None)


RETURNING = (0, 30)
ONE_SITTING = (0, 23.9)
ONCE = (0,)
CASES: list[tuple[Dataset, Protocol]] = [
    (log((None, None), (None, None)), "sampled"),  # no times
    (log(RETURNING, RETURNING, ONE_SITTING), "registration"),
    (log(RETURNING, ONE_SITTING), "registration"),  # half
    (log(RETURNING, ONE_SITTING, ONE_SITTING), "sampled"),
    (log((0, 24)), "registration"),  # a day later is no longer within the day
    (log(ONCE, ONCE, ONCE, RETURNING), "registration"),  # a single interaction tells nothing
    (log(ONCE, ONCE, RETURNING, ONE_SITTING, ONE_SITTING), "sampled"),
    (log(ONE_SITTING, ONE_SITTING, registered=True), "registration"),  # registrations are known
    (log(RETURNING, (None, None)), "sampled"),  # half of the interactions have a time
    (log(RETURNING, (None,)), "registration"),
    (log(RETURNING, (None, None, None), registered=True), "sampled"),
    (log(), "sampled"),
    (replace(log(ONE_SITTING, ONE_SITTING), registered_at=np.full(5, -1)), "sampled"),  # none is known
]


@pytest.mark.parametrize(("dataset", "protocol"), CASES)
def test_a_log_with_a_clock_is_split_by_registration(dataset: Dataset, protocol: Protocol) -> None:
    assert protocol_of(dataset, Config()) == protocol
    parts = [summarise(dataset.keep_users(np.array([user]))) for user in range(5)]
    assert choose_protocol(reduce(add, parts, Summary()), Config()) == choose_protocol(summarise(dataset), Config())
    for setting in ("sampled", "registration"):
        assert protocol_of(dataset, Config().override("protocol", setting)) == setting


def test_the_log_begins_with_the_first_interaction_and_ends_just_after_the_last() -> None:
    span = log_of(log(RETURNING, (2, 40)), Config())
    assert span is not None
    start = int(NOON.timestamp() * 1_000_000)
    assert (span.start, span.end) == (start, start + 40 * 3_600_000_000 + 1)


def test_the_protocol_is_said_with_what_each_would_give() -> None:
    config = parse_config({"sampled": {"min_items": 2}})
    dataset = log(RETURNING, RETURNING, ONE_SITTING, ONCE, (None, None))
    assert explain_protocol(dataset, config) == (
        "Protocol registration (setting auto): 7 of 9 interactions have a time, 0 of 5 users a registration time, and "
        "1 of 3 users with several interactions did everything within 24 hours; `registration` can hold out up to 2 "
        "users, who came back later, and `sampled` 3, who used at least 2 items."
    )
    sentence = explain_protocol(dataset, config.override("protocol", "sampled"))
    assert sentence.startswith("Protocol sampled (setting sampled): ")
    assert sentence.endswith(" and `sampled` 4, who used at least 2 items.")  # with the user whose uses have no time
    assert " 5 of 5 users a registration time" in explain_protocol(log(RETURNING, registered=True), config)
