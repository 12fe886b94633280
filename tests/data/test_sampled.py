from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.config import Config, SampledProtocolConfig, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Events
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Split, take_actions
from firstday.embed.embeddings import select_uses
from firstday.sparse import SparseRows
from tests.data.same import assert_same

PROTOCOL = SampledProtocolConfig(min_items=8)
SIGNALS = SignalConfig()


def configure(signals: SignalConfig, protocol: SampledProtocolConfig = PROTOCOL) -> Config:
    return Config(signals=signals, sampled=protocol, protocol="sampled")


def cells(rows: SparseRows) -> set[tuple[int, int]]:
    return set(zip(rows.row_of_entry().tolist(), rows.columns.tolist(), strict=True))


def make(world: Dataset, protocol: SampledProtocolConfig = PROTOCOL, seed: int = 0, day_ones: int = 1) -> Split:
    return split_for_training(world, configure(SIGNALS, protocol.override("day_ones", day_ones)), seed, with_cold=True)


def uses_of(world: Dataset, users: np.ndarray) -> SparseRows:
    actions = take_actions(world.actions(), users)
    return select_uses(actions, SIGNALS, len(users), len(world.items))


def with_events(world: Dataset, rows: list[tuple[int, str, str, int]]) -> Dataset:
    """Add interactions of weight 1."""
    added = pl.DataFrame(rows, ["user_ix", "signal", "entity", "target_ix"], orient="row").with_columns(weight=1.0)
    events = pl.concat([world.events.whole(), added], how="diagonal_relaxed")
    return replace(world, events=Events.of(events))


@pytest.mark.parametrize(
    ("shares", "with_cold", "sizes"),
    [({}, True, [280, 40, 80]), ({"warm": 0.5, "validation": 0.25}, True, [200, 100, 100]), ({}, False, [360, 40, 0])],
)
def test_users_fall_into_parts_of_the_configured_shares(
    world: Dataset, shares: dict[str, Any], with_cold: bool, sizes: list[int]
) -> None:
    protocol = SampledProtocolConfig(min_items=8, **shares)
    split = split_for_training(world, configure(SIGNALS, protocol), 0, with_cold=with_cold)
    parts = [split.warm, split.validation.users, split.cold.users]
    assert [len(part) for part in parts] == sizes
    assert sorted(np.concatenate(parts).tolist()) == list(range(400))


def test_users_with_few_used_items_are_warm_and_never_drawn(world: Dataset) -> None:
    lengths = uses_of(world, np.arange(400)).lengths()
    enough = np.flatnonzero(lengths >= 18)
    assert 20 < len(enough) < 380
    split = make(world, SampledProtocolConfig(min_items=18))
    drawn = np.concatenate([split.validation.users, split.cold.users])
    assert len(drawn) == len(enough) - round(0.7 * len(enough))
    assert set(drawn.tolist()) <= set(enough.tolist())
    assert split.warm.tolist() == np.setdiff1d(np.arange(400), drawn).tolist()


@pytest.mark.parametrize("use", [SIGNALS.use, (*SIGNALS.use, "onboarding")])
def test_day_one_and_truth_part_the_used_items(world: Dataset, use: tuple[str, ...]) -> None:
    """An item that was named at registration is in no truth, even where naming it is use."""
    signals = SignalConfig(use=use)
    given = with_events(world, [(user, "onboarding", ITEM, int(item)) for user in range(400) for item in (3, 50, 90)])
    split = split_for_training(given, configure(signals), 0, with_cold=True)
    for cohort in (split.validation, split.cold):
        everything = take_actions(given.actions(), cohort.users)
        used = select_uses(everything, signals, len(cohort), len(given.items))
        seen = select_uses(cohort.day_one, signals, len(cohort), len(given.items))
        assert not cells(seen) & cells(cohort.truth)
        assert cells(seen) | cells(cohort.truth) == cells(used)
        assert (cohort.truth.weights == 1).all()
        np.testing.assert_array_equal(seen.lengths(), cohort.day_one_size)


