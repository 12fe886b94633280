"""Last.fm 1K and Deezer's PISA release, on small files made in the documented layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.load import check_tables, load
from firstday.errors import DataError

PROFILE = """\
#id\tgender\tage\tcountry\tregistered
user_000001\tm\t\tJapan\tAug 13, 2006
user_000002\tf\t22\tPeru\tFeb 24, 2006
user_000003\t\t\t\t
"""
PLAYS = """\
user_000001\t2009-05-04T23:08:57Z\ta1\tDeep "Dish\t\tFamous | Live
user_000001\t2006-08-13T13:54:10Z\ta2\tPhoenix\tt1\tBetter
user_000002\t2013-09-29T18:32:04Z\ta2\tPhoenix\tt1\tBetter
user_000003\t2009-01-04T23:08:57Z\t\tNobody\t\tSong
"""
LATE = (
    "interactions.timestamp: 1 of 4 rows are later than the data was collected (first: 2013-09-29T18:32:04Z); taken as "
    "without a time."
)


def a_copy_of_lastfm(folder: Path, plays: str = PLAYS, profile: str = PROFILE) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "userid-profile.tsv").write_text(profile, encoding="utf-8")
    (folder / "userid-timestamp-artid-artname-traid-traname.tsv").write_text(plays, encoding="utf-8")
    return folder


def fault(name: str, path: Path | None) -> str:
    with pytest.raises(DataError) as caught:
        load(name, path=path)
    assert len(caught.value.faults) == 1
    return caught.value.faults[0]


def test_lastfm_becomes_a_dataset(tmp_path: Path) -> None:
    a_copy_of_lastfm(tmp_path / "lastfm-dataset-1K")
    dataset = load("lastfm-1k", path=tmp_path)
    assert dataset.summary() == {
        "users": 3,
        "items": 3,
        "interactions": 4,
        "pairs": {"stream x item": 4},
        "entities": {"artist": 3},
        "groups": {"country": 2, "gender": 2},
        "friends": 0,
    }
    assert dataset.items.values.to_list() == ['Deep "Dish \u2013 Famous | Live', "Nobody \u2013 Song", "t1"]
    assert dataset.titles == ("Famous | Live", "Song", "Better")
    assert dataset.entities["artist"].ids.values.to_list() == ["Nobody", "a1", "a2"]
    assert dataset.ages is not None
    assert dataset.ages.tolist() == [-1, 22, -1]
    registered = pl.Series(dataset.registered_at).cast(pl.Datetime("us", "UTC"))[0]
    assert str(registered) == "2006-08-13 00:00:00+00:00"
    times = dataset.events.whole().sort("user_ix")["timestamp"]
    assert times.null_count() == 1  # the one of 2013, which cannot be
    assert LATE in dataset.notes
    assert (
        "interactions.item_id: 2 of 4 rows have no id of the song, which is known by its artist and title."
        in dataset.notes
    )


def test_dirty_rows_of_lastfm_are_counted_with_their_lines(tmp_path: Path) -> None:
    plays = PLAYS + "user_000003\tyesterday\t\tNobody\t\tSong\nuser_000003\t2009-01-04T23:08:57Z\t\t\t\t\n"
    profile = PROFILE + "user_000004\tf\t222\tPeru\tOct 35, 2005\n"
    a_copy_of_lastfm(tmp_path, plays, profile)
    checked = check_tables("lastfm-1k", path=tmp_path)
    lines = "userid-timestamp-artid-artname-traid-traname.tsv line"
    for sentence in (
        "users.age: 1 of 4 rows are outside 0 to 120 years (first: 222, userid-profile.tsv line 5)",
        "users.registered_at: 1 of 4 rows are not times (first: 'Oct 35, 2005', userid-profile.tsv line 5)",
        f"interactions.timestamp: 1 of 6 rows are not times (first: 'yesterday', {lines} 5)",
        f"interactions.item_id: 1 of 6 rows are empty (first: {lines} 6)",
    ):
        assert any(fault.startswith(sentence) for fault in checked.faults), sentence
    kept = load("lastfm-1k", path=tmp_path, drop_bad_rows=0.5)
    assert kept.summary()["interactions"] == 4
    assert len(kept.left_out) == 3


def test_other_files_are_not_taken_for_lastfm(tmp_path: Path) -> None:
    assert fault("lastfm-1k", None) == (
        "lastfm-1k: is not fetched by firstday; give the path of the unpacked lastfm-dataset-1K (--path)."
    )
    assert fault("lastfm-1k", tmp_path) == (
        f"{tmp_path}: holds no userid-profile.tsv; unpack lastfm-dataset-1K.tar.gz and give the path of its folder."
    )
    a_copy_of_lastfm(tmp_path, plays="user_000001,2009-05-04T23:08:57Z,a1\n")
    assert fault("lastfm-1k", tmp_path) == (
        f"{tmp_path}/userid-timestamp-artid-artname-traid-traname.tsv: the first line has 1 values between tabs, not 6 "
        "(user_id, timestamp, artist_id, artist_name, track_id, track_name) as in lastfm-dataset-1K; unpack it again."
    )


def a_copy_of_pisa(folder: Path) -> Path:
    (folder / "sessions").mkdir(parents=True)
    plays = pl.DataFrame(
        {
            "user_id": [1, 1, 1, 2, 3],
            "session_id": [7, 7, 8, 9, 9],
            "ts": [1_650_000_000, 1_650_000_100, 1_650_090_000, 1_650_000_000, None],
            "product_track_id": [10, 10, 11, 11, 12],
        }
    )
    plays[:2].write_parquet(folder / "sessions" / "part-0.parquet")
    plays[2:].write_parquet(folder / "sessions" / "part-1.parquet")
    pl.DataFrame({"product_track_id": [10, 11], "artist_id": [5, 5], "vector": [[1.0, 0.0], [0.0, 1.0]]}).write_parquet(
        folder / "svd_embeddings.parquet"
    )
    return folder


def test_pisa_becomes_a_dataset_with_vectors(tmp_path: Path) -> None:
    a_copy_of_pisa(tmp_path)
    songs = pl.read_parquet(tmp_path / "svd_embeddings.parquet")
    assert "unknown items (first: 12" in fault("deezer-pisa", tmp_path)  # a play of a song that is not released
    pl.concat([songs, pl.DataFrame({"product_track_id": [12], "artist_id": [6], "vector": [None]})]).write_parquet(
        tmp_path / "svd_embeddings.parquet"
    )
    assert "embeddings/items.vector" in fault("deezer-pisa", tmp_path)
    (tmp_path / "sessions" / "part-1.parquet").unlink()
    songs.write_parquet(tmp_path / "svd_embeddings.parquet")
    dataset = load("deezer-pisa", path=tmp_path)
    assert dataset.summary()["interactions"] == 2
    assert dataset.entities["artist"].ids.values.to_list() == ["5"]
    assert str(dataset.events.whole()["timestamp"].min()).startswith("2022-04-15 05:20:00")
    assert dataset.precomputed is not None
    np.testing.assert_allclose(dataset.precomputed.user_vectors, np.array([[1.0, 0.0]]))


def test_a_user_of_pisa_is_the_mean_of_the_songs_played(tmp_path: Path) -> None:
    a_copy_of_pisa(tmp_path)
    pl.read_parquet(tmp_path / "sessions" / "part-1.parquet")[:2].write_parquet(
        tmp_path / "sessions" / "part-1.parquet"
    )
    dataset = load("deezer-pisa", path=tmp_path)
    assert dataset.precomputed is not None
    np.testing.assert_allclose(dataset.precomputed.user_vectors, np.array([[2 / 3, 1 / 3], [0, 1]]), rtol=1e-6)


def test_other_files_are_not_taken_for_pisa(tmp_path: Path) -> None:
    record = "https://zenodo.org/records/13890194"
    assert fault("deezer-pisa", tmp_path) == (
        f"{tmp_path}: has no sessions or sessions.parquet; fetch it from {record}."
    )
    pl.DataFrame({"user": [1]}).write_parquet(tmp_path / "sessions.parquet")
    assert fault("deezer-pisa", tmp_path) == (
        f"{tmp_path}/sessions.parquet: has no column user_id (its columns: user); see {record}."
    )
    (tmp_path / "sessions.parquet").write_bytes(b"PAR1 cut off")
    assert fault("deezer-pisa", tmp_path).startswith(f"{tmp_path}/sessions.parquet: cannot be read as Parquet (")
