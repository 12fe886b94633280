"""Who is kept of warm users, and with which vector."""

from __future__ import annotations

import numpy as np

from firstday.data.ids import Ids
from firstday.embed.kept_users import keep_warm_users
from tests.tiny import USES


def test_so_many_warm_users_are_kept_and_no_more() -> None:
    ids = Ids.of([f"u{ix}" for ix in range(1, 6)])
    vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
    kept = keep_warm_users(ids, vectors, USES, 3, seed=1)
    assert len(kept) == len(set(kept.ids.values.to_list())) == 3
    for place, user_id in enumerate(kept.ids.values):
        at = ids.index_of(user_id)
        np.testing.assert_array_equal(kept.vectors[place], vectors[at])
        np.testing.assert_array_equal(kept.uses.row(place), USES.row(at))
    assert keep_warm_users(ids, vectors, USES, 5, seed=1).vectors.tolist() == vectors.tolist()