def test_day_one_is_at_most_half_of_the_used_items(world: Dataset) -> None:
    greedy = SampledProtocolConfig(min_items=8, sizes=(1000,), probabilities=(1.0,))
    split = make(world, greedy)
    lengths = uses_of(world, split.cold.users).lengths()
    np.testing.assert_array_equal(split.cold.day_one_size, lengths // 2)
    assert (split.cold.truth.lengths() >= split.cold.day_one_size).all()


def test_day_one_sizes_follow_the_configured_probabilities(world: Dataset) -> None:
    protocol = SampledProtocolConfig(min_items=8, sizes=(0, 2, 5), probabilities=(0.2, 0.2, 0.4))  # add up to 0.8
    split = make(world, protocol, day_ones=12)
    sizes = np.concatenate(
        [select_uses(day, SIGNALS, len(split.warm), len(world.items)).lengths() for day in split.warm_day_one]
    )
    assert set(sizes.tolist()) == {0, 2, 5}
    shares = np.bincount(sizes)[[0, 2, 5]] / len(sizes)
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.5], atol=0.03)  # 3,360 draws: 4 standard errors


def test_every_item_is_as_likely_to_be_drawn() -> None:
    rows = SparseRows.from_lists([[0, 1, 2, 3]] * 4_000, 4)
    drawn = rows.keep(rows.draw(np.ones(4_000), np.random.default_rng(0))).column_sums()
    assert drawn.sum() == 4_000
    assert np.abs(drawn - 1_000).max() < 4 * np.sqrt(1_000)


def test_signals_given_at_registration_are_configured(world: Dataset) -> None:
    signals = SignalConfig(at_registration=("favorite",), use=("stream",))
    split = split_for_training(world, configure(signals), 0, with_cold=True)
    favorites = world.actions()[("favorite", "genre")].take(split.cold.users)
    assert cells(split.cold.day_one["favorite", "genre"]) == cells(favorites)


def test_interactions_with_entities_and_unused_items_are_drawn_in_the_same_share(world: Dataset) -> None:
    split = make(world, day_ones=10)
    used = uses_of(world, split.warm)
    for pair in (("stream", "artist"), ("favorite", "artist"), ("skip", ITEM)):
        everything = world.actions()[pair].take(split.warm)
        if pair[1] == ITEM:
            mine = np.array([cell in cells(used) for cell in sorted(cells(everything))])
            everything = everything.keep(~mine)
        kept = 0
        expected = 0.0
        for day in split.warm_day_one:
            sizes = select_uses(day, SIGNALS, len(split.warm), len(world.items)).lengths()
            kept += len(cells(day[pair]) & cells(everything))
            expected += float((sizes / used.lengths() * everything.lengths()).sum())
        assert kept == pytest.approx(expected, abs=4 * expected**0.5), pair


@pytest.mark.parametrize(("n_warm", "each"), [(100, 50), (2_000, 50), (8_438, 11), (25_000, 4), (640_000, 4)])
def test_left_alone_small_data_gets_more_day_ones_of_each_user(n_warm: int, each: int) -> None:
    assert SampledProtocolConfig().resolve_day_ones(n_warm) == each
    assert SampledProtocolConfig(day_ones=3).resolve_day_ones(n_warm) == 3


def test_draws_follow_from_the_seed_and_not_from_the_number_of_day_ones(world: Dataset) -> None:
    one = make(world, day_ones=2)
    many = make(world, day_ones=5)
    other = make(world, seed=1)
    assert (len(one.warm_day_one), len(many.warm_day_one)) == (2, 5)
    assert_same((one.cold, one.validation), (many.cold, many.validation))
    assert_same(one, make(world, day_ones=2))
    assert one.warm.tolist() != other.warm.tolist()
    assert cells(one.warm_day_one[0]["stream", ITEM]) != cells(one.warm_day_one[1]["stream", ITEM])


def test_users_whose_vector_is_not_brought_are_judged_but_not_warm(world: Dataset) -> None:
    vectors = np.ones((400, 2), np.float32)
    vectors[::2] = np.nan
    brought = replace(world, user_vectors=vectors, item_vectors=np.ones((121, 2), np.float32))
    split = make(brought)
    complete = make(world)
    np.testing.assert_array_equal(split.warm, complete.warm[complete.warm % 2 == 1])
    assert_same((split.validation, split.cold), (complete.validation, complete.cold))
