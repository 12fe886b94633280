"""The features of five users, computed by hand (PAPER, step 2)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firstday.config import FeatureConfig, SignalConfig
from firstday.data.events import ITEM
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.features import encoder as encoder_module
from firstday.features.encoder import Encoder, collect_features, fit_encoder, memory_bytes
from firstday.features.signal_batch import SignalBatch
from firstday.sparse import SparseRows

USER_VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0], [0, -1]], np.float32)
ITEM_VECTORS = np.array([[2, 0], [0, 4], [3, 4]], np.float32)
ARTISTS = SparseRows.from_lists([[0, 1], [2], []], 3)
COUNTRIES = np.array([0, 0, 1, -1, 1], np.int32)
AGES = np.array([20, 30, 20, -1, 40], np.int16)
PAPER = FeatureConfig(
    group_shrinkage=0, age_users=0, counts="plain", unit_vectors=False, fold_in=False, through_items=()
)

OVERALL = [0.12, 0.16]
COUNTRY_MEANS = [[0.5, 0.5], [0.3, -0.1], OVERALL]
"""Of countries 0 and 1, and of country 2, which no warm user has."""
AGE_CENTRE = 27.5
AGE_SCALE = 68.75**0.5

STREAMS = [[0, 2], [1], [], [], [0, 1, 2]]
FAVORITES = [[], [1, 2], [], [0], []]
ARTIST_STREAMS = [[0], [], [0, 1], [2], []]


def warm_batch() -> SignalBatch:
    streams = SparseRows.from_lists(STREAMS, 3)
    return SignalBatch(
        5,
        3,
        {  # not in the order of the blocks; streams weigh 3 each, which means must not mind
            ("stream", "artist"): SparseRows.from_lists(ARTIST_STREAMS, 3),
            ("stream", ITEM): SparseRows(streams.starts, streams.columns, 3 * streams.weights, 3),
            ("favorite", ITEM): SparseRows.from_lists(FAVORITES, 3),
        },
        {"country": COUNTRIES},
        AGES,
    )


def fit(config: FeatureConfig = PAPER, batch: SignalBatch | None = None) -> Encoder:
    embeddings = Embeddings(USER_VECTORS, ITEM_VECTORS, FoldIn(ITEM_VECTORS, "mean"), "dot")
    return fit_encoder(embeddings, batch or warm_batch(), {"artist": ARTISTS}, {"country": 3}, config, SignalConfig())


def test_the_papers_features_of_five_users() -> None:
    features = fit().encode(warm_batch())
    year_20 = [0.8, 0.4]
    year_30 = [0, 1]
    year_40 = [0, -1]
    nothing = [0, 0]
    age = [(years - AGE_CENTRE) / AGE_SCALE for years in (20, 30, 20, AGE_CENTRE, 40)]
    expected = [
        # age's mean, country's mean, favorite x item, stream x item, stream x artist, three counts, the age
        [*year_20, *COUNTRY_MEANS[0], *nothing, 2.5, 2, 1, 2, 0, 2, 1, age[0]],
        [*year_30, *COUNTRY_MEANS[0], 1.5, 4, 0, 4, *nothing, 2, 1, 0, age[1]],
        [*year_20, *COUNTRY_MEANS[1], *nothing, *nothing, 2, 3, 0, 0, 2, age[2]],
        [*OVERALL, *OVERALL, 2, 0, *nothing, *nothing, 1, 0, 1, age[3]],
        [*year_40, *COUNTRY_MEANS[1], *nothing, 5 / 3, 8 / 3, *nothing, 0, 3, 0, age[4]],
    ]
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-6, atol=1e-6)


def test_group_means_shrink_towards_everyone() -> None:
    encoder = fit(FeatureConfig(group_shrinkage=2, age_users=0))
    means = encoder.group_means["country"]
    ages = encoder.age_means
    expected = [[(1 + 0.24) / 4, (1 + 0.32) / 4], [(0.6 + 0.24) / 4, (-0.2 + 0.32) / 4], OVERALL, OVERALL]
    np.testing.assert_allclose(means, expected, rtol=1e-6)
    assert ages is not None
    np.testing.assert_allclose(ages[30], [0.24 / 3, 1.32 / 3], rtol=1e-6)
    np.testing.assert_allclose(ages[[0, 29, 120, -1]], [OVERALL] * 4, rtol=1e-6)


def test_log_counts_and_unit_vectors() -> None:
    encoder = fit(PAPER.override({"counts": "log", "unit_vectors": True}))
    features = encoder.encode(warm_batch())
    plain = fit().encode(warm_batch())
    np.testing.assert_allclose(features[:, 10:13], np.log1p(plain[:, 10:13]), rtol=1e-6)
    np.testing.assert_allclose(features[0, 6:8], [0.8, 0.4], rtol=1e-6)  # (1, 0) and (0.6, 0.8)
    np.testing.assert_allclose(encoder.target_vectors["artist"][0], [0.5, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(features[:, 13], plain[:, 13])


def test_the_fold_in_block_is_the_unit_vector_solved_from_liked_items() -> None:
    encoder = fit(PAPER.override("fold_in", True))
    assert encoder.blocks()[-1] == "fold_in"
    features = encoder.encode(warm_batch())
    assert features.shape == (5, 6 * 2 + 4)
    # Streams weigh log2(4) = 2, favorites 1: user 1 has item 1 with 3 and item 2 with 1.
    user_1 = np.array([3, 3 * 4 + 4]) / 4
    np.testing.assert_allclose(features[1, 10:12], user_1 / np.linalg.norm(user_1), rtol=1e-5)
    np.testing.assert_array_equal(features[2, 10:12], 0)
    np.testing.assert_allclose(features[3, 10:12], [1, 0])


def test_an_unknown_group_and_a_missing_age_take_the_overall_mean() -> None:
    encoder = fit()
    stranger = SignalBatch(2, 3, {}, {"country": np.array([-1, 2], np.int32)}, np.array([-1, 55], np.int16))
    features = encoder.encode(stranger)
    np.testing.assert_allclose(features[:, :4], [[*OVERALL, *OVERALL]] * 2, rtol=1e-6)
    np.testing.assert_array_equal(features[:, 4:13], 0)
    np.testing.assert_allclose(features[:, 13], [0, (55 - AGE_CENTRE) / AGE_SCALE], rtol=1e-6)
    without = encoder.encode(SignalBatch(1, 3))
    np.testing.assert_array_equal(without[0], features[0])


def test_without_ages_there_is_no_age_block_and_no_age() -> None:
    encoder = fit(batch=replace(warm_batch(), ages=None))
    assert encoder.blocks() == ("country", "favorite x item", "stream x item", "stream x artist")
    assert encoder.encode(warm_batch()).shape == (5, encoder.n_inputs) == (5, 4 * 2 + 3)


@pytest.mark.parametrize("ages", [[-1, -1, -1, -1, -1], [30, 30, -1, 30, 30]])
def test_ages_that_do_not_differ_stay_finite(ages: list[int]) -> None:
    encoder = fit(batch=replace(warm_batch(), ages=np.array(ages, np.int16)))
    assert np.abs(encoder.encode(warm_batch())).max() < 100  # false for NaN


def test_a_pair_that_no_warm_user_has_gets_no_block() -> None:
    """Its columns would be all zeros in training, so that the network would read noise from them afterwards."""
    batch = warm_batch()
    actions = {**batch.actions, ("ban", ITEM): SparseRows.empty(5, 3)}
    encoder = fit(batch=replace(batch, actions=actions))
    assert encoder.blocks() == fit().blocks()
    banned = SignalBatch(1, 3, {("ban", ITEM): SparseRows.from_lists([[0, 1]], 3)})
    np.testing.assert_array_equal(encoder.encode(banned), encoder.encode(SignalBatch(1, 3)))


EVERYTHING = FeatureConfig(group_shrinkage=2, through_items=("stream x artist",))
"""Logarithms of counts, unit vectors, a fold-in block, and artists through items: as the defaults have it."""
FRIENDS = SparseRows.from_lists([[1, 2], [], [0], [0, 1, 2, 3], [2]], 5)


def with_friends() -> tuple[Encoder, SignalBatch]:
    """Return an encoder with every kind of block, and the five users with friends."""
    batch = replace(warm_batch(), friends=FRIENDS)
    embeddings = Embeddings(USER_VECTORS, ITEM_VECTORS, FoldIn(ITEM_VECTORS, "mean"), "dot")
    return (
        fit_encoder(embeddings, batch, {"artist": ARTISTS}, {"country": 3}, EVERYTHING, SignalConfig(), USER_VECTORS),
        batch,
    )


def test_the_friends_block_is_the_mean_vector_of_friends_and_the_logarithm_of_how_many() -> None:
    encoder, batch = with_friends()
    assert encoder.blocks() == (
        "age", "country", "favorite x item", "stream x item", "stream x artist", "friends", "fold_in",
    )  # fmt: skip
    assert encoder.n_inputs == 7 * 2 + 3 + 1 + 1
    features = encoder.encode(batch)
    means = [(0.3, 0.9), (0, 0), (1, 0), (0.15, 0.45), (0.6, 0.8)]
    np.testing.assert_allclose(features[:, 10:12], means, atol=1e-6)
    np.testing.assert_allclose(features[:, 17], np.log1p([2, 0, 1, 4, 1]), rtol=1e-6)
    lonely = encoder.encode(replace(batch, friends=None))
    np.testing.assert_array_equal(lonely[:, [10, 11, 17]], 0)
    np.testing.assert_array_equal(np.delete(lonely, [10, 11, 17], axis=1), np.delete(features, [10, 11, 17], axis=1))


def test_one_user_alone_has_the_features_that_they_have_among_others() -> None:
    encoder, batch = with_friends()
    together = encoder.encode(batch)
    for user in range(5):
        alone = encoder.encode(batch.take(np.array([user])))
        np.testing.assert_allclose(alone[0], together[user], rtol=1e-6, atol=1e-7)


def test_on_demand_or_held_the_rows_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, first = with_friends()
    second = first.take(np.array([4, 3, 2, 1, 0]))
    expected = np.concatenate([encoder.encode(first), encoder.encode(second)])
    for share in (encoder_module.MAX_MEMORY_SHARE, 0):
        monkeypatch.setattr(encoder_module, "MAX_MEMORY_SHARE", share)
        features = collect_features(encoder, [first, second])
        assert len(features) == 10
        for rows in (np.arange(10), np.array([7, 0, 9, 3])):
            np.testing.assert_allclose(features.take(rows), expected[rows], atol=1e-6)


@pytest.mark.parametrize(("limit", "expected"), [("1048576\n", 2**20), ("max\n", None), (f"{2**63 - 4096}\n", None)])
def test_a_container_may_have_less_memory_than_the_machine(
    limit: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container without a limit has ``max`` (control groups 2) or a huge number (1)."""
    file = tmp_path / "memory.max"
    monkeypatch.setattr(encoder_module, "CONTAINER_LIMITS", (str(file), str(tmp_path / "missing")))
    machine = memory_bytes()
    file.write_text(limit)
    assert memory_bytes() == (expected or machine)


