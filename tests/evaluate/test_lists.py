"""What lists are like: novelty, coverage, the catalogue reached, and ratios."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.evaluate.results import Results, measure_novelty, share_own_lists
from firstday.metrics import bootstrap_mean, bootstrap_ratios, measure
from firstday.recommend.recommender import Recommender
from firstday.segment.segments import count_items
from firstday.sparse import SparseRows
from firstday.training.fit import cohort_query
from tests.judging import judge

K = 15
STRATEGIES = ("popular", "segment", "day_one")


@pytest.fixture(scope="module")
def results(world: Dataset, split: Split, recommender: Recommender) -> Results:
    return judge(recommender, world, {0: split}, STRATEGIES, K, against=("segment", "popular", "personal"))


@pytest.fixture(scope="module")
def lists(world: Dataset, split: Split, recommender: Recommender) -> dict[str, np.ndarray]:
    query = cohort_query(recommender, world, split.cold, K)
    return {name: recommender.recommend_batch(query.signals, K, name).items for name in STRATEGIES}


def test_novelty_is_the_mean_self_information_of_a_list() -> None:
    uses = SparseRows.from_lists([[0, 1], [0, 1], [0], [0, 2]], 4)  # shares 1, 1/2, 1/4, 0
    everyone = count_items(np.zeros(4, dtype=np.int64), uses, 1)
    found = measure_novelty(np.array([[0, 1], [1, 2], [2, -1], [3, 2], [-1, -1]]), everyone)
    np.testing.assert_allclose(found, [0.5, 1.5, 2, 2, 0])  # the item of nobody counts as one of a single user


def test_own_lists_are_those_that_no_fallback_made() -> None:
    assert share_own_lists("day_one", {"day_one": 6, "group": 3, "popular": 1}) == 0.6
    assert share_own_lists("group", {"group": 3, "popular": 1}) == 0.75
    assert share_own_lists("popular", {"popular": 9}) == 1
    assert share_own_lists("day_one", {}) == 0


def test_figures_are_those_of_the_lists(
    results: Results, lists: dict[str, np.ndarray], split: Split, world: Dataset, recommender: Recommender
) -> None:
    shares = recommender.model.popularity.astype(np.float64)
    for row in results.rows:
        mine = lists[row.strategy]
        bits = [np.mean([-np.log2(max(shares[item], 1 / len(split.warm))) for item in one]) for one in mine]
        assert row.novelty == pytest.approx(np.mean(bits), rel=1e-6)
        assert row.reached == pytest.approx(100 * len({*mine.ravel().tolist()}) / len(world.items))
        assert row.coverage == pytest.approx(100 * row.routes.get(row.strategy, 0))
    as_json = {row["strategy"]: row for row in results.to_json()["results"]}
    assert as_json["day_one"]["coverage"] < 100
    assert as_json["segment"]["catalogue_reached"] > as_json["popular"]["catalogue_reached"] > 0
    assert as_json["segment"]["novelty_bits"] > as_json["popular"]["novelty_bits"] > 0


def test_strategies_are_compared_with_any_reference(
    results: Results, lists: dict[str, np.ndarray], split: Split
) -> None:
    precision = {name: 100 * measure(mine, split.cold.truth).precision for name, mine in lists.items()}
    rows = {row.strategy: row for row in results.rows}
    assert {name: set(row.against) for name, row in rows.items()} == {
        "popular": {"segment"},
        "segment": {"popular"},
        "day_one": {"segment", "popular"},
    }  # personal is not judged
    beside = rows["day_one"].against["popular"]
    expected = bootstrap_mean(precision["day_one"] - precision["popular"], split.cold.users)
    assert beside.difference.mean == pytest.approx(expected.mean)
    assert beside.difference.low == pytest.approx(expected.low)
    assert beside.ratio.mean == pytest.approx(precision["day_one"].mean() / precision["popular"].mean())
    assert 1 < beside.ratio.low < beside.ratio.mean < beside.ratio.high
    told = next(row for row in results.to_json()["results"] if row["strategy"] == "day_one")["against"]["popular"]
    assert told["ratio_ci"] == [round(beside.ratio.low, 4), round(beside.ratio.high, 4)]
    assert told["difference"] == round(beside.difference.mean, 4)
    segment, same = rows["popular"].against["segment"].difference, rows["popular"].against_reference
    assert same is not None
    for end in ("mean", "low", "high"):  # of matrices of other widths, whose sums may differ in the last digit
        assert getattr(same, end) == pytest.approx(getattr(segment, end), rel=1e-12)


def test_ratios_are_paired() -> None:
    """Twice as good for everyone, however users differ: no doubt about the ratio."""
    below = np.random.default_rng(0).exponential(20, 150)
    twice, noise = bootstrap_ratios(
        np.stack([2 * below, np.random.default_rng(1).permutation(below)], axis=1), below, np.arange(150)
    )
    np.testing.assert_allclose([twice.mean, twice.low, twice.high], 2)
    assert noise.mean == pytest.approx(1)
    assert noise.low < 1 < noise.high


def test_the_interval_of_a_ratio_is_that_of_the_delta_method_on_many_users() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(60, 10, 3000), rng.normal(50, 10, 3000)
    (found,) = bootstrap_ratios(one[:, None], other, np.arange(3000))
    half = 1.96 * (one - found.mean * other).std() / other.mean() / 3000**0.5
    assert found.low == pytest.approx(found.mean - half, abs=half / 10)
    assert found.high == pytest.approx(found.mean + half, abs=half / 10)


def test_a_reference_without_a_hit_has_no_ratio(world: Dataset, split: Split, recommender: Recommender) -> None:
    n = len(split.cold)
    nothing = replace(split.cold, truth=SparseRows.empty(n, len(world.items)))
    results = judge(recommender, world, {0: replace(split, cold=nothing)}, STRATEGIES, K)
    assert all(not row.against for row in results.rows)
