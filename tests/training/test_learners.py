"""Where there are more warm users than `training.most_users`, some are learned from and all are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.splits.split import Split
from firstday.errors import ConfigError
from firstday.model.codec import encode
from firstday.model.trained_model import TrainedModel
from firstday.training.fit import fit, train, warm_uses
from tests.features.test_leakage import assert_same_statistics, change_events, change_profiles
from tests.synthetic import N_ITEMS, brief_config

MOST = 90


def configure(**training: Any) -> Config:
    return brief_config(training={"most_users": MOST, **training})


@pytest.fixture(scope="module")
def sampled(world: Dataset, split: Split) -> TrainedModel:
    assert len(split.warm) > 2 * MOST
    return fit(world, split, configure()).model


def without_settings(model: TrainedModel) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return all that a model holds but its configuration: JSON, and files as bytes."""
    values, files = encode(replace(model, config=Config()))
    return values, {name: bytes(np.asarray(content).tobytes()) for name, content in files.items()}


def test_with_no_more_users_than_the_limit_nothing_changes(world: Dataset, split: Split) -> None:
    plain, limited = (
        fit(world, split, config, choose_settings=False).model
        for config in (brief_config(), configure(most_users=len(split.warm)))
    )
    assert without_settings(limited) == without_settings(plain)


def test_learners_are_those_with_the_least_numbers_in_the_order_of_the_split(
    world: Dataset, split: Split, sampled: TrainedModel
) -> None:
    numbers = stable_numbers(Ids(world.users.take(split.warm)), configure().seed)
    least = np.sort(np.argsort(numbers)[:MOST])
    assert sampled.warm is not None
    assert sampled.warm.ids.values.to_list() == world.users.take(split.warm[least]).to_list()


def test_everyone_is_counted(world: Dataset, split: Split, sampled: TrainedModel) -> None:
    uses = warm_uses(world, split, configure()).column_sums()
    np.testing.assert_array_equal(sampled.everyone.counts.column_sums(), uses)
    np.testing.assert_array_equal(sampled.everyone.sizes, [len(split.warm)])
    assert sampled.segments.items.sizes.sum() == len(split.warm)
    assert sampled.learned["input_clusters"].items.sizes.sum() == MOST
    for name, counts in sampled.profile_groups.items():
        column = world.ages if name == "age" else world.groups[name].codes
        assert column is not None
        known = column[split.warm][column[split.warm] >= 0]
        np.testing.assert_array_equal(counts.sizes, np.bincount(known, minlength=len(counts.sizes)))
    assert sampled.facts["data"]["warm_users"] == len(split.warm)
    assert sampled.facts["data"]["learned_from"] == MOST


def test_who_used_one_item_is_counted_and_not_learned_from(world: Dataset, split: Split) -> None:
    """The first ten of the warm users used an item each, as if that were all."""
    few = np.arange(len(split.warm)) < 10
    one = np.where(few, 1, N_ITEMS)
    once = {
        pair: rows.keep(rows.draw(one if pair == ("stream", "item") else one - few, np.random.default_rng(0)))
        for pair, rows in split.warm_actions.items()
    }
    config = brief_config(embedding={"dimensions": 12}, segments={"n_segments": 8})
    model = fit(world, replace(split, warm_actions=once), config, choose_settings=False).model
    without = fit(world, split.keep_warm(np.flatnonzero(~few)), config, choose_settings=False).model
    assert model.warm is not None
    assert model.warm.ids.values.to_list() == world.users.take(split.warm[~few]).to_list()
    np.testing.assert_array_equal(model.fold_in.item_vectors, without.fold_in.item_vectors)
    np.testing.assert_array_equal(model.segments.centroids, without.segments.centroids)
    used = once["stream", "item"].take(np.flatnonzero(few))
    added = model.everyone.counts.column_sums() - without.everyone.counts.column_sums()
    np.testing.assert_array_equal(added, used.ones().column_sums())
    assert model.facts["data"]["warm_users"] == model.facts["data"]["learned_from"] + 10 == len(split.warm)


def test_what_cold_users_did_reaches_nothing(world: Dataset, split: Split, sampled: TrainedModel) -> None:
    cold = split.cold.users
    changed = change_profiles(change_events(world, cold), cold)
    assert_same_statistics(sampled, fit(changed, split, configure()).model)


def test_item_factors_by_spark_need_spark(world: Dataset) -> None:
    sentence = r"^training\.factors: 'mllib' requires the Spark engine; train on Spark, or set it to 'sample'\.$"
    with pytest.raises(ConfigError, match=sentence):
        train(world, configure(factors="mllib"))
