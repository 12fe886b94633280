"""The paper's released files: read whatever their numbering and kind of lists; what is wrong is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.errors import DataError
from firstday.lab.reproduce.deezer_kdd21 import BLOCKS, PaperUsers, read_paper_data
from tests.data.same import assert_same
from tests.lab.reproduce.released import SIZES, Made, make_released

TEST = "user_features_test_svd.parquet"
TRAIN = "user_features_train_svd.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_released(tmp_path / "released")
    return tmp_path / "released"


def check_users(users: PaperUsers, made: Made, part: str, space: str) -> None:
    """Compare with what was written."""
    assert users.ids.values.to_list() == made.users[part]
    for row, songs in enumerate(made.songs[part]):
        assert {made.song_ids[ix] for ix in users.songs.row(row)} == set(songs)
    means = np.nan_to_num(made.means[part, space])
    expected = np.column_stack([means.reshape(len(users), -1), made.numbers[part]]).astype(np.float32)
    np.testing.assert_array_equal(users.features, expected, strict=True)
    np.testing.assert_array_equal(users.counts(), made.numbers[part][:, :-1])
    np.testing.assert_array_equal(users.block(BLOCKS[-1]), means[:, -1])


@pytest.mark.parametrize(("start", "text"), [(0, False), (1, True)])
@pytest.mark.parametrize("space", ["svd", "mf"])
def test_everything_is_read_whatever_the_numbering_and_the_lists(
    tmp_path: Path, start: int, text: bool, space: str
) -> None:
    made = make_released(tmp_path / "released", start=start, text=text)
    data = read_paper_data(tmp_path / "released", space)  # type: ignore[arg-type]
    assert data.items.values.to_list() == made.song_ids
    np.testing.assert_array_equal(data.item_vectors, made.song_vectors[space])
    np.testing.assert_array_equal(data.user_vectors, made.user_vectors[space])
    for part in SIZES:
        check_users(getattr(data, part), made, part, space)
    assert not data.simulated


def change(path: Path, how: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    how(pl.read_parquet(path)).write_parquet(path)


def test_any_number_type_is_read_and_a_repeated_song_counts_once(folder: Path) -> None:
    before = read_paper_data(folder, "svd")
    change(
        folder / TEST,
        lambda table: table.with_columns(
            pl.col("^nb_.*$").cast(pl.Float64),
            pl.col("^streamed_songs_.*$").fill_null(float("nan")),
            pl.col("user_index").cast(pl.String),
            pl.col("d1d30_songs").list.concat("d1d30_songs"),
        ),
    )
    after = read_paper_data(folder, "svd").test
    assert_same((after.features, after.songs), (before.test.features, before.test.songs))


def test_training_users_may_have_no_songs_and_other_users_a_vector(folder: Path) -> None:
    nothing = pl.when(pl.int_range(pl.len()) < 3).then(pl.lit([], pl.List(pl.Int64))).otherwise("d1d30_songs")
    change(folder / TRAIN, lambda table: table.with_columns(d1d30_songs=nothing)[:-5])
    data = read_paper_data(folder, "svd")
    assert len(data.user_vectors) == len(data.train) == 235
    assert (data.train.songs.lengths() == 0).sum() == 3


SONGS = "song_embeddings.parquet"
USERS = "user_embeddings.parquet"
SONG = pl.col("d1d30_songs")
IS_ONE = pl.int_range(pl.len()) == 4
UNREAD = r"released: cannot be read as the paper's released files \(.*\); download them from https"
FAULTS: list[tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = [
    (SONGS, lambda t: t.drop("features_svd"), UNREAD),
    (
        SONGS,
        lambda t: t.with_columns(features_svd=pl.when(IS_ONE).then(pl.lit([1.0])).otherwise("features_svd")),
        UNREAD,
    ),
    (USERS, lambda t: t[3:], "3 of 240 training users have no vector; use files of the same release"),
    (
        TRAIN,
        lambda t: t.drop("country_embedding2"),
        "has 138 feature columns instead of 139 for vectors of 6 numbers; use files",
    ),
    (
        TEST,
        lambda t: t.with_columns(SONG.list.concat(pl.lit([5], pl.List(pl.Int64)))),
        r"50 of \d+ entries of d1d30_songs are not in song_embeddings.parquet",
    ),
    (TEST, lambda t: t.with_columns(age_value=pl.lit("old")), UNREAD),
]


@pytest.mark.parametrize(("name", "how", "sentence"), FAULTS)
def test_faults_are_named(folder: Path, name: str, how: Callable[[pl.DataFrame], pl.DataFrame], sentence: str) -> None:
    change(folder / name, how)
    with pytest.raises(DataError, match=sentence if sentence == UNREAD else f"^{name}: {sentence}"):
        read_paper_data(folder, "svd")


def test_missing_and_damaged_files_are_named(folder: Path) -> None:
    (folder / "user_features_test_mf.parquet").replace(folder / TEST)
    with pytest.raises(DataError, match=rf"^{TEST}: has 199 feature columns instead of 139 for vectors of 6 numbers; "):
        read_paper_data(folder, "svd")
    (folder / TEST).write_bytes(b"no table")
    with pytest.raises(DataError, match=UNREAD):
        read_paper_data(folder, "svd")
    for name in (TEST, USERS):
        (folder / name).unlink()
    for place in (folder, folder / "nowhere", folder / TRAIN):
        with pytest.raises(DataError, match=f"^{place}: cannot be read as the paper's released files "):
            read_paper_data(place, "svd")