@pytest.mark.parametrize(
    "through_items",
    [
        ("stream x artist", "favorite x artist", "skip x artist", "stream x album"),
        ("stream x *", "favorite x *"),
        ("* x artist",),
    ],
)
def test_blocks_that_follow_from_items_are_blocks_of_what_was_done_to_their_artists(
    through_items: tuple[str, ...],
) -> None:
    config = PAPER.override("through_items", through_items)
    batch = warm_batch()
    artist_of = [0, 0, 1]
    reached = [[artist_of[item] for item in items] for items in STREAMS]
    both = [sorted({*own, *more}) for own, more in zip(ARTIST_STREAMS, reached, strict=True)]
    liked = [sorted({artist_of[item] for item in items}) for items in FAVORITES]
    explicit = {
        **batch.actions,
        ("stream", "artist"): SparseRows.from_lists(both, 3),
        ("favorite", "artist"): SparseRows.from_lists(liked, 3),
    }
    written_out = replace(batch, actions=explicit)
    derived = fit(config)
    by_hand = fit(PAPER, written_out)
    assert derived.blocks() == by_hand.blocks()  # no skip of items, no album: no block
    assert "favorite x artist" in derived.blocks()
    np.testing.assert_allclose(derived.encode(batch), by_hand.encode(written_out), atol=1e-6)
