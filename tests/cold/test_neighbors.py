"""The second vector of the cold model finds warm users who use what a user goes on to use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from firstday.cold import train_cold_model as neighbor_loss
from firstday.cold.train_cold_model import SMOOTHING, TEMPERATURE, make_neighbor_loss
from firstday.cold.train_ranker import LaterItems
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.evaluate.run import score_strategy
from firstday.recommend.neighbors import N_NEIGHBORS, score_neighbors
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, open_model
from firstday.sparse import SparseRows
from firstday.training.fit import cohort_query, fit
from tests.synthetic import small_config

USES = SparseRows.from_lists([[0, 1, 2], [0, 1, 2], [2, 3, 4], [3, 4]], 6)
DAY_ONES = (SparseRows.from_lists([[0], [], [2], [4]], 6), SparseRows.from_lists([[1, 2], [0], [], [3]], 6))


def unit(*vectors: list[float]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(vectors), dim=1)


GOALS = unit([1, 0], [0.8, 0.6], [0, 1], [-0.6, 0.8])


def test_what_is_wanted_is_used_and_was_not_on_day_one() -> None:
    later = LaterItems(USES, DAY_ONES, 10)
    np.testing.assert_array_equal(later.items, [0, 1, 2, 3, 4])  # nobody uses item 5
    np.testing.assert_allclose(later.shares, [0.5, 0.5, 0.75, 0.5, 0.5])
    np.testing.assert_array_equal(later.used_by(np.array([2])), [[0, 0, 1, 1, 1]])
    wanted = later.wanted_after(np.array([0, 4, 7]))  # users 0, 0 and 3, in the first, second and second sample
    np.testing.assert_array_equal(wanted, [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])


def test_of_fewer_items_the_most_used_are_kept() -> None:
    later = LaterItems(USES, DAY_ONES, 2)
    np.testing.assert_array_equal(later.items, [0, 2])
    np.testing.assert_array_equal(later.wanted_after(np.array([0, 1])), [[0, 1], [1, 1]])


def test_where_day_ones_are_not_known_all_that_is_used_is_wanted() -> None:
    later = LaterItems(USES, [], 10)
    np.testing.assert_array_equal(later.wanted_after(np.array([3])), [[0, 0, 0, 1, 1]])


def test_the_loss_is_that_of_plain_computation() -> None:
    vectors, rows = unit([0.9, 0.1], [0.1, 0.9]), torch.tensor([0, 6])  # user 0's first day one, user 2's second
    found = make_neighbor_loss(GOALS, USES, DAY_ONES, seed=0)(vectors, rows)
    above = below = 0.0
    for vector, user, wanted in ((vectors[0], 0, [1, 2]), (vectors[1], 2, [2, 3, 4])):
        others = [u for u in range(4) if u != user]
        near = np.array([np.exp(float(vector @ GOALS[u]) / TEMPERATURE) for u in others])
        shares = SMOOTHING * np.array([0.5, 0.5, 0.75, 0.5, 0.5])
        for weight, other in zip(near / near.sum(), others, strict=True):
            shares[USES.row(other)] += weight
        logs = np.log(shares / shares.sum())
        above -= logs[wanted].sum() / len(wanted) ** 0.5
        below += len(wanted) ** 0.5
    assert float(found) == pytest.approx(above / below, rel=1e-5)


def test_of_many_users_each_step_draws_its_own_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbor_loss, "CANDIDATES", 2)
    vectors, rows = unit([0.9, 0.1]), torch.tensor([0])
    loss = make_neighbor_loss(GOALS, USES, DAY_ONES, seed=0)
    found = [float(loss(vectors, rows)) for _ in range(20)]
    assert np.isfinite(found).all()
    assert len(set(found)) > 1
    again = make_neighbor_loss(GOALS, USES, DAY_ONES, seed=0)
    assert [float(again(vectors, rows)) for _ in range(20)] == found


def test_the_pipeline_leaves_day_one_items_out_of_what_is_to_be_found(
    world: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LaterItems] = []

    class Watched(LaterItems):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            seen.append(self)

    monkeypatch.setattr(neighbor_loss, "LaterItems", Watched)
    fit(world, split, small_config(cold_model={"neighbor_weight": 1.0, "epochs": 1}, ranker={"enabled": False}))
    every_user = np.arange(len(split.warm))
    for sample in range(len(split.warm_day_one)):
        wanted = seen[0].wanted_after(sample * len(split.warm) + every_user)
        used = seen[0].used_by(every_user)
        assert (wanted <= used).all()
        assert 0 < (used - wanted).sum() < used.sum() / 2


def expected_shares(query: Query, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return shares of all near users by plain computation."""
    model = query.model
    assert model.warm is not None
    found = []
    for row in rows:
        cosine = model.warm.vectors @ vectors[row]
        nearest = np.argsort(-cosine)[:N_NEIGHBORS]
        weights = np.exp((cosine[nearest] - cosine.max()) / model.neighborhood.temperature)
        shares = model.neighborhood.smoothing * model.popularity
        for weight, user in zip(weights / weights.sum(), nearest, strict=True):
            shares = shares + weight * np.isin(np.arange(model.n_items), model.warm.uses.row(user))
        found.append(shares)
    return np.array(found)


@pytest.fixture(scope="module")
def two_vectors(world: Dataset, split: Split) -> Recommender:
    return fit(world, split, small_config(cold_model={"neighbor_weight": 1.0}, ranker={"enabled": False}))


def test_neighbors_have_a_vector_of_their_own_and_good_lists(
    world: Dataset, split: Split, two_vectors: Recommender, recommender: Recommender
) -> None:
    query = cohort_query(two_vectors, world, split.cold, 20)
    assert query.predicted.shape == query.predicted_for_neighbors.shape == (len(split.cold), 12)
    assert not np.allclose(query.predicted, query.predicted_for_neighbors, atol=0.01)
    for vectors in (query.predicted, query.predicted_for_neighbors):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    precision = {
        name: score_strategy(query, split.cold, name, "min").metrics.precision.mean()
        for name in ("popular", "segment", "personal", "neighbors")
    }
    assert min(precision["segment"], precision["personal"], precision["neighbors"]) > 2 * precision["popular"]
    rows = np.arange(5)
    plain = expected_shares(query, rows, query.predicted_for_neighbors)
    np.testing.assert_allclose(score_neighbors(query, rows), plain, rtol=1e-4, atol=1e-6)
    assert not np.allclose(plain, expected_shares(query, rows, query.predicted), rtol=1e-2)
    one = cohort_query(recommender, world, split.cold, 20)
    np.testing.assert_array_equal(one.predicted, one.predicted_for_neighbors)


def test_a_saved_model_has_both_vectors(two_vectors: Recommender, world: Dataset, split: Split, tmp_path: Path) -> None:
    query = cohort_query(two_vectors, world, split.cold, 20)
    opened = replace(query, model=open_model(two_vectors.save(tmp_path / "model")).model)
    np.testing.assert_array_equal(opened.predicted_for_neighbors, query.predicted_for_neighbors)
