"""Folders of tables with faults in their values, as programs and people write them, and what must be said of each."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from tests.data.dirty import Dirty

Change = Callable[[pl.DataFrame], pl.DataFrame]

N_USERS = 30
N_ITEMS = 40
N_EACH = 10
GENRES = ("Animation", "Comedy", "Crime", "Drama", "War")
BEGIN = datetime(2024, 5, 1, 12, tzinfo=UTC)


def clean_tables() -> dict[str, pl.DataFrame]:
    """A small service without faults: 30 users, 40 items, 10 interactions of each user, in order."""
    users = range(1, N_USERS + 1)
    pairs = [(user, step, 1 + (7 * user + 3 * step) % N_ITEMS) for user in users for step in range(N_EACH)]
    genres = [[name for bit, name in enumerate(GENRES) if (ix * 11 % 31 + 1) >> bit & 1] for ix in range(N_ITEMS)]
    return {
        "interactions": pl.DataFrame(
            {
                "user_id": [user for user, _, _ in pairs],
                "item_id": [f"i{item}" for _, _, item in pairs],
                "signal": ["skip" if step == 9 else "stream" for _, step, _ in pairs],
                "timestamp": [BEGIN + timedelta(days=user, minutes=7 * step) for user, step, _ in pairs],
                "weight": [0.5 + 7 * step for _, step, _ in pairs],
            }
        ),
        "users": pl.DataFrame(
            {
                "user_id": users,
                "registered_at": [BEGIN + timedelta(days=user) for user in users],
                "age": range(18, 48),
                "country": ["DE", "BR", "FR"] * 10,
            }
        ),
        "items": pl.DataFrame(
            {
                "item_id": [f"i{ix + 1}" for ix in range(N_ITEMS)],
                "title": [f"Title {ix + 1}" for ix in range(N_ITEMS)],
                "artist_id": [f"a{ix % 7}" for ix in range(N_ITEMS)],
                "genre": genres,
            }
        ),
        "friends": pl.DataFrame({"user_id": users, "friend_id": [*users[1:], 1]}),
    }


def to_text(frame: pl.DataFrame) -> pl.DataFrame:
    """What a clean CSV file holds: lists with bars between, times with Z."""
    lists = pl.selectors.list().cast(pl.List(pl.String)).list.join("|")
    times = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return frame.with_columns(lists, times).cast(pl.String)


def write_tables(folder: Path, ending: str, changes: Mapping[str, Change]) -> None:
    """Write the clean tables with some of them changed; those of CSV are changed as text."""
    for name, frame in clean_tables().items():
        change = changes.get(name, pl.DataFrame.clone)
        if ending == "parquet":
            change(frame).write_parquet(folder / f"{name}.parquet")
        else:
            text = io.StringIO()
            change(to_text(frame)).write_csv(text)
            (folder / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8")


def dirty(ending: str, cases: Mapping[str, Mapping[str, Change]]) -> list[Dirty]:
    """Make a folder of the clean tables for each case, with some of them changed."""
    return [
        Dirty(f"{what}, {ending}", partial(write_tables, ending=ending, changes=changes))
        for what, changes in cases.items()
    ]


def chain(*changes: Change) -> Change:
    """Make several changes, one after another."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        for one in changes:
            frame = one(frame)
        return frame

    return change


def every(column: str, value: pl.Expr) -> Change:
    """Change a whole column."""
    return lambda frame: frame.with_columns(value.alias(column))


def as_text(column: str, row: int, text: str) -> pl.Expr:
    """Return a column as text, with something else in one row."""
    return pl.when(pl.int_range(pl.len()) == row).then(pl.lit(text)).otherwise(pl.col(column).cast(pl.String))


