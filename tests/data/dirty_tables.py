"""Folders of tables with faults in their values, as programs and people write them, and what must be said of each."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from tests.data.dirty import Dirty

Change = Callable[[pl.DataFrame], pl.DataFrame]

N_USERS, N_ITEMS, N_EACH = 30, 40, 10
GENRES = ("Animation", "Comedy", "Crime", "Drama", "War")
BEGIN = datetime(2024, 5, 1, 12, tzinfo=UTC)
KNOWN = "stream, favorite, onboarding, search, skip, ban, shown"
WRITE_UTC = "write UTC with its zone, such as 2024-05-01T12:00:00Z"
GIVE_ZONE = (
    'give them their zone (pandas .dt.tz_localize("UTC"), Polars .dt.replace_time_zone("UTC"), '
    "SQL AT TIME ZONE 'UTC', Spark spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS)"
)


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
                "age": [17 + user for user in users],
                "country": [("FR", "DE", "BR")[user % 3] for user in users],
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
        "friends": pl.DataFrame({"user_id": users, "friend_id": [1 + user % N_USERS for user in users]}),
    }


def to_text(frame: pl.DataFrame) -> pl.DataFrame:
    """What a clean CSV file holds: lists with bars between, times with Z."""
    columns = []
    for column in frame:
        if isinstance(column.dtype, pl.List):
            columns.append(column.list.join("|"))
        elif isinstance(column.dtype, pl.Datetime):
            columns.append(column.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        else:
            columns.append(column.cast(pl.String))
    return pl.DataFrame(columns)


def write_tables(folder: Path, ending: str, changes: Mapping[str, Change]) -> None:
    """Write the clean tables with some of them changed; those of CSV are changed as text."""
    for name, frame in clean_tables().items():
        change = changes.get(name, unchanged)
        if ending == "parquet":
            change(frame).write_parquet(folder / f"{name}.parquet")
        else:
            text = io.StringIO()
            change(to_text(frame)).write_csv(text)
            (folder / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8")


def unchanged(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def dirty(ending: str, what: str, *sentences: str, **changes: Change) -> Dirty:
    """Make the folder of the clean tables with some of them changed."""
    return Dirty(f"{what}, {ending}", lambda folder: write_tables(folder, ending, changes), sentences)


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


def seconds(frame: pl.DataFrame) -> pl.Expr:
    """Give the times of interactions in seconds since 1970."""
    return pl.lit(clean_tables()["interactions"]["timestamp"].dt.epoch("s"))


SPLIT = "items.genre: 40 items have 31 values, but split at {} only 5; write lists with |."
IDS = [
    dirty(
        "csv",
        "ids that pandas made floats",
        "interactions.user_id: 300 of 300 rows name unknown users (first: '1.0', interactions.csv line 2; users has "
        "1, 2, ...); write ids in the same way in both.",
        interactions=shaped("user_id", "{}.0"),
    ),
    dirty(
        "csv",
        "float ids with a missing one",
        "interactions.user_id: 1 of 300 rows are empty (first: interactions.csv line 5); "
        "fill them in or drop the rows.",
        "interactions.user_id: 299 of 300 rows name unknown users (first: '1.0', interactions.csv line 2; users has "
        "1, 2, ...); write ids in the same way in both.",
        interactions=lambda rows: some("user_id", {4: None})(shaped("user_id", "{}.0")(rows)),
    ),
    dirty(
        "parquet",
        "float ids with a missing one",
        "interactions.user_id: 1 of 300 rows are empty (first: interactions.parquet row 4); "
        "fill them in or drop the rows.",
        interactions=lambda rows: some("user_id", {4: float("nan")})(every("user_id", pl.col("user_id") * 1.0)(rows)),
    ),
    dirty(
        "parquet",
        "ids that are no whole numbers",
        "interactions.user_id: the column holds Float64, not whole numbers or text; store whole numbers or text.",
        interactions=every("user_id", pl.col("user_id") + 0.5),
    ),
    dirty(
        "csv",
        "ids with zeros before them",
        "interactions.user_id: 300 of 300 rows name unknown users (first: '001', interactions.csv line 2; users has "
        "1, 2, ...); write ids in the same way in both.",
        interactions=every("user_id", pl.col("user_id").str.zfill(3)),
    ),
    dirty(
        "parquet",
        "ids with zeros before them",
        "friends.user_id: 30 of 30 rows name unknown users (first: 1, friends.parquet row 1; users has "
        "'001', '002', ...); write ids in the same way in both.",
        "friends.friend_id: 30 of 30 rows name unknown users (first: 2, friends.parquet row 1; users has "
        "'001', '002', ...); write ids in the same way in both.",
        "interactions.user_id: 300 of 300 rows name unknown users (first: '1', interactions.parquet row 1; users has "
        "'001', '002', ...); write ids in the same way in both.",
        users=every("user_id", pl.col("user_id").cast(pl.String).str.zfill(3)),
        interactions=every("user_id", pl.col("user_id").cast(pl.String)),
    ),
    dirty(
        "csv",
        "some ids with a space after them",
        "interactions.item_id: 3 of 300 rows name unknown items (first: 'i11 ', interactions.csv line 2; items has "
        "'i1', 'i10', ...); write ids in the same way in both.",
        interactions=some("item_id", {1: "i11 ", 2: "i14 ", 300: " i38"}),
    ),
    dirty(
        "csv",
        "ids in upper case",
        "interactions.item_id: 300 of 300 rows name unknown items (first: 'I8', interactions.csv line 2; items has "
        "'i1', 'i10', ...); write ids in the same way in both.",
        interactions=every("item_id", pl.col("item_id").str.to_uppercase()),
    ),
    dirty(
        "csv",
        "ids of another system",
        "friends.friend_id: 30 of 30 rows name unknown users (first: 'x2', friends.csv line 2; users has 1, 2, ...); "
        "write ids in the same way in both, add them to users or drop the rows.",
        friends=shaped("friend_id", "x{}"),
    ),
    dirty(
        "csv",
        "a few unknown ids",
        "interactions.user_id: 2 of 300 rows name unknown users (first: '99', interactions.csv line 3); "
        "add them to users or drop the rows.",
        interactions=some("user_id", {2: "99", 3: "null"}),
    ),
    dirty(
        "csv",
        "an artist with a space after it",
        "interactions.entity_id: 1 of 300 rows name an unknown artist (first: 'a1 ', interactions.csv line 2; artist "
        "has 'a0', 'a1', ...); write ids in the same way in both.",
        interactions=lambda rows: some("entity_id", {1: "a1 "})(
            some("entity", {1: "artist"})(
                some("item_id", {1: None})(
                    rows.with_columns(pl.lit(None, pl.String).alias(name) for name in ("entity", "entity_id"))
                )
            )
        ),
    ),
]
NUMBERS = [
    dirty(
        "csv",
        "thousands or decimals",
        "interactions.weight: 300 of 300 values have a comma that may stand for decimals or for thousands "
        "(first: '1,500', interactions.csv line 2); write 1.5 or 1500: with a dot for decimals, and nothing for "
        "thousands.",
        interactions=every("weight", pl.lit("1,500")),
    ),
    dirty(
        "csv",
        "thousands and decimals",
        "interactions.weight: 1 of 300 rows are not numbers (first: '1,234.5', interactions.csv line 3); "
        "write numbers alone, with a dot for decimals.",
        interactions=some("weight", {2: "1,234.5"}),
    ),
    dirty(
        "csv",
        "weights that are words",
        "interactions.weight: 2 of 300 rows are not numbers (first: 'heavy', interactions.csv line 3); "
        "write numbers alone, with a dot for decimals.",
        interactions=some("weight", {2: "heavy", 9: "1 000"}),
    ),
    dirty(
        "csv",
        "marks for missing weights",
        "interactions.weight: 2 of 300 rows hold 'NULL', a mark for missing (first: interactions.csv line 3); "
        "leave them empty.",
        r"interactions.weight: 1 of 300 rows hold '\\N', a mark for missing (first: interactions.csv line 9); "
        "leave them empty.",
        "interactions.weight: 1 of 300 rows hold 'nan', a mark for missing (first: interactions.csv line 10); "
        "leave them empty.",
        interactions=some("weight", {2: "NULL", 7: "NULL", 8: "\\N", 9: "nan"}),
    ),
    dirty(
        "csv",
        "infinite and negative weights",
        "interactions.weight: 1 of 300 rows are NaN, infinite or beyond 3e38 (first: inf, interactions.csv line 3); "
        "write finite numbers or drop the rows.",
        "interactions.weight: 1 of 300 rows are negative (first: -1, interactions.csv line 4); "
        "write 0 or more; show dislike by signals such as skip and ban.",
        interactions=some("weight", {2: "inf", 3: "-1"}),
    ),
    dirty(
        "csv",
        "a weight beyond 32 bits",
        "interactions.weight: 1 of 300 rows are NaN, infinite or beyond 3e38 (first: 1e+308, interactions.csv line 3); "
        "write finite numbers or drop the rows.",
        interactions=some("weight", {2: "1e308"}),
    ),
    dirty(
        "parquet",
        "infinite and missing weights",
        "interactions.weight: 2 of 300 rows are NaN, infinite or beyond 3e38 (first: inf, interactions.parquet row 2); "
        "write finite numbers or drop the rows.",
        interactions=some("weight", {2: float("inf"), 3: float("nan")}),
    ),
    dirty(
        "parquet",
        "weights as text, one of them none",
        "interactions.weight: 1 of 300 rows are not numbers (first: 'much', interactions.parquet row 2); write numbers "
        "alone, with a dot for decimals.",
        interactions=every("weight", as_text("weight", 1, "much")),
    ),
    dirty(
        "csv",
        "marks for missing ages",
        "users.age: 3 of 30 rows hold 'N/A', a mark for missing (first: users.csv line 7); leave them empty.",
        "users.age: 1 of 30 rows hold '?', a mark for missing (first: users.csv line 2); leave them empty.",
        users=some("age", {1: "?", 6: "N/A", 7: "N/A", 30: "N/A"}),
    ),
    dirty(
        "csv",
        "ages in words",
        "users.age: 30 of 30 rows are not numbers (first: '18 years', users.csv line 2); "
        "write numbers alone, with a dot for decimals.",
        users=shaped("age", "{} years"),
    ),
    dirty(
        "csv",
        "bands of age",
        "users.age: 3 of 30 rows are bands of age (first: '25-34', users.csv line 2); "
        "give years, or name the column age_band, so that it is a group.",
        users=some("age", {1: "25-34", 2: "65+", 3: "< 18"}),
    ),
    dirty(
        "csv",
        "years of birth",
        "users.age: 30 of 30 rows look like years of birth (first: 1990, users.csv line 2); give ages in years.",
        users=every("age", pl.lit("1990")),
    ),
    dirty(
        "parquet",
        "a year of birth and other ages that cannot be",
        "users.age: 1 of 30 rows look like years of birth (first: 1990, users.parquet row 4); give ages in years.",
        "users.age: 3 of 30 rows are outside 0 to 120 years (first: -1, users.parquet row 2); "
        "correct them, or leave unknown ages empty.",
        users=some("age", {2: -1, 3: 130, 4: 1990, 5: 2999}),
    ),
    dirty(
        "csv",
        "an infinite age",
        "users.age: 1 of 30 rows are outside 0 to 120 years (first: inf, users.csv line 4); "
        "correct them, or leave unknown ages empty.",
        users=some("age", {3: "inf"}),
    ),
    dirty(
        "parquet",
        "ages as text, one of them none",
        "users.age: 1 of 30 rows are not numbers (first: 'old', users.parquet row 3); write numbers alone, with a dot "
        "for decimals.",
        users=every("age", as_text("age", 2, "old")),
    ),
]
TIMES = [
    dirty(
        "csv",
        "times without a zone, all of them midnight",
        "interactions.timestamp: 300 of 300 rows have no time zone (first: '2024-05-01 00:00:00', interactions.csv "
        f"line 2); {WRITE_UTC}.",
        interactions=every("timestamp", pl.lit("2024-05-01 00:00:00")),
    ),
    dirty(
        "parquet",
        "times without a zone",
        "interactions.timestamp: 300 of 300 rows have no time zone (first: '2024-05-02 12:00:00', "
        f"interactions.parquet row 1); {GIVE_ZONE}.",
        "users.registered_at: 30 of 30 rows have no time zone (first: '2024-05-02 12:00:00', users.parquet row 1); "
        f"{GIVE_ZONE}.",
        interactions=every("timestamp", pl.col("timestamp").dt.replace_time_zone(None)),
        users=every("registered_at", pl.col("registered_at").dt.replace_time_zone(None)),
    ),
    dirty(
        "csv",
        "some times without a zone",
        "users.registered_at: 2 of 30 rows have no time zone (first: '2024-05-03T12:00', users.csv line 3); "
        f"{WRITE_UTC}.",
        users=some("registered_at", {2: "2024-05-03T12:00", 3: "2024-05-03 12:00:00.5"}),
    ),
    dirty(
        "csv",
        "seconds since 1970",
        "interactions.timestamp: 300 of 300 rows are bare numbers without a unit and a time zone (first: '1714651200', "
        f"interactions.csv line 2); {WRITE_UTC}; if they are seconds since 1970, convert them "
        '(pandas pd.to_datetime(x, unit="s", utc=True), Polars pl.from_epoch(x, "s").dt.replace_time_zone("UTC"), '
        "Spark timestamp_seconds(x)).",
        interactions=lambda rows: rows.with_columns(timestamp=seconds(rows)),
    ),
    dirty(
        "parquet",
        "milliseconds since 1970",
        "interactions.timestamp: 300 of 300 rows are bare numbers without a unit and a time zone (first: "
        "1714651200000, interactions.parquet row 1); if they are milliseconds since 1970, convert them "
        '(pandas pd.to_datetime(x, unit="ms", utc=True), Polars pl.from_epoch(x, "ms").dt.replace_time_zone("UTC"), '
        "Spark timestamp_millis(x)).",
        interactions=lambda rows: rows.with_columns(timestamp=seconds(rows) * 1000),
    ),
    dirty(
        "parquet",
        "nanoseconds since 1970",
        "interactions.timestamp: 300 of 300 rows are bare numbers without a unit and a time zone (first: "
        "1714651200000000000, interactions.parquet row 1); if they are nanoseconds since 1970, convert them "
        '(pandas pd.to_datetime(x, unit="ns", utc=True), Polars pl.from_epoch(x, "ns").dt.replace_time_zone("UTC")).',
        interactions=lambda rows: rows.with_columns(timestamp=seconds(rows) * 10**9),
    ),
    dirty(
        "parquet",
        "milliseconds read as seconds",
        "interactions.timestamp: 300 of 300 rows lie after the year 9999 (first: '+56305-02-19T00:00:00Z', "
        "interactions.parquet row 1); read them with the right unit (were milliseconds read as seconds?), "
        "or leave them empty.",
        interactions=lambda rows: rows.with_columns(
            timestamp=pl.from_epoch(seconds(rows) * 1000, "s").dt.replace_time_zone("UTC")
        ),
    ),
    dirty(
        "csv",
        "times in several forms",
        "interactions.timestamp: 2 of 300 rows are not times (first: '02/05/2024 12:00', interactions.csv line 3); "
        f"{WRITE_UTC}.",
        "interactions.timestamp: 1 of 300 rows have no time zone (first: '2024-05-02 12:00', interactions.csv line 5); "
        f"{WRITE_UTC}.",
        interactions=some(
            "timestamp", {2: "02/05/2024 12:00", 3: "2 May 2024", 4: "2024-05-02 12:00", 5: "2024-05-02"}
        ),
    ),
    dirty(
        "csv",
        "marks for missing times",
        "interactions.timestamp: 1 of 300 rows hold 'NaT', a mark for missing (first: interactions.csv line 3); "
        "leave them empty.",
        "interactions.timestamp: 1 of 300 rows hold '-', a mark for missing (first: interactions.csv line 4); "
        "leave them empty.",
        interactions=some("timestamp", {2: "NaT", 3: "-"}),
    ),
]
WORDS = [
    dirty(
        "csv",
        "a signal in other letters",
        "interactions.signal: 1 of 300 rows have an unknown signal (first: 'Stream', interactions.csv line 4); "
        f"known are {KNOWN} (did you mean 'stream'?); name yours in the configuration (signals.affinity.Stream = 1.0) "
        "or drop the rows.",
        interactions=some("signal", {3: "Stream"}),
    ),
    dirty(
        "csv",
        "signals that are none",
        "interactions.signal: 2 of 300 rows have an unknown signal (first: 'play', interactions.csv line 3); "
        f"known are {KNOWN}; name yours in the configuration (signals.affinity.play = 1.0) or drop the rows.",
        "interactions.signal: 1 of 300 rows are empty (first: interactions.csv line 5); fill them in or drop the rows.",
        interactions=some("signal", {2: "play", 3: "Stream", 4: None}),
    ),
    dirty(
        "csv",
        "genres with commas between",
        SPLIT.format("', '"),
        items=every("genre", pl.col("genre").str.replace_all("|", ", ", literal=True)),
    ),
    dirty(
        "csv",
        "genres with semicolons between",
        SPLIT.format("';'"),
        items=every("genre", pl.col("genre").str.replace_all("|", ";", literal=True)),
    ),
    dirty(
        "csv",
        "genres as lists of Python",
        "items.genre: 40 of 40 items hold a list in brackets (first: \"['Animation']\", items.csv line 2); "
        "write lists with | between.",
        items=every("genre", "['" + pl.col("genre").str.replace_all("|", "', '", literal=True) + "']"),
    ),
    dirty(
        "csv",
        "genres as lists of JSON",
        "items.genre: 40 of 40 items hold a list in brackets (first: '[\"Animation\"]', items.csv line 2); "
        "write lists with | between.",
        items=every("genre", '["' + pl.col("genre").str.replace_all("|", '","', literal=True) + '"]'),
    ),
    dirty(
        "csv",
        "a user twice",
        "users.user_id: 1 of 31 rows repeat an id with other values (first: 3, users.csv line 32); "
        "keep one row for each id.",
        users=lambda rows: pl.concat([rows, rows[2:3].with_columns(country=pl.lit("IT"))]),
    ),
    dirty(
        "parquet",
        "an item twice",
        "items.item_id: 1 of 42 rows repeat an id with other values (first: 'i1', items.parquet row 42); "
        "keep one row for each id.",
        items=lambda rows: pl.concat([rows, rows[:1], rows[:1].with_columns(genre=pl.lit(["War"]))]),
    ),
]
NAMES = [
    dirty(
        "csv",
        "columns in upper and lower case",
        "users.user_id: the column is missing (found: User_ID, registered_at, age, country); "
        "rename User_ID to user_id.",
        users=lambda rows: rows.rename({"user_id": "User_ID"}),
    ),
    dirty(
        "parquet",
        "columns in camel case",
        "interactions.user_id: the column is missing (found: userId, itemId, signal, timestamp, weight); "
        "rename userId to user_id.",
        "interactions.item_id: the column is missing (found: userId, itemId, signal, timestamp, weight); "
        "rename itemId to item_id.",
        interactions=lambda rows: rows.rename({"user_id": "userId", "item_id": "itemId"}),
    ),
    dirty(
        "csv",
        "a column with a space before it",
        "friends.friend_id: the column is missing (found: user_id, ' friend_id'); rename ' friend_id' to friend_id.",
        friends=lambda rows: rows.rename({"friend_id": " friend_id"}),
    ),
    dirty(
        "parquet",
        "a column that is not there",
        "friends.friend_id: the column is missing (found: user_id, whom); add it.",
        friends=lambda rows: rows.rename({"friend_id": "whom"}),
    ),
    dirty(
        "csv",
        "faults in several tables",
        "users.age: 1 of 30 rows hold 'unknown', a mark for missing (first: users.csv line 3); leave them empty.",
        "friends.friend_id: 1 of 30 rows name unknown users (first: 77, friends.csv line 4); "
        "add them to users or drop the rows.",
        "interactions.weight: 1 of 300 rows are negative (first: -3, interactions.csv line 6); "
        "write 0 or more; show dislike by signals such as skip and ban.",
        users=some("age", {2: "unknown"}),
        friends=some("friend_id", {3: "77"}),
        interactions=some("weight", {5: "-3"}),
    ),
]


def shown(frame: pl.DataFrame) -> pl.DataFrame:
    """Make the last ten interactions a list that was shown."""
    is_shown, place = pl.int_range(pl.len()) >= 290, pl.int_range(pl.len()) - 289
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


LISTS = [
    dirty(
        "csv",
        "places in lists and propensities",
        "interactions.position: 3 of 300 rows are no places in a list (first: 0, interactions.csv line 292); "
        "write whole numbers from 1, or leave unknown ones empty.",
        "interactions.position: 1 of 300 rows are not numbers (first: 'top', interactions.csv line 295); "
        "write numbers alone, with a dot for decimals.",
        "interactions.propensity: 3 of 300 rows are not above 0 and at most 1 (first: 0, interactions.csv line 293); "
        "write probabilities as shares of 1, or leave unknown ones empty.",
        interactions=lambda rows: some("position", {291: "0", 292: "-1", 293: "1.5", 294: "top", 295: ""})(
            some("propensity", {292: "0", 293: "1.01", 294: "-0.5", 1: "many"})(shown(rows))
        ),
    ),
    dirty(
        "parquet",
        "places in lists and propensities",
        "interactions.position: 2 of 300 rows are no places in a list (first: 0, interactions.parquet row 291); "
        "write whole numbers from 1, or leave unknown ones empty.",
        "interactions.propensity: 1 of 300 rows are not above 0 and at most 1 (first: 2, interactions.parquet row "
        "300); write probabilities as shares of 1, or leave unknown ones empty.",
        interactions=lambda rows: some("position", {291: 0, 300: -7, 1: 0})(
            some("propensity", {300: 2.0, 299: float("nan"), 1: 7.0})(shown(rows))
        ),
    ),
    dirty(
        "parquet",
        "columns of lists of a wrong type",
        "interactions.policy: the column holds Int32, not text; store text.",
        "interactions.list_id: the column holds Date, not whole numbers or text; store whole numbers or text.",
        interactions=lambda rows: every("policy", pl.when(pl.col("policy").is_not_null()).then(7))(
            every("list_id", pl.lit(date(2024, 5, 1)))(shown(rows))
        ),
    ),
    Dirty(
        "two variants of one experiment",
        lambda folder: write_variants(folder, {7: "b", 9: "a", 99: "a"}),
        (
            "assignments.variant: 2 of 33 rows give a user several variants of one experiment (first: 7, "
            "assignments.csv line 8); keep the variant that the user saw, or drop the rows.",
            "assignments.user_id: 1 of 33 rows name unknown users (first: 99, assignments.csv line 34); "
            "add them to users or drop the rows.",
        ),
    ),
]
CASES: list[Dirty] = [*IDS, *NUMBERS, *TIMES, *WORDS, *NAMES, *LISTS]
DATES = [date(2024, 5, 1) + timedelta(days=user) for user in range(1, N_USERS + 1) for _ in range(N_EACH)]
