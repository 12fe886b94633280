"""What the ranker is trained to find: the items that warm users went on to use after a day one."""

from __future__ import annotations

import numpy as np

from firstday.cold.train_ranker import LaterItems
from firstday.sparse import SparseRows

USES = SparseRows.from_lists([[0, 1, 2], [0, 1, 2], [2, 3, 4], [3, 4]], 6)
DAY_ONES = (SparseRows.from_lists([[0], [], [2], [4]], 6), SparseRows.from_lists([[1, 2], [0], [], [3]], 6))


def dense(rows: SparseRows) -> np.ndarray:
    """Return 1 where there is an entry, else 0."""
    table = np.zeros((rows.n_rows, rows.n_columns), dtype=np.int64)
    table[rows.row_of_entry(), rows.columns] = 1
    return table


def test_what_is_wanted_is_used_and_was_not_on_day_one() -> None:
    later = LaterItems(USES, DAY_ONES, 10)
    np.testing.assert_array_equal(later.items, [0, 1, 2, 3, 4])  # nobody uses item 5
    np.testing.assert_allclose(later.shares, [0.5, 0.5, 0.75, 0.5, 0.5])
    wanted = dense(later.wanted_after(np.array([0, 4, 7])))  # users 0, 0 and 3, in the first, second and second sample
    np.testing.assert_array_equal(wanted, [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])


def test_of_fewer_items_the_most_used_are_kept() -> None:
    later = LaterItems(USES, DAY_ONES, 2)
    np.testing.assert_array_equal(later.items, [0, 2])
    np.testing.assert_array_equal(dense(later.wanted_after(np.array([0, 1]))), [[0, 1], [1, 1]])


def test_where_day_ones_are_not_known_all_that_is_used_is_wanted() -> None:
    later = LaterItems(USES, [], 10)
    np.testing.assert_array_equal(dense(later.wanted_after(np.array([3]))), [[0, 0, 0, 1, 1]])
