"""The paper's released files: read whatever their numbering and kind of lists; what is wrong is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.sources.deezer_kdd21 import BLOCKS, COUNTED_BLOCKS, PaperUsers, read_paper_data
from firstday.errors import DataError
from tests.released import DIMENSIONS, SIZES, Made, make_released

TEST = "user_features_test_svd.parquet"
TRAIN = "user_features_train_svd.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_released(tmp_path / "released")
    return tmp_path / "released"


def check_users(users: PaperUsers, made: Made, part: str, space: str, song_ids: list[int]) -> None:
    """Compare with what was written, one user and block at a time."""
    assert users.ids.values.to_list() == made.users[part]
    d = DIMENSIONS[space]
    assert users.features.shape == (SIZES[part], 20 * d + 19)
    assert users.features.dtype == np.float32
    for row, user in enumerate(made.users[part]):
        assert {song_ids[ix] for ix in users.songs.row(row)} == set(made.songs[user])
        for number, block in enumerate(BLOCKS):
            mean = made.blocks[space, user, block]
            expected = np.zeros(d, np.float32) if mean is None else mean
            np.testing.assert_array_equal(users.features[row, number * d : (number + 1) * d], expected)
            np.testing.assert_array_equal(users.block(block)[row], expected)
        counts = [made.counts[user, block] for block in COUNTED_BLOCKS]
        assert users.features[row, 20 * d : -1].tolist() == counts
        assert users.counts()[row].tolist() == counts
        assert users.features[row, -1] == (made.ages[user] or 0)


@pytest.mark.parametrize(("start", "text"), [(0, False), (1, True)])
@pytest.mark.parametrize("space", ["svd", "mf"])
def test_everything_is_read_whatever_the_numbering_and_the_lists(
    tmp_path: Path, start: int, text: bool, space: str
) -> None:
    made = make_released(tmp_path / "released", start=start, text=text)
    data = read_paper_data(tmp_path / "released", space)  # type: ignore[arg-type]
    song_ids = data.items.values.to_list()
    assert song_ids == made.song_ids
    np.testing.assert_array_equal(data.item_vectors, made.song_vectors[space])
    expected = np.stack([made.user_vectors[space][user] for user in made.users["train"]])
    np.testing.assert_array_equal(data.user_vectors, expected)
    for part, users in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        check_users(users, made, part, space, song_ids)
    assert data.notes == ()
    assert not data.simulated


def change(path: Path, how: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    how(pl.read_parquet(path)).write_parquet(path)


def test_columns_may_have_any_number_type(folder: Path) -> None:
    before = read_paper_data(folder, "svd")
    for part in SIZES:
        change(
            folder / f"user_features_{part}_svd.parquet",
            lambda table: table.with_columns(
                pl.col("^nb_.*$").cast(pl.Float64),
                pl.col("user_index").cast(pl.String),
                pl.col("age_value").cast(pl.Int8),
            ),
        )
    after = read_paper_data(folder, "svd")
    for ours, theirs in ((before.train, after.train), (before.test, after.test)):
        np.testing.assert_array_equal(ours.features, theirs.features)
        np.testing.assert_array_equal(ours.songs.columns, theirs.songs.columns)
    np.testing.assert_array_equal(before.user_vectors, after.user_vectors)


def test_not_a_number_is_missing_and_a_repeated_song_counts_once(folder: Path) -> None:
    before = read_paper_data(folder, "svd")
    gaps = pl.col("^streamed_songs_.*$").fill_null(float("nan"))
    change(folder / TEST, lambda table: table.with_columns(gaps, pl.col("d1d30_songs").list.concat("d1d30_songs")))
    after = read_paper_data(folder, "svd")
    np.testing.assert_array_equal(after.test.features, before.test.features)
    np.testing.assert_array_equal(after.test.songs.columns, before.test.songs.columns)
    assert (after.test.songs.weights == 1).all()


def test_training_users_without_songs_and_other_vectors_are_noted(folder: Path) -> None:
    nothing = pl.when(pl.int_range(pl.len()) < 3).then(pl.lit([], pl.List(pl.Int64))).otherwise("d1d30_songs")
    change(folder / TRAIN, lambda table: table.with_columns(d1d30_songs=nothing)[:-5])
    data = read_paper_data(folder, "svd")
    assert data.notes == (
        "3 of 235 training users streamed nothing in their 30 days; they have a vector, and count in no list.",
        "user_embeddings.parquet: 5 users are not in user_features_train_svd.parquet and were ignored.",
    )


SONG = pl.col("d1d30_songs")
FAULTS: list[tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = [
    ("song_embeddings.parquet", lambda t: t.drop("song_index"), r"released: cannot be read \(.*song_index"),
    (
        "song_embeddings.parquet",
        lambda t: t.drop("features_svd"),
        r"released: cannot be read \(.*features_svd",
    ),
    (
        "song_embeddings.parquet",
        lambda t: pl.concat([t, t[:2]]),
        "song_embeddings.parquet: has 4 of 92 rows without song_index or with a repeated one; take all files",
    ),
    (
        "song_embeddings.parquet",
        lambda t: t.with_columns(
            features_svd=pl.when(pl.int_range(pl.len()) == 4).then(pl.lit([1.0])).otherwise("features_svd")
        ),
        "song_embeddings.parquet: has features_svd of other sizes than 6 or with missing numbers",
    ),
    (
        "song_embeddings.parquet",
        lambda t: t.with_columns(features_svd=pl.lit("[1, 2")),
        r"released: cannot be read \(",
    ),
    (
        "song_embeddings.parquet",
        lambda t: t.with_columns(features_svd=pl.lit([float("inf")] * 6)),
        "song_embeddings.parquet: has features_svd of other sizes than 6 or with missing numbers",
    ),
    (
        "user_embeddings.parquet",
        lambda t: t.with_columns(svd_embeddings=pl.col("mf_embeddings")),
        "user_embeddings.parquet: has vectors of 9 numbers, not 6; take all files from the same release",
    ),
    (
        "user_embeddings.parquet",
        lambda t: t[3:],
        "user_embeddings.parquet: has no vector for 3 of 240 training users; take all files",
    ),
    (
        TRAIN,
        lambda t: t.rename({f"age_embedding{number}": f"years{number}" for number in range(6)}),
        "svd.parquet: does not have 6 columns of each block",
    ),
    (
        TRAIN,
        lambda t: t.drop("country_embedding2"),
        "does not have 6 columns of each block",
    ),
    (TRAIN, lambda t: t.drop("nb_search_songs"), "then the counts and age_value; take all files"),
    (TEST, lambda t: t.drop("d1d30_songs"), r"released: cannot be read \(.*d1d30_songs"),
    (
        TEST,
        lambda t: pl.concat([t, t[:1]]),
        "test_svd.parquet: has 2 of 51 rows without user_index or with a repeated one",
    ),
    (TEST, lambda t: t.with_columns(user_index=pl.lit(None, pl.Int64)), "has 50 of 50 rows without user_index"),
    (
        TEST,
        lambda t: t.with_columns(SONG.list.concat(pl.lit([5], pl.List(pl.Int64)))),
        r"test_svd.parquet: has 50 of \d+ entries of d1d30_songs that song_embeddings.parquet lacks",
    ),
    (
        TEST,
        lambda t: t.with_columns(pl.when(pl.int_range(pl.len()) >= 48).then(None).otherwise(SONG).alias("d1d30_songs")),
        "test_svd.parquet: has 2 of 50 users without any of d1d30_songs to judge lists by",
    ),
    (TEST, lambda t: t.with_columns(age_value=pl.lit(float("inf"))), "has features that are infinite"),
    (TEST, lambda t: t.with_columns(age_value=pl.lit("old")), "cannot be read"),
]


@pytest.mark.parametrize(("name", "how", "sentence"), FAULTS)
def test_faults_are_named(folder: Path, name: str, how: Callable[[pl.DataFrame], pl.DataFrame], sentence: str) -> None:
    change(folder / name, how)
    with pytest.raises(DataError, match=sentence):
        read_paper_data(folder, "svd")


def test_files_of_the_other_space_are_told_in_one_sentence(folder: Path) -> None:
    (folder / "user_features_test_mf.parquet").replace(folder / TEST)
    with pytest.raises(DataError) as found:
        read_paper_data(folder, "svd")
    (fault,) = found.value.faults
    assert fault.startswith(f"{TEST}: does not have 6 columns of each block (age, country, ")


def test_missing_and_damaged_files_are_named(folder: Path) -> None:
    (folder / TEST).write_bytes(b"no table")
    with pytest.raises(DataError, match=r"released: cannot be read \(.*\); fetch the files again"):
        read_paper_data(folder, "svd")
    for name in (TEST, "user_embeddings.parquet"):
        (folder / name).unlink()
    with pytest.raises(DataError, match=rf"released: has no user_embeddings.parquet, {TEST}; fetch what is missing"):
        read_paper_data(folder, "svd")
    with pytest.raises(DataError, match="nowhere: does not exist; give the folder of the paper's released files"):
        read_paper_data(folder / "nowhere", "svd")
    with pytest.raises(DataError, match="is a file; give the folder"):
        read_paper_data(folder / TRAIN, "svd")
