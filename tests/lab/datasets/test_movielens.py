from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from firstday.data.load import load
from firstday.errors import DataError
from firstday.lab.datasets import movielens

FILMS = [
    ("1", "Toy Story (1995)", ["Animation", "Children's", "Comedy"]),
    ("2", "Misérables, Les (1995)", ["Drama", "Musical"]),
    ("267", "unknown", ["unknown"]),
]


def grouplens(folder: Path) -> Path:
    """Write a small copy in GroupLens' layout."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "u.data").write_text("10\t1\t5\t881250949\n10\t2\t1\t881250950\n9\t267\t3\t881250951\n")
    lines = []
    for item_id, title, genres in FILMS:
        flags = "|".join("1" if genre in genres else "0" for genre in movielens.GENRES)
        lines.append(f"{item_id}|{title}|01-Jan-1995||http://example.org/?{item_id}|{flags}\n")
    (folder / "u.item").write_bytes("".join(lines).encode("latin-1"))
    (folder / "u.user").write_text("9|24|M|technician|85711\n10|53|F|other|T8H1N\n")
    return folder


def test_a_copy_from_grouplens_becomes_a_dataset(tmp_path: Path) -> None:
    dataset = load("movielens-100k", path=grouplens(tmp_path))
    assert dataset.name == "movielens-100k"
    assert dataset.users.values.to_list() == [9, 10]
    assert dataset.items.values.to_list() == [1, 2, 267]
    assert dataset.titles == ("Toy Story (1995)", "Misérables, Les (1995)", "unknown")
    np.testing.assert_array_equal(dataset.ages, [24, 53])
    assert {name: group.values for name, group in dataset.groups.items()} == {
        "gender": ("F", "M"),
        "occupation": ("other", "technician"),
        "zip_digit": ("8",),
    }
    assert dataset.groups["zip_digit"].codes.tolist() == [0, -1]
    genre = dataset.entities["genre"]
    assert genre.ids.values.to_list() == ["Animation", "Children's", "Comedy", "Drama", "Musical", "unknown"]
    assert genre.items.columns.tolist() == [0, 0, 0, 1, 1, 2]
    assert dataset.events.whole().select("user_ix", "signal", "target_ix", "weight").rows() == [
        (0, "stream", 2, 1.0),
        (1, "stream", 0, 1.0),
        (1, "stream", 1, 1.0),
    ]
    assert dataset.events.whole()["timestamp"].dt.epoch("s").to_list() == [881250951, 881250949, 881250950]
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.data", "1,2,3,4\n"),
        ("u.data", ""),
        ("u.user", "9|old|M|technician|85711\n"),
        ("u.item", "1|Toy Story (1995)\n"),
    ],
)
def test_a_damaged_copy_gives_one_sentence(name: str, content: str, tmp_path: Path) -> None:
    (grouplens(tmp_path) / name).write_text(content)
    with pytest.raises(DataError) as caught:
        load("movielens-100k", path=tmp_path)
    fault = str(caught.value)
    assert fault.startswith(f"{tmp_path}: cannot be read as movielens-100k (")
    assert "\n" not in fault


def test_a_misspelt_name_is_told_the_nearest(tmp_path: Path) -> None:
    for path in (None, tmp_path):
        with pytest.raises(DataError, match=r"\(did you mean 'movielens-100k'\?\)"):
            load("movielens100k", path=path)


def test_where_pip_fails_it_says_so_and_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTDAY_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DataError) as caught:
        load("movielens-100k")
    fault = str(caught.value)
    assert fault.startswith(f"movielens-100k: recbole==1.2.1 could not be downloaded to {tmp_path} (ERROR: ")
    assert fault.endswith(
        "; connect to the network, set FIRSTDAY_CACHE to a writable folder, or give the path of a local copy (--path)."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache into which the data has been fetched, once for all tests."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTDAY_CACHE", str(cache))
        load("movielens-100k")
    return cache


@pytest.mark.slow
def test_the_fetched_data_is_whole(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTDAY_CACHE", str(fetched))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # only the cache can answer
    dataset = load("movielens-100k")
    assert dataset.summary() == {
        "users": 943,
        "items": 1_682,
        "interactions": 100_000,
        "pairs": {"stream x item": 100_000},
        "entities": {"genre": 19},
        "groups": {"gender": 2, "occupation": 21, "zip_digit": 10},
        "friends": 0,
    }
    genre = dataset.entities["genre"]
    assert genre.items.lengths()[genre.ids.index_of("Drama")] == 725
    assert dataset.titles is not None
    assert dataset.titles[:2] == ("Toy Story (1995)", "GoldenEye (1995)")
    assert dataset.titles[dataset.items.index_of(267)] == "unknown"
    assert (dataset.groups["zip_digit"].codes < 0).sum() == 18
    assert dataset.events.whole()["timestamp"].min() == datetime(1997, 9, 20, 3, 5, 10, tzinfo=UTC)


@pytest.mark.slow
def test_a_wheel_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTDAY_CACHE", str(tmp_path))
    monkeypatch.setattr(movielens, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="could not be downloaded"):
        load("movielens-100k")
    assert list(tmp_path.iterdir()) == []
