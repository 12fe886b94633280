"""Counts and sums over everyone: by hand on the users of `tests.tiny`, and the same however users are divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from firstday.config import FeatureConfig, SegmentConfig, SignalConfig
from firstday.data.dataset import Dataset, Group
from firstday.data.events import ITEM, UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.splits.split import Split
from firstday.embed.embeddings import FoldIn
from firstday.engine import everyone as everyone_module
from firstday.engine.everyone import (
    EVERYONE_KEY,
    SEGMENT_KEY,
    Everyone,
    StatisticsTask,
    describe_encoder,
    describe_segments,
    merge,
    summarise_part,
)
from firstday.engine.local import LocalLearners
from firstday.ranking import NO_ITEM, unit_rows
from firstday.segment.segments import Segments
from firstday.training.fit import fit
from tests.data.same import assert_same
from tests.engine.parts import divide
from tests.impressions.test_counts import show_to_all
from tests.synthetic import brief_config
from tests.tiny import EAST, ITEM_VECTORS, NORTH, USES, make_encoder, make_model

CENTROIDS = np.array([EAST, NORTH], np.float32)
NOBODY = np.zeros(0, np.int64)


def tiny_dataset(*, vectors: bool = True) -> Dataset:
    """Return the five users of `tests.tiny` with what they streamed, and the vectors that the table gives them."""
    events = pl.DataFrame(
        {"user_ix": USES.row_of_entry(), "target_ix": USES.columns, "weight": USES.weights},
        schema={"user_ix": pl.Int32, "target_ix": pl.Int32, "weight": pl.Float32},
    ).with_columns(
        signal=pl.lit("stream"),
        entity=pl.lit(ITEM),
        timestamp=pl.lit(None, UTC_MICROSECONDS),
    )
    users = np.array([EAST, EAST, EAST, NORTH, NORTH], np.float32)
    return Dataset(
        name="tiny",
        users=Ids.of([f"u{ix}" for ix in range(1, 6)]),
        items=Ids.of([f"i{ix}" for ix in range(1, 7)]),
        events=Events.of(events),
        groups={"country": Group(("DE", "FR", "ZZ"), np.array([1, 1, -1, 0, 0], np.int32))},
        ages=np.array([20, 30, 20, 40, -1], np.int16),
        user_vectors=3 * users if vectors else None,  # of any length
        item_vectors=ITEM_VECTORS if vectors else None,
    )


def ask(dataset: Dataset, centroids: np.ndarray = CENTROIDS, held_out: np.ndarray = NOBODY) -> StatisticsTask:
    held_out_ids = Ids(dataset.users.take(held_out))
    return StatisticsTask.of(dataset, FoldIn(ITEM_VECTORS, "mean"), centroids, SignalConfig(), held_out_ids)


def describe_all(dataset: Dataset, task: StatisticsTask) -> Everyone:
    return summarise_part(dataset, np.arange(len(dataset.users)), dataset.actions(), task)


def test_five_users_are_counted_as_with_a_pencil() -> None:
    dataset = tiny_dataset()
    model = make_model()
    everyone = describe_all(dataset, ask(dataset))
    assert_same(everyone.segments, model.segments.items)
    assert_same(everyone.items, model.everyone)
    assert list(everyone.groups) == ["country", "age"]
    for name, counts in everyone.groups.items():
        assert_same(counts, model.profile_groups[name])
    np.testing.assert_array_equal(everyone.sums[EVERYONE_KEY], [3, 2])
    np.testing.assert_array_equal(everyone.sums["country"], [[0, 2], [2, 0], [0, 0]])
    np.testing.assert_array_equal(everyone.sums["age"][[20, 30, 40, 50]], [[2, 0], [1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(everyone.sums[SEGMENT_KEY], [0, 0])
    assert everyone.items.sizes.tolist() == [5]


def test_without_given_vectors_items_make_them() -> None:
    dataset = tiny_dataset(vectors=False)
    everyone = describe_all(dataset, ask(dataset))
    means = [(0.875, 0.125), (0.75, 0.25), (0.75, 0.25), (0.125, 0.875), (0.25, 0.75)]
    vectors = [np.array(mean) / np.hypot(*mean) for mean in means]
    np.testing.assert_allclose(everyone.sums[EVERYONE_KEY], np.sum(vectors, axis=0), rtol=1e-6)
    apart = [sum(((vector - EAST) ** 2).sum() for vector in vectors[:3])]
    apart += [sum(((vector - NORTH) ** 2).sum() for vector in vectors[3:])]
    np.testing.assert_allclose(everyone.sums[SEGMENT_KEY], apart, rtol=1e-6)
    assert everyone.segments.sizes.tolist() == [3, 2]


def test_held_out_users_are_not_counted() -> None:
    dataset = tiny_dataset()
    everyone = describe_all(dataset, ask(dataset, held_out=np.array([4, 0])))
    assert (everyone.items.sizes.tolist(), everyone.segments.sizes.tolist()) == ([3], [2, 1])
    assert everyone.groups["country"].sizes.tolist() == [1, 1, 0]
    np.testing.assert_array_equal(everyone.sums[EVERYONE_KEY], [2, 1])


def test_a_part_may_lack_ages_signals_and_users() -> None:
    dataset = tiny_dataset()
    task = ask(dataset)
    everyone = describe_all(replace(dataset, ages=None), task)
    assert everyone.groups["age"].sizes.sum() == 0
    for users in (NOBODY, np.arange(5)):
        idle = summarise_part(dataset, users, {}, task)
        assert (idle.items.sizes.tolist(), idle.items.counts.n_entries) == ([len(users)], 0)
    assert_equal(merge([summarise_part(dataset, NOBODY, {}, task), everyone]), everyone)


def test_a_segment_that_is_nearest_to_nobody_is_left_out() -> None:
    dataset = tiny_dataset()
    centroids = np.array([(-1, -1), EAST, NORTH], np.float32)
    everyone = describe_all(dataset, ask(dataset, centroids))
    learned = Segments(centroids, everyone.segments, np.zeros((3, 1), np.int32), np.zeros(3, np.float32))
    segments = describe_segments(learned, everyone, SegmentConfig(top_items=4))
    model = make_model()
    assert_same(segments.items, model.segments.items)
    np.testing.assert_array_equal(segments.centroids, CENTROIDS)
    assert segments.top_items.tolist() == [[0, 2, 1, NO_ITEM], [3, 2, 4, NO_ITEM]]
    assert segments.spread.tolist() == [0, 0]
    assert np.isfinite(segments.top_shares).all()


@pytest.mark.parametrize("shrinkage", [0.0, 2.0])
def test_profile_groups_lean_on_everyone(shrinkage: float) -> None:
    dataset = tiny_dataset()
    encoder = replace(make_encoder(), config=FeatureConfig(group_shrinkage=shrinkage, age_users=0))
    described = describe_encoder(encoder, describe_all(dataset, ask(dataset)))
    overall = np.array([0.6, 0.4])
    expected = [(np.array(sums) + shrinkage * overall) / (2 + shrinkage) for sums in ([0, 2], [2, 0])]
    np.testing.assert_allclose(described.group_means["country"], [*expected, overall, overall], rtol=1e-6)
    assert described.age_means is not None
    assert described.age_means.shape == (122, 2)
    np.testing.assert_allclose(described.age_means[20], (np.array([2, 0]) + shrinkage * overall) / (2 + shrinkage))
    np.testing.assert_allclose(described.age_means[[99, -1]], [overall, overall])
    ageless = replace(dataset, ages=None)
    assert describe_encoder(replace(encoder, age_means=None), describe_all(ageless, ask(ageless))).age_means is None


def test_near_years_share_after_parts_are_added_up() -> None:
    """For 31 count, at a width of 12: the one of 30 with 11/12, the one of 40 with 3/12, both of 20 with 1/12."""
    dataset = tiny_dataset()
    task = ask(dataset)
    answers = [describe_all(part, task) for part, _ in divide(dataset, 5)]
    encoder = replace(make_encoder(), config=FeatureConfig(group_shrinkage=0, age_users=1.3))
    described = describe_encoder(encoder, merge(answers))
    assert described.age_means is not None
    assert described.age_widths is not None
    assert described.age_widths[[20, 31]].tolist() == [1, 12]
    np.testing.assert_allclose(described.age_means[[20, 31]], [EAST, (13 / 16, 3 / 16)], rtol=1e-6)


@pytest.fixture(scope="module", params=["least-squares", "mean"])
def task(request: pytest.FixtureRequest, world: Dataset) -> StatisticsTask:
    """Ask the synthetic service by either rule of fold-in, with some users held out."""
    rng = np.random.default_rng(3)
    items = rng.normal(size=(len(world.items), 12)).astype(np.float32)
    centroids = unit_rows(rng.normal(size=(9, 12)).astype(np.float32))
    held_out = Ids(world.users.take(np.arange(7)))
    return StatisticsTask.of(world, FoldIn(items, request.param, 15.0, 1.0), centroids, SignalConfig(), held_out)


def assert_equal(one: Everyone, other: Everyone, rtol: float = 1e-12) -> None:
    """Check that counts are equal, and sums but for the last bits of float64."""
    for name, counts in other.counts.items():
        assert_same(one.counts[name], counts)
        np.testing.assert_allclose(one.sums[name], other.sums[name], rtol=rtol, atol=1e-12)
    assert_same(one.shown, other.shown)


def test_however_users_are_divided_everyone_is_the_same(
    world: Dataset, task: StatisticsTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = show_to_all(world)
    whole = describe_all(shown, task)
    assert whole.items.sizes.tolist() == [393]
    assert whole.shown is not None
    assert whole.shown.shown.column_sums().sum() == 2 * 393
    for n_parts in (3, 40):
        answers = [describe_all(part, task) for part, _ in divide(shown, n_parts)]
        assert_equal(merge(answers), whole)
        assert_equal(merge(iter(answers[::-1])), whole)
    monkeypatch.setattr(everyone_module, "USERS_IN_MEMORY", 17)
    assert_equal(describe_all(shown, task), whole)


@pytest.fixture(scope="module")
def given_vectors(world: Dataset) -> Dataset:
    rng = np.random.default_rng(4)
    users, items = (rng.normal(size=(n, 6)).astype(np.float32) for n in (len(world.users), len(world.items)))
    return replace(world, user_vectors=users, item_vectors=items)


def test_with_given_vectors_everyone_is_what_is_counted_without_asking(given_vectors: Dataset, split: Split) -> None:
    config = brief_config()
    learners = LocalLearners(given_vectors, is_sample=True)
    plain = fit(given_vectors, split, config, choose_settings=False).model
    described = fit(learners, split, config, choose_settings=False).model
    assert_same(described.segments.items, plain.segments.items)
    assert_same(described.everyone, plain.everyone)
    np.testing.assert_array_equal(described.segments.top_items, plain.segments.top_items)
    np.testing.assert_allclose(described.segments.spread, plain.segments.spread, rtol=1e-5)
    assert list(described.profile_groups) == list(plain.profile_groups)
    for name, counts in plain.profile_groups.items():
        assert_same(described.profile_groups[name], counts)
    for name, means in plain.encoder.group_means.items():
        np.testing.assert_allclose(described.encoder.group_means[name], means, atol=1e-6)
    for name in ("age_means", "age_widths", "age_centre", "age_scale"):
        np.testing.assert_allclose(getattr(described.encoder, name), getattr(plain.encoder, name), atol=1e-6)
    assert described.facts["data"] == plain.facts["data"]
