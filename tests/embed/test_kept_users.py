"""Who is kept of warm users, and with which vector."""

from __future__ import annotations

import numpy as np

from firstday.data.ids import Ids
from firstday.embed.kept_users import keep_warm_users
from tests.data.same import assert_same
from tests.tiny import USES


def test_so_many_warm_users_are_kept_and_no_more() -> None:
    ids = Ids.of([f"u{ix}" for ix in range(1, 6)])
    vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
    kept = keep_warm_users(ids, vectors, USES, 3, seed=1)
    rows = ids.lookup(kept.ids.values)
    assert len(kept) == len(set(rows.tolist())) == 3
    assert rows.min() >= 0
    np.testing.assert_array_equal(kept.vectors, vectors[rows])
    assert_same(kept.uses, USES.take(rows))
    assert keep_warm_users(ids, vectors, USES, 5, seed=1).vectors.tolist() == vectors.tolist()
