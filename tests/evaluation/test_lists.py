"""What lists are like: novelty, coverage of users and of the catalogue, and differences and ratios."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.evaluation.figures import measure_diversity, measure_novelty
from firstday.metrics import bootstrap_ratios
from firstday.segment.segments import count_items
from firstday.sparse import SparseRows
from tests.evaluation.tiny import evaluate_tiny

PRECISION = {
    "popular": np.array([2 / 3, 1, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 0, 1, 0]),
    "segment": np.array([1, 1, 1 / 3, 1, 1 / 2, 1 / 2, 1, 1, 1, 0]),
}
"""By hand: hits / min(3, relevant) of the lists in `tests.evaluation.tiny`, seed after seed."""


def test_novelty_is_the_mean_self_information_of_a_list() -> None:
    uses = SparseRows.from_lists([[0, 1], [0, 1], [0], [0, 2]], 4)  # shares 1, 1/2, 1/4, 0
    everyone = count_items(np.zeros(4, dtype=np.int64), uses, 1)
    novelty = measure_novelty(np.array([[0, 1], [1, 2], [2, -1], [3, 2], [-1, -1]]), everyone)
    np.testing.assert_allclose(novelty, [0.5, 1.5, 2, 2, 0])  # the item of nobody counts as one of a single user


def test_diversity_is_the_mean_distance_of_the_pairs_of_a_list() -> None:
    """Items along and against an axis, one at right angles to both, and one without a vector."""
    vectors = np.array([[2, 0], [-1, 0], [0, 3], [0, 0]], dtype=np.float32)
    lists = np.array([[0, 1, -1], [0, 2, 3], [0, 1, 2], [2, 3, -1], [-1, -1, -1]])
    expected = [2, 1, (2 + 1 + 1) / 3, np.nan, np.nan]
    np.testing.assert_allclose(measure_diversity(lists, vectors), expected, rtol=1e-6)


def test_strategies_are_compared_with_any_reference() -> None:
    results = evaluate_tiny(("popular",))
    popular = PRECISION["popular"]
    segment = PRECISION["segment"]
    assert results.get("segment", "precision_minus:popular").mean == pytest.approx(100 * (segment - popular).mean())
    assert results.get("segment", "precision_ratio:popular").mean == pytest.approx(segment.mean() / popular.mean())
    assert results.find("popular", "precision_minus:segment") is not None


def test_ratios_are_paired() -> None:
    """Twice as good for everyone, however users differ: no doubt about the ratio."""
    below = np.random.default_rng(0).exponential(20, 150)
    twice, noise = bootstrap_ratios(
        np.stack([2 * below, np.random.default_rng(1).permutation(below)], axis=1), below, np.arange(150)
    )
    np.testing.assert_allclose([twice.mean, twice.low, twice.high], 2)
    assert noise.mean == pytest.approx(1)
    assert noise.low < 1 < noise.high


def test_a_reference_without_a_hit_has_no_ratio() -> None:
    results = evaluate_tiny(truth_of={seed: [[]] * 5 for seed in (0, 1)})
    assert not [figure for figure in results.figures if figure.metric.startswith("precision_ratio:")]
    popular, _segment = results.to_json()["results"]
    assert popular["against"]["segment"].items() >= {"ratio": None, "difference": 0}.items()