def some(column: str, values: Mapping[int, object]) -> Change:
    """Change the values of some rows, counted from 1."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        column_values = frame[column].to_list()
        for row, value in values.items():
            column_values[row - 1] = value
        return frame.with_columns(pl.Series(column, column_values, dtype=frame[column].dtype))

    return change


def shaped(column: str, form: str) -> Change:
    """Write every value of a column of text in another way."""
    return every(column, pl.format(form, pl.col(column)))


SECONDS = pl.lit(clean_tables()["interactions"]["timestamp"].dt.epoch("s"))
"""The times of interactions, in seconds since 1970."""
DATES = [date(2024, 5, 1) + timedelta(days=user) for user in range(1, N_USERS + 1) for _ in range(N_EACH)]


def shown(frame: pl.DataFrame) -> pl.DataFrame:
    """Make the last ten interactions a list that was shown."""
    is_shown = pl.int_range(pl.len()) >= 290
    place = pl.int_range(pl.len()) - 289
    columns = {"list_id": pl.lit("a"), "position": place, "propensity": pl.lit(0.5), "policy": pl.lit("some")}
    of_list = [pl.when(is_shown).then(value).alias(name) for name, value in columns.items()]
    signal = pl.when(is_shown).then(pl.lit("shown")).otherwise("signal").alias("signal")
    frame = frame.with_columns(signal, *of_list)
    return to_text(frame) if frame["user_id"].dtype == pl.String else frame


def write_variants(folder: Path, variants: Mapping[int, str]) -> None:
    """Write the clean tables, and a variant of every user, some of them once more with another."""
    write_tables(folder, "csv", {})
    users = [*range(1, N_USERS + 1), *variants]
    names = [*["a"] * N_USERS, *variants.values()]
    pl.DataFrame({"user_id": users, "experiment": "lists", "variant": names}).write_csv(folder / "assignments.csv")


FAULTS_OF_CSV: dict[str, dict[str, Change]] = {
    "ids that pandas made floats": {"interactions": shaped("user_id", "{}.0")},
    "a few unknown ids": {"interactions": some("user_id", {2: "99", 3: "null"})},
    "marks for missing weights": {
        "interactions": some("weight", {2: "NULL", 5: "1,500", 6: "1,234.5", 7: "heavy", 8: "\\N", 9: "nan"})
    },
    "marks for missing ages": {"users": some("age", {1: "?", 6: "N/A", 7: "25-34", 30: "18 years"})},
    "some times without a zone": {
        "users": some("registered_at", {2: "2024-05-03T12:00", 3: "2024-05-03 12:00:00.5"}),
        "interactions": some("timestamp", {2: "02/05/2024 12:00", 3: "2 May 2024", 4: "1714651200", 5: "NaT", 6: "-"}),
    },
    "signals that are none": {"interactions": some("signal", {2: "play", 3: "Stream", 4: None})},
    "genres with commas between": {"items": every("genre", pl.col("genre").str.replace_all("|", ", ", literal=True))},
    "a user twice": {"users": lambda rows: pl.concat([rows, rows[2:3].with_columns(country=pl.lit("IT"))])},
    "a column with a space before it": {"friends": lambda rows: rows.rename({"friend_id": " friend_id"})},
    "faults in several tables": {
        "users": some("age", {2: "unknown"}),
        "friends": some("friend_id", {3: "77"}),
        "interactions": some("weight", {5: "-3"}),
    },
    "places in lists and propensities": {
        "interactions": chain(
            shown,
            some("propensity", {292: "0", 293: "1.01", 294: "-0.5", 1: "many"}),
            some("position", {291: "0", 292: "-1", 293: "1.5", 294: "top", 295: ""}),
        )
    },
}
FAULTS_OF_PARQUET: dict[str, dict[str, Change]] = {
    "float ids with a missing one": {
        "interactions": chain(every("user_id", pl.col("user_id") * 1.0), some("user_id", {4: float("nan")}))
    },
    "ids that are no whole numbers": {"interactions": every("user_id", pl.col("user_id") + 0.5)},
    "ids with zeros before them": {
        "users": every("user_id", pl.col("user_id").cast(pl.String).str.zfill(3)),
        "interactions": every("user_id", pl.col("user_id").cast(pl.String)),
    },
    "infinite and missing weights": {"interactions": some("weight", {2: float("inf"), 3: float("nan")})},
    "a year of birth and other ages that cannot be": {"users": some("age", {2: -1, 3: 130, 4: 1990, 5: 2999})},
    "times without a zone": {
        "interactions": every("timestamp", pl.col("timestamp").dt.replace_time_zone(None)),
        "users": every("registered_at", pl.col("registered_at").dt.replace_time_zone(None)),
    },
    "milliseconds read as seconds": {
        "interactions": every("timestamp", pl.from_epoch(SECONDS * 1000, "s").dt.replace_time_zone("UTC"))
    },
    "an item twice": {"items": lambda rows: pl.concat([rows, rows[:1], rows[:1].with_columns(genre=pl.lit(["War"]))])},
    "columns in camel case": {"interactions": lambda rows: rows.rename({"user_id": "userId", "item_id": "itemId"})},
    "a column that is not there": {"friends": lambda rows: rows.rename({"friend_id": "whom"})},
    "places in lists and propensities": {
        "interactions": chain(
            shown, some("propensity", {300: 2.0, 299: float("nan"), 1: 7.0}), some("position", {291: 0, 300: -7, 1: 0})
        )
    },
    "columns of lists of a wrong type": {
        "interactions": chain(
            shown,
            every("list_id", pl.lit(date(2024, 5, 1))),
            every("policy", pl.when(pl.col("policy").is_not_null()).then(7)),
        )
    },
}
CASES = [
    *dirty("csv", FAULTS_OF_CSV),
    *dirty("parquet", FAULTS_OF_PARQUET),
    Dirty("two variants of one experiment", lambda folder: write_variants(folder, {7: "b", 9: "a", 99: "a"})),
]
NOTED_OF_CSV: dict[str, dict[str, Change]] = {
    "nothing": {},
    "whole ids with decimals everywhere": {
        "users": shaped("user_id", "{}.0"),
        "interactions": shaped("user_id", "{}.0"),
        "friends": chain(shaped("friend_id", "{}.0"), shaped("user_id", "{}.0")),
    },
    "an artist with a space after it": {
        "interactions": lambda rows: some("item_id", {1: None})(
            rows.with_columns(
                (
                    pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value)).alias(name)
                    for name, value in (("entity", "artist"), ("entity_id", "a1 "))
                )
            )
        )
    },
    "some ids with a space after them": {"interactions": some("item_id", {1: "i11 ", 2: "i14 ", 300: " i38"})},
    "friends of another system": {"friends": shaped("friend_id", "x{}")},
    "odd countries": {"users": some("country", {1: " FR", 2: "DE ", 3: "fr", 4: "N/A", 5: "de"})},
    "dates": {"interactions": every("timestamp", pl.lit(pl.Series(DATES)).cast(pl.String))},
    "indexes of pandas": {
        "users": lambda rows: rows.with_row_index("Unnamed: 0").cast(pl.String),
        "interactions": lambda rows: rows.with_row_index("").cast(pl.String),
    },
    "repeated rows": {
        "users": lambda rows: pl.concat([rows, rows[:2]]),
        "items": lambda rows: pl.concat([rows[3:4], rows]),
    },
    "an optional column in upper case": {"users": lambda rows: rows.rename({"age": "Age"})},
    "genres as lists of Python": {
        "items": every("genre", "['" + pl.col("genre").str.replace_all("|", "', '", literal=True) + "']")
    },
    "genres under another name": {"items": lambda rows: rows.rename({"genre": "Genres"})},
    "half ratings as weights": {
        "interactions": every("weight", pl.lit(pl.Series([8.5, 4, 0, 10, 1, 9] * 50)).cast(pl.String))
    },
    "an id that looks like a mark for missing": {
        "interactions": every("item_id", pl.col("item_id").replace("i11", "null")),
        "items": some("item_id", {11: "null"}),
    },
    "names with commas": {
        "items": every("artist_id", pl.lit(pl.Series([f"Family{ix // 6}, First{ix % 6}" for ix in range(40)])))
    },
    "decimal commas": {
        "interactions": some("weight", dict(enumerate(["1,5", "2.5", "3", "1234,0625", "2,25", "1e1", "", "-0,0"], 1)))
    },
}
NOTED_OF_PARQUET: dict[str, dict[str, Change]] = {
    "nothing": {},
    "whole ids stored as floats and decimals": {
        "interactions": every("user_id", pl.col("user_id") * 1.0),
        "friends": every("friend_id", pl.col("friend_id").cast(pl.Decimal(20, 0))),
    },
    "milliseconds since 1970": {"interactions": every("timestamp", SECONDS * 1000)},
    "seconds read as milliseconds": {
        "interactions": every("timestamp", pl.from_epoch(SECONDS, "ms").dt.replace_time_zone("UTC"))
    },
    "genres with commas between": {"items": every("genre", pl.col("genre").list.join(", "))},
    "an index of pandas": {"items": lambda rows: rows.with_row_index("__index_level_0__")},
    "ratings as weights": {"interactions": every("weight", pl.lit(pl.Series([5.0, 4, 3, 4, 1, 2] * 50)))},
    "counts as weights": {"interactions": every("weight", pl.lit(pl.Series([1.0, 1, 2, 1, 3, 5] * 50)))},
}
NOTED = [*dirty("csv", NOTED_OF_CSV), *dirty("parquet", NOTED_OF_PARQUET)]
"""Folders without faults, and what is noted of them."""
