"""Nothing that cold users did, and nothing that anyone did after day one, may reach where it should not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.cold.cold_model import ColdModel
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Events
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Cohort, Split
from firstday.embed.embeddings import select_uses
from firstday.embed.methods import collect_warm_logs, fit_embeddings
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from tests.networks import network_bytes, networks_of, statistics_of
from tests.synthetic import COLD_MODELS, SEED, brief_config, small_config

NETWORKS = brief_config(
    methods=list(COLD_MODELS),
    ranker={"enabled": True, "epochs": 1},
    plugins={"dropoutnet": {"items_per_step": 10}},
)
"""Every network is trained, shortly."""
STATISTICS = brief_config()
"""What is told apart from the networks is the same, however these are trained."""


@pytest.fixture(scope="module")
def split(world: Dataset) -> Split:
    return split_of(world, STATISTICS)


@pytest.fixture(scope="module")
def trained(world: Dataset, split: Split) -> TrainedModel:
    return fit(world, split, NETWORKS).model


def assert_same_statistics(one: TrainedModel, other: TrainedModel) -> None:
    mine = statistics_of(one)
    theirs = statistics_of(other)
    assert [name for name in mine | theirs if mine.get(name) != theirs.get(name)] == []


def change_users(world: Dataset, users: np.ndarray) -> Dataset:
    """Let some users be other people who do quite other things."""
    return change_profiles(change_events(world, users), users)


def change_events(world: Dataset, users: np.ndarray) -> Dataset:
    """Move everything that some users do to items of other tastes, and let them ban all genres."""
    theirs = pl.col("user_ix").is_in(users.tolist())
    moved = pl.when(theirs & (pl.col("entity") == ITEM)).then((pl.col("target_ix") + 61) % 120)
    heavier = pl.when(theirs).then(pl.col("weight") * 7).otherwise("weight")
    events = world.events.whole().with_columns(target_ix=moved.otherwise("target_ix"), weight=heavier.cast(pl.Float32))
    bans = [(int(user), "ban", "genre", genre, None, 1.0) for user in users for genre in range(4)]
    added = pl.DataFrame(bans, schema=events.schema, orient="row")
    return replace(world, events=Events.of(pl.concat([events, added])))


def change_profiles(world: Dataset, users: np.ndarray) -> Dataset:
    """Give some users other ages and groups."""
    assert world.ages is not None
    ages = world.ages.copy()
    ages[users] = 99
    groups = {}
    for name, group in world.groups.items():
        codes = group.codes.copy()
        codes[users] = len(group.values) - 1
        groups[name] = replace(group, codes=codes)
    return replace(world, ages=ages, groups=groups)


def split_of(world: Dataset, config: Config) -> Split:
    return split_for_training(world, config, SEED, with_cold=True)


def empty_cohort(cohort: Cohort) -> Cohort:
    nothing = {pair: SparseRows.empty(len(cohort), rows.n_columns) for pair, rows in cohort.day_one.items()}
    truth = SparseRows.empty(len(cohort), cohort.truth.n_columns)
    return Cohort(cohort.users, nothing, truth, np.zeros(len(cohort), np.int64))


def histories_of(model: TrainedModel) -> list[Any]:
    others = (part for name in COLD_MODELS for part in vars(model.learned[name]).values())
    return [network.history for network in (model.cold, *others) if isinstance(network, ColdModel)]


def test_what_cold_users_do_and_are_changes_nothing_in_the_model(
    world: Dataset, split: Split, trained: TrainedModel
) -> None:
    """The same service, where cold users are other people."""
    cold = split.cold.users
    changed = change_users(world, cold)
    parts = split_of(changed, NETWORKS)
    np.testing.assert_array_equal(parts.cold.users, cold)
    assert parts.cold.truth.columns.tolist() != split.cold.truth.columns.tolist()
    other = fit(changed, parts, NETWORKS).model
    assert_same_statistics(trained, other)
    assert networks_of(other) == networks_of(trained)
    assert histories_of(other) == histories_of(trained)
    assert other.learned.keys() == trained.learned.keys() >= set(COLD_MODELS)


@pytest.mark.parametrize("method", ["als", "svd"])
def test_vectors_without_cold_users_events_are_the_same(world: Dataset, split: Split, method: str) -> None:
    """The split stays; the tables lose all that cold users did, and the split its cold users."""
    config = small_config(embedding={"method": method})
    of_others = world.events.whole().filter(~pl.col("user_ix").is_in(split.cold.users.tolist()))
    fitted = []
    for data, parts in (
        (world, split),
        (replace(world, events=Events.of(of_others)), replace(split, cold=empty_cohort(split.cold))),
    ):
        uses = select_uses(parts.warm_actions, config.signals, len(parts.warm), len(data.items))
        logs = collect_warm_logs(data, parts, config, uses)
        fitted.append(fit_embeddings(logs, config.embedding, seed=SEED, threads=1))
    one, other = fitted
    np.testing.assert_array_equal(one.user_vectors, other.user_vectors)
    np.testing.assert_array_equal(one.item_vectors, other.item_vectors)


def test_what_validation_users_do_and_are_changes_no_statistic(
    world: Dataset, split: Split, trained: TrainedModel
) -> None:
    users = split.validation.users
    other_world = change_users(world, users)
    parts = split_of(other_world, STATISTICS)
    np.testing.assert_array_equal(parts.warm, split.warm)
    assert parts.validation.truth.columns.tolist() != split.validation.truth.columns.tolist()
    assert_same_statistics(trained, fit(other_world, parts, STATISTICS, choose_settings=False).model)


def test_what_warm_users_do_to_artists_after_day_one_changes_nothing(
    world: Dataset, split: Split, trained: TrainedModel
) -> None:
    """Step 1 learns from items alone, and features from day one alone: the rest of the history reaches nothing."""
    emptied = {
        pair: SparseRows.empty(rows.n_rows, rows.n_columns)
        for pair, rows in split.warm_actions.items()
        if pair[1] != ITEM
    }
    later = {**split.warm_actions, **emptied}
    other = fit(world, replace(split, warm_actions=later), STATISTICS, choose_settings=False).model
    assert_same_statistics(trained, other)
    assert network_bytes(other.cold) == network_bytes(trained.cold)


def test_the_target_window_of_a_cold_user_reaches_no_feature_and_no_list(
    world: Dataset, split: Split, trained: TrainedModel
) -> None:
    """Drop from the tables all that cold users do with the items of their truth: what is asked stays the same."""
    recommender = Recommender(trained)
    events = world.events.whole()
    cold = split.cold
    truth = {"user_ix": cold.users[cold.truth.row_of_entry()], "target_ix": cold.truth.columns}
    theirs = pl.DataFrame(truth).select(pl.all().cast(pl.Int32), entity=pl.lit(ITEM))
    earlier = events.join(theirs, on=theirs.columns, how="anti", maintain_order="left")
    assert len(earlier) < len(events)
    before = replace(world, events=Events.of(earlier))
    cohort = replace(split.cold, truth=empty_cohort(split.cold).truth)
    query = cohort_query(recommender, world, split.cold, 20)
    other = cohort_query(recommender, before, cohort, 20)
    np.testing.assert_array_equal(other.features, query.features)
    np.testing.assert_array_equal(answer_query(other, "auto").items, answer_query(query, "auto").items)


def cells_of(rows: SparseRows) -> set[tuple[int, int]]:
    return set(zip(rows.row_of_entry().tolist(), rows.columns.tolist(), strict=True))


def test_day_one_holds_nothing_done_to_items_of_the_truth(world: Dataset, split: Split) -> None:
    for cohort in (split.validation, split.cold):
        truth = cells_of(cohort.truth)
        for (signal, entity), rows in cohort.day_one.items():
            if entity == ITEM and signal not in STATISTICS.signals.at_registration:
                assert not cells_of(rows) & truth, signal


def test_segments_count_warm_users_alone(world: Dataset, split: Split, trained: TrainedModel) -> None:
    model = trained
    uses = select_uses(split.warm_actions, STATISTICS.signals, len(split.warm), len(world.items))
    for counted in (model.segments.items, model.learned["input_clusters"].items, model.everyone):
        assert counted.sizes.sum() == len(split.warm)
        np.testing.assert_array_equal(counted.counts.column_sums(), uses.column_sums())
    for name, group in world.groups.items():
        codes = group.codes[split.warm]
        np.testing.assert_array_equal(
            model.profile_groups[name].sizes, np.bincount(codes[codes >= 0], minlength=len(group.values))
        )
