"""A data set of five users and four items, small enough to know by heart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.data.dirty_tables import to_text

Tables = dict[str, pl.DataFrame]
Write = Callable[..., Path]


def noon(day: int) -> datetime:
    return datetime(2024, 5, day, 12, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def few_folds() -> None:
    """Leave the number of folds as it is: tests here train nothing."""


@pytest.fixture
def five_users() -> Tables:
    return {
        "interactions": pl.DataFrame(
            [
                ("u1", "i1", None, None, "stream", noon(1), 1.0),
                ("u1", "i2", None, None, "stream", noon(2), 2.0),
                ("u2", "i1", None, None, "favorite", noon(3), 1.0),
                ("u2", None, "artist", "a1", "favorite", noon(3), 1.0),
                ("u3", None, "playlist", "p1", "favorite", noon(4), 1.0),
                ("u3", "i3", None, None, "skip", noon(4), 1.0),
                ("u4", "i4", None, None, "stream", None, 1.0),
            ],
            schema=["user_id", "item_id", "entity", "entity_id", "signal", "timestamp", "weight"],
            orient="row",
        ),
        "users": pl.DataFrame(
            {
                "user_id": ["u1", "u2", "u3", "u4", "u5"],
                "registered_at": [noon(1), noon(1), noon(2), None, noon(3)],
                "age": [24, 31, None, 17, 60],
                "country": ["FR", "FR", "DE", None, "BR"],
            }
        ),
        "items": pl.DataFrame(
            {
                "item_id": ["i1", "i2", "i3", "i4"],
                "title": ["One", "Two", None, "Four"],
                "artist_id": ["a1", "a1", "a2", None],
                "genre": [["rock", "pop"], ["pop"], [], ["jazz"]],
            }
        ),
        "collections": pl.DataFrame(
            {
                "entity": ["playlist"] * 3,
                "entity_id": ["p1", "p1", "p2"],
                "item_id": ["i1", "i3", "i4"],
            }
        ),
        "friends": pl.DataFrame({"user_id": ["u1", "u2", "u3"], "friend_id": ["u2", "u1", "u1"]}),
    }


@pytest.fixture
def vectors() -> Tables:
    return {
        "embeddings/users": pl.DataFrame({"user_id": ["u2", "u1"], "vector": [[3.0, 4.0], [1.0, 2.0]]}),
        "embeddings/items": pl.DataFrame(
            {"item_id": ["i4", "i1", "i2", "i3"], "vector": [[4.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]}
        ),
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_tables(tables: Mapping[str, pl.DataFrame], ending: str = "parquet", into: str = "tables") -> Path:
        folder = tmp_path / into
        for name, frame in tables.items():
            place = folder / f"{name}.{ending}"
            place.parent.mkdir(parents=True, exist_ok=True)
            if ending == "parquet":
                frame.write_parquet(place)
            else:
                to_text(frame).write_csv(place)
        return folder

    return write_tables
