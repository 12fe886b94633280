"""What newcomers used after day one, by when the item came: five users and six items, worked out by hand."""

from __future__ import annotations

import numpy as np

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.splits.histories import LogSpan
from firstday.data.splits.snapshot import find_first_seen
from firstday.data.splits.target_uses import TargetUses, count_target_uses
from tests.data.test_splits_by_hand import Act, make_dataset, may

CONFIG = parse_config({"recommend": {"k": 1}})
CUT_OFFS = (4, 7)
"""Days in May."""
REGISTERED = [may(1), may(5), may(8), may(2), may(3)]
ACTS: list[Act] = [
    (0, "stream", "i0", may(1, 1)),
    (0, "stream", "i1", may(5, 10)),  # after the first cut-off, and before the end of u1's day one
    (0, "stream", "i2", may(6, 12)),  # after it
    (1, "stream", "i3", may(5, 2)),
    (1, "stream", "i3", may(7)),  # used on day one
    (1, "stream", "i0", may(6, 2)),
    (1, "stream", "i1", may(6, 3)),
    (1, "stream", "i2", may(8)),
    (1, "skip", "i4", may(8)),  # no use
    (2, "stream", "i1", may(9, 10)),  # existed at the second cut-off
    (2, "stream", "i5", may(10)),
    (2, "stream", "i0", may(18)),  # after the target window
]


def count(part: Dataset, first_seen: np.ndarray) -> TargetUses:
    span = LogSpan(*(int(may(day).timestamp() * 1e6) for day in (1, 20)))
    moments = [int(may(day).timestamp() * 1e6) for day in CUT_OFFS]
    return count_target_uses(part, CONFIG, span, 5.0, moments, first_seen)


def test_uses_are_counted_by_when_the_item_and_its_artist_came() -> None:
    dataset = make_dataset(ACTS, REGISTERED)
    uses = count(dataset, find_first_seen(dataset))
    assert uses.by_state["item"].tolist() == [2, 1, 2]
    assert uses.by_state["artist"].tolist() == [5, 0, 0]  # i5 came late, but its artist with i3
    assert uses.by_age[:6].tolist() == [2, 1, 0, 0, 1, 1]
    assert uses.by_age.sum() == 5
    assert uses.median_age_days == 1
    assert uses.shares() == {"at_training": 40, "by_day_one": 20, "later": 40}


def test_entities_with_fewer_members_than_a_list_are_no_items() -> None:
    dataset = make_dataset(ACTS, REGISTERED)
    log = LogSpan(*(int(may(day).timestamp() * 1e6) for day in (1, 20)))
    assert set(count_target_uses(dataset, Config(), log, 5.0, [log.start], find_first_seen(dataset)).by_state) == {
        "item"
    }


def test_parts_add_up() -> None:
    dataset = make_dataset(ACTS, REGISTERED)
    first_seen = find_first_seen(dataset)
    parts = [count(dataset.keep_users(np.array(users)), first_seen) for users in ([0, 1], [2, 3, 4])]
    whole = count(dataset, first_seen)
    added = parts[0] + parts[1]
    assert {name: counts.tolist() for name, counts in added.by_state.items()} == {
        name: counts.tolist() for name, counts in whole.by_state.items()
    }
    np.testing.assert_array_equal(added.by_age, whole.by_age)
