from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from firstday.config import SignalConfig
from firstday.data.events import ITEM, Pair
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.sparse import SparseRows
from tests.matrices import to_matrix, to_rows

ACTIONS: dict[Pair, SparseRows] = {
    ("stream", ITEM): to_rows([[1, 3, 0, 0], [0, 0, 7, 0], [0, 0, 0, 1]]),
    ("favorite", ITEM): to_rows([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]),
    ("ban", ITEM): to_rows([[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]),
    ("stream", "artist"): to_rows([[0, 0, 0, 0], [0, 0, 0, 0], [0, 9, 0, 0]]),
}


def test_nothing_done_is_no_affinity() -> None:
    assert to_matrix(compute_affinity({}, SignalConfig(), 3, 4)).tolist() == [[0] * 4] * 3


@given(st.data(), st.sampled_from(["log", "none"]))
def test_affinity_is_the_positive_part_of_the_weighted_sum(data: st.DataObject, damping: str) -> None:
    config = SignalConfig.model_validate({"damping": damping, "affinity": {"skip": -0.75}})
    actions = {}
    total = np.zeros((3, 4))
    for signal in ("stream", "favorite", "skip", "ban"):
        counts = np.array(data.draw(st.lists(st.integers(0, 6), min_size=12, max_size=12))).reshape(3, 4)
        actions[signal, ITEM] = to_rows(counts)
        total += config.affinity[signal] * (np.log2(1 + counts) if damping == "log" else counts)
    affinity = compute_affinity(actions, config, 3, 4)
    assert (affinity.weights > 0).all()
    np.testing.assert_allclose(to_matrix(affinity), np.maximum(total, 0), atol=1e-5)


def test_uses_are_streams_and_favorites_of_items_counted_once() -> None:
    def uses(config: SignalConfig) -> list[list[float]]:
        matrix: list[list[float]] = to_matrix(select_uses(ACTIONS, config, 3, 4)).tolist()
        return matrix

    assert uses(SignalConfig()) == [[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert uses(SignalConfig(use=("ban",), affinity={"ban": 1.0})) == [[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]
    assert uses(SignalConfig(use=("search",))) == [[0] * 4] * 3
