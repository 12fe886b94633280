"""Interactions in many batches and parts on disk give what they give in one piece."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data import user_rows
from firstday.data.load import load
from firstday.tables import raw_table
from tests.data.same import assert_equal

BEGIN = datetime(2024, 5, 1, 1, tzinfo=UTC)
Write = Callable[[pl.DataFrame], Path]


def make_rows(n: int = 5000, seed: int = 0) -> pl.DataFrame:
    """Make interactions of 90 users with 40 items and 8 artists, in no order."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 40, size=n)
    on_artist = rng.random(n) < 0.2
    return pl.DataFrame(
        {
            "user_id": [f"u{user:02}" for user in rng.integers(0, 90, size=n)],
            "item_id": [None if a else f"i{ix:02}" for ix, a in zip(item, on_artist, strict=True)],
            "entity": ["artist" if a else None for a in on_artist],
            "entity_id": [f"a{ix % 8}" if a else None for ix, a in zip(item, on_artist, strict=True)],
            "signal": rng.choice(["stream", "favorite", "skip"], size=n),
            "timestamp": pl.Series([BEGIN + timedelta(seconds=int(s)) for s in rng.permutation(n)]),
            "weight": rng.random(n),
        }
    )


def with_impressions(rows: pl.DataFrame) -> pl.DataFrame:
    """Make some rows impressions, in lists or alone, several at a time."""
    rng = np.random.default_rng(1)
    return rows.with_columns(
        pl.Series("signal", rng.choice(["stream", "skip", "shown"], size=len(rows))),
        pl.Series("list_id", rng.choice(["", "a", "b", "c"], size=len(rows))).replace("", None),
        pl.col("timestamp").dt.truncate("30m"),
        position=rng.integers(1, 13, size=len(rows)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    items = pl.DataFrame(
        {"item_id": [f"i{ix:02}" for ix in range(40)], "artist_id": [f"a{ix % 8}" for ix in range(40)]}
    )
    place = tmp_path / "tables"
    place.mkdir()
    items.write_parquet(place / "items.parquet")
    return place


@pytest.fixture
def tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make batches and parts so small that there are many."""
    monkeypatch.setattr(raw_table, "BATCH_ROWS", 600)
    monkeypatch.setattr(user_rows, "MAX_MEMORY_ROWS", 500)


def write_parts(folder: Path, rows: pl.DataFrame, ending: str, n_files: int) -> None:
    """Write interactions as several files."""
    place = folder / "interactions"
    place.mkdir()
    for number, part in enumerate(rows.iter_slices(-(-rows.height // n_files))):
        if ending == "parquet":
            part.write_parquet(place / f"{number}.parquet")
        else:
            text = part.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
            text.write_csv(place / f"{number}.csv")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_many_files_batches_and_parts_are_one_table(folder: Path, ending: str, request: pytest.FixtureRequest) -> None:
    rows = with_impressions(make_rows())
    items = pl.read_parquet(folder / "items.parquet")
    expected = load({"interactions": rows, "items": items})
    assert len(expected.events.rows.parts) == 1
    request.getfixturevalue("tiny_parts")
    write_parts(folder, rows, ending, 4)
    found = load(folder)
    assert found.impressions is not None
    assert len(found.events.rows.parts) == len(found.impressions.parts) > 8
    assert None not in (found.events.rows.spool, found.impressions.spool)
    assert found.impressions.whole()["is_used"].any()
    for frame, events in zip(found.impressions.frames(), found.events.frames(), strict=True):
        assert set(frame["user_ix"]) <= set(events["user_ix"])
    shuffled = rows.sample(fraction=1, shuffle=True, seed=1)
    for dataset in (found, load({"interactions": shuffled, "items": items})):
        assert_equal(dataset, expected)


def test_the_spool_goes_with_the_dataset(folder: Path, tiny_parts: None) -> None:
    make_rows().write_parquet(folder / "interactions.parquet")
    dataset = load(folder)
    assert dataset.events.rows.spool is not None
    place = Path(dataset.events.rows.spool.name)
    assert len(list(place.iterdir())) == len(dataset.events.rows.parts)
    del dataset
    assert not place.exists()


def test_repeats_count_once(folder: Path, tiny_parts: None) -> None:
    rows = make_rows()
    pl.concat([rows, rows[:700], rows[:200]]).sample(fraction=1, shuffle=True, seed=1).write_parquet(
        folder / "interactions.parquet"
    )
    dataset = load(folder)
    assert len(dataset.events) == 5000
    assert (
        "interactions: 900 of 5,900 rows are duplicates (same user, signal, target, time to the microsecond, and "
        "weight); each is counted once." in dataset.notes
    )


def test_what_is_dated_by_days_or_not_at_all_may_repeat(folder: Path) -> None:
    rows = make_rows(50)
    days = rows.with_columns(pl.col("timestamp").dt.truncate("1d"))
    timeless = rows.with_columns(timestamp=pl.lit(None, rows["timestamp"].dtype))
    pl.concat([days, days, timeless, timeless]).write_parquet(folder / "interactions.parquet")
    assert len(load(folder).events) == 200


def test_the_future_is_left_out(folder: Path, tiny_parts: None) -> None:
    rows = make_rows().with_row_index()
    ahead = datetime(2999, 1, 1, tzinfo=UTC)
    rows = rows.with_columns(timestamp=pl.when(pl.col("index") % 1000 == 0).then(ahead).otherwise("timestamp"))
    rows.drop("index").write_parquet(folder / "interactions.parquet")
    dataset = load(folder)
    assert len(dataset.events) == 4995
    (note,) = [note for note in dataset.notes if "future" in note]
    first = "'2999-01-01T00:00:00Z'"
    assert note == f"interactions.timestamp: 5 of 5,000 rows are in the future and were left out (first: {first})."


def test_registrations_in_the_future_are_unknown(folder: Path) -> None:
    make_rows().write_parquet(folder / "interactions.parquet")
    users = pl.DataFrame({"user_id": [f"u{ix:02}" for ix in range(90)]}).with_columns(
        registered_at=pl.when(pl.col("user_id") < "u02").then(datetime(2999, 1, 1, tzinfo=UTC)).otherwise(BEGIN)
    )
    users.write_parquet(folder / "users.parquet")
    dataset = load(folder)
    assert dataset.registered_at is not None
    assert (dataset.registered_at < 0).sum() == 2
    assert (
        "users.registered_at: 2 of 90 users registered in the future (first: '2999-01-01T00:00:00Z'); taken as unknown."
        in dataset.notes
    )
