from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from firstday.config import SignalConfig
from firstday.data.events import ITEM, Pair
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.sparse import SparseRows

STREAM = ("stream", ITEM)
FAVORITE = ("favorite", ITEM)
BAN = ("ban", ITEM)


def rows_of(cells: dict[tuple[int, int], float], n_users: int = 3, n_items: int = 4) -> SparseRows:
    rows, columns = np.array(list(cells), dtype=np.int64).reshape(-1, 2).T
    return SparseRows.from_pairs(rows, columns, np.array(list(cells.values())), n_users, n_items)


def cells_of(rows: SparseRows) -> dict[tuple[int, int], float]:
    keys = zip(rows.row_of_entry().tolist(), rows.columns.tolist(), strict=True)
    return dict(zip(keys, rows.weights.tolist(), strict=True))


ACTIONS: dict[Pair, SparseRows] = {
    STREAM: rows_of({(0, 0): 1, (0, 1): 3, (1, 2): 7, (2, 3): 1}),
    FAVORITE: rows_of({(0, 1): 1, (1, 0): 1}),
    BAN: rows_of({(2, 3): 1, (1, 2): 1, (2, 0): 1}),
    ("stream", "artist"): rows_of({(2, 1): 9}),
}


def test_nothing_done_is_no_affinity() -> None:
    affinity = compute_affinity({}, SignalConfig(), 3, 4)
    assert (affinity.n_rows, affinity.n_columns, affinity.n_entries) == (3, 4, 0)


@given(st.data(), st.sampled_from(["log", "none"]))
def test_affinity_is_the_positive_part_of_the_weighted_sum(data: st.DataObject, damping: str) -> None:
    config = SignalConfig.model_validate({"damping": damping, "affinity": {"skip": -0.75}})
    actions = {}
    total = np.zeros((3, 4))
    for signal in ("stream", "favorite", "skip", "ban"):
        counts = np.array(data.draw(st.lists(st.integers(0, 6), min_size=12, max_size=12))).reshape(3, 4)
        rows, columns = np.nonzero(counts)
        actions[signal, ITEM] = SparseRows.from_pairs(rows, columns, counts[rows, columns], 3, 4)
        total += config.affinity[signal] * (np.log2(1 + counts) if damping == "log" else counts)
    affinity = compute_affinity(actions, config, 3, 4)
    assert (affinity.weights > 0).all()
    dense = np.zeros((3, 4))
    dense[affinity.row_of_entry(), affinity.columns] = affinity.weights
    np.testing.assert_allclose(dense, np.maximum(total, 0), atol=1e-5)


def test_uses_are_streams_and_favorites_of_items_counted_once() -> None:
    assert cells_of(select_uses(ACTIONS, SignalConfig(), 3, 4)) == dict.fromkeys(
        [(0, 0), (0, 1), (1, 0), (1, 2), (2, 3)], 1
    )
    assert cells_of(select_uses(ACTIONS, SignalConfig(use=("ban",), affinity={"ban": 1.0}), 3, 4)) == dict.fromkeys(
        [(1, 2), (2, 0), (2, 3)], 1
    )
    nothing = select_uses(ACTIONS, SignalConfig(use=("search",)), 3, 4)
    assert (nothing.n_rows, nothing.n_columns, nothing.n_entries) == (3, 4, 0)
