"""Whether two datasets are the same."""

from __future__ import annotations

import numpy as np

from firstday.data.dataset import Dataset


def assert_equal(one: Dataset, other: Dataset) -> None:
    """Every field is the same, except for the name."""
    assert one.users.values.to_list() == other.users.values.to_list()
    assert one.items.values.to_list() == other.items.values.to_list()
    assert one.events.whole().equals(other.events.whole())
    assert one.entities.keys() == other.entities.keys()
    for name, entity in one.entities.items():
        assert entity.ids.values.to_list() == other.entities[name].ids.values.to_list()
        for part in ("starts", "columns", "weights"):
            np.testing.assert_array_equal(getattr(entity.items, part), getattr(other.entities[name].items, part))
    assert {name: group.values for name, group in one.groups.items()} == {
        name: group.values for name, group in other.groups.items()
    }
    for name, group in one.groups.items():
        np.testing.assert_array_equal(group.codes, other.groups[name].codes)
    np.testing.assert_array_equal(one.ages, other.ages)
    np.testing.assert_array_equal(one.registered_at, other.registered_at)
    assert one.titles == other.titles
    assert (one.friends is None) == (other.friends is None)
    if one.friends is not None and other.friends is not None:
        np.testing.assert_array_equal(one.friends.starts, other.friends.starts)
        np.testing.assert_array_equal(one.friends.columns, other.friends.columns)
