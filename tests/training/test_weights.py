"""What validation users choose: weights, beyond chance, and when training stops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.artifact.trained_model import KNOWLEDGE, Blending
from firstday.config import as_published
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.metrics import measure
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_all
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from firstday.training.validation import Fold, Validation
from firstday.training.weights import START, ascend, choose_blending, choose_neighborhood
from tests.synthetic import brief_config

N_USERS = 400


def of_users(gain: float = 0.0, errors: float = 1.0, run: int = 1) -> np.ndarray:
    """Return precisions around 0.5 + `gain`, which is so many standard errors; its sign turns every `run` users."""
    sign = np.where(np.arange(N_USERS) // run % 2, 1.0, -1.0)
    found: np.ndarray = 0.5 + gain + gain / errors * np.sqrt(N_USERS) * sign
    return found


@pytest.mark.parametrize(("errors", "chosen"), [(1.0, 0.0), (1.9, 0.0), (2.1, 0.6), (5.0, 0.6)])
def test_a_weight_moves_only_beyond_chance(errors: float, chosen: float) -> None:
    def precision(weights: np.ndarray) -> np.ndarray:
        return of_users(0.01, errors) if np.isclose(weights[1], 0.6) else of_users()

    assert ascend(precision, np.array([1.0, 0.0], dtype=np.float32)).tolist() == pytest.approx([1.0, chosen])


def test_the_best_of_those_beyond_chance_is_taken_though_a_weaker_one_comes_first() -> None:
    """0.6 is the better one, by 3 errors, but not beyond chance better than 0.15, which is looked at first."""
    gains = {0.15: of_users(0.010, 4.0), 0.6: of_users(0.012, 3.0, run=2)}

    def precision(weights: np.ndarray) -> np.ndarray:
        return next((gain for at, gain in gains.items() if np.isclose(weights[1], at)), of_users())

    difference = gains[0.6] - gains[0.15]
    assert difference.mean() < 2 * difference.std() / np.sqrt(N_USERS)
    assert ascend(precision, np.array([1.0, 0.0], dtype=np.float32)).tolist() == pytest.approx([1.0, 0.6])


def test_training_stops_by_the_lists_that_people_get(world: Dataset, split: Split, recommender: Recommender) -> None:
    model, validation = recommender.model, split.validation
    batch, _ = model.catalogue.translate(world, validation.users, validation.day_one)
    query = Query(model, batch, model.config.recommend.k)
    judge = Validation(
        excluded=query.excluded,
        truth=validation.truth,
        k=query.k,
        segments=model.segments,
        item_vectors=model.scoring_vectors,
    )
    of = {
        name: 100 * float(measure(answer_all(query, name).items, validation.truth).precision.mean())
        for name in ("segment", "personal")
    }
    vectors = query.predicted
    assert query.known.all()  # else fallbacks would answer
    assert judge.precision_of_segments(vectors) == pytest.approx(of["segment"])
    assert judge.precision_of_both_ways(vectors) == pytest.approx((of["segment"] + of["personal"]) / 2)
    kept = next(epoch for epoch in model.cold.history if epoch.kept)
    assert kept.precision == pytest.approx(judge.precision_of_both_ways(vectors), abs=1e-3)
    assert kept.precision == max(epoch.precision or 0 for epoch in model.cold.history)


def test_the_published_system_stops_by_segments_alone(world: Dataset, split: Split) -> None:
    config = as_published(brief_config()).override({"cold_model.epochs": 3, "cold_model.hidden": [8]})
    model = fit(world, split, config, weigh=False).model
    assert model.config.cold_model.stopped_by == ("segment",)
    kept = next(epoch for epoch in model.cold.history if epoch.kept)
    assert kept.precision == pytest.approx(model.facts["metrics"]["precision"]["segment"], abs=1e-3)


def test_weights_follow_validation_users_alone(world: Dataset, split: Split, recommender: Recommender) -> None:
    """Truth that is what `group` lists moves the weights, if anywhere, to what serves it better."""
    model = recommender.model
    batch, _ = model.catalogue.translate(world, split.validation.users, split.validation.day_one)
    query = Query(model, batch, 20)
    fold = Fold(query, split.validation.truth)
    assert choose_blending([fold]) == model.blending
    assert all(weights["direct"] == 1 for weights in model.blending.weights)
    assert choose_neighborhood([fold]) == model.neighborhood
    halves = [fold.take(rows) for rows in np.array_split(np.arange(query.n_users), 2)]
    assert choose_blending(halves) == model.blending
    assert choose_neighborhood(halves) == model.neighborhood
    grouped = np.sort(answer_all(query, "group").items, axis=1).tolist()
    turned = SparseRows.from_lists(grouped, model.n_items)

    def precision(blending: Blending) -> float:
        trial = replace(query, model=replace(model, blending=blending))
        return float(measure(answer_all(trial, "blend").items, turned).precision.mean())

    assert precision(choose_blending([Fold(query, turned)])) >= precision(Blending((START,) * len(KNOWLEDGE)))
