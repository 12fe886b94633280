"""Tables as they come: other names of columns, times, ratings and lists as other programs write them."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from firstday.config import Config, load_config
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.newcomers import load_newcomers
from firstday.engine.engines import Check
from firstday.engine.engines import check as check_tables
from firstday.errors import ConfigError
from tests.data.same import assert_equal
from tests.data.test_frames import LIBRARIES
from tests.data.test_timed_sources import SHARED

Tables = dict[str, pl.DataFrame]
Write = Callable[..., Path]

NAMES = {"users.id": "user_id", "UserID": "user_id", "items.id": "item_id", "Wine ID": "item_id", "Date": "timestamp"}


def with_other_names(tables: Tables) -> Tables:
    """Rename the columns of a log of items; `id` is another column in each table."""
    rows = tables["interactions"].drop_nulls("item_id").drop("entity", "entity_id")
    return {
        "interactions": rows.rename({"user_id": "UserID", "item_id": "Wine ID", "timestamp": "Date"}),
        "users": tables["users"].rename({"user_id": "id"}),
        "items": tables["items"].rename({"item_id": "id"}),
    }


def with_names(tables: Tables) -> Tables:
    """The same tables with the names of firstday."""
    rows = tables["interactions"].drop_nulls("item_id").drop("entity", "entity_id")
    return {"interactions": rows, "users": tables["users"], "items": tables["items"]}


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_columns_of_files_are_renamed(five_users: Tables, write: Write, tmp_path: Path, ending: str) -> None:
    expected = load(write(with_names(five_users), "parquet", "expected"))
    folder = tmp_path / "other"
    if ending == "jsonl":
        folder.mkdir()
        for name, frame in with_other_names(five_users).items():
            times = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%SZ")
            frame.with_columns(times).write_ndjson(folder / f"{name}.jsonl")
    else:
        folder = write(with_other_names(five_users), ending, "other")
    assert_equal(load(folder, config=Config(columns=NAMES)), expected)


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_of_frames_are_renamed(five_users: Tables, library: str) -> None:
    pytest.importorskip("pyarrow")
    other = {name: LIBRARIES[library](frame) for name, frame in with_other_names(five_users).items()}
    assert_equal(load(other, config=Config(columns=NAMES)), load(with_names(five_users)))


def test_a_header_of_other_names_alone_is_one(five_users: Tables, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("kunde;artikel\n1;a\n1;b\n2;a\n")
    dataset = load(tmp_path, config=Config(columns={"kunde": "user_id", "interactions.artikel": "item_id"}))
    assert (dataset.users.values.to_list(), dataset.items.values.to_list()) == ([1, 2], ["a", "b"])
    assert [fault.code for fault in check_tables(tmp_path).faults] == ["no_header"]


def test_columns_are_named_in_toml_and_by_set(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[columns]\nWineID = "item_id"\n"users.id" = "user_id"\n')
    names = {"WineID": "item_id", "users.id": "user_id"}
    assert load_config(path).columns == names
    assert Config().override({f"columns.{name}": label for name, label in names.items()}).columns == names
    assert load_config(path).override("columns.Date", "timestamp").columns == {**names, "Date": "timestamp"}


def test_two_columns_of_one_name_are_a_fault(five_users: Tables, write: Write) -> None:
    config = Config(columns={"weight": "user_id"})
    for tables in (with_names(five_users), write(with_names(five_users), "csv", "csv"), write(with_names(five_users))):
        assert [(fault.code, fault.table) for fault in check_tables(tables, config=config).faults] == [
            ("repeated_column", "interactions")
        ]


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ("UserID,WineID", {"user_id": "UserID=user_id", "item_id": "WineID=item_id"}),
        ("RatingID,Customer ID,sku", {"user_id": "'Customer ID=user_id'", "item_id": "sku=item_id"}),
        ("user,order_id,item", {"item_id": "item=item_id", "user_id": ""}),
    ],
)
def test_a_missing_column_names_the_option_to_write(columns: str, names: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(f"{columns},when\n{columns},1\n".replace("user,", "x,"))
    (tmp_path / "users.csv").write_text("user_id\n1\n")
    faults = {fault.column: fault.text for fault in check_tables(tmp_path).faults if fault.code == "missing_column"}
    assert set(faults) == set(names)
    for label, option in names.items():
        assert faults[label].endswith(f", or add --column {option}." if option else "; add it.")


@pytest.mark.parametrize(
    ("table", "column", "nearest"),
    [
        ("interactions", "posted", "timestamp"),
        ("interactions", "date", "timestamp"),
        ("interactions", "Play_Count", "weight"),
        ("interactions", "stars", "rating"),
        ("interactions", "event_type", "signal"),
        ("users", "signup_date", "registered_at"),
        ("items", "app_name", "title"),
        ("items", "published", "added_at"),
        ("interactions", "device", ""),
        ("interactions", "RatingID", ""),
    ],
)
def test_a_column_that_looks_like_one_we_know_is_noted(table: str, column: str, nearest: str) -> None:
    tables = {
        "interactions": pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2]}),
        "users": pl.DataFrame({"user_id": [1, 2]}),
        "items": pl.DataFrame({"item_id": [1, 2]}),
    }
    tables[table] = tables[table].with_columns(pl.lit("2024-05-01").alias(column))
    notes = [note for note in check_tables(tables).notes if note.startswith(f"{table}.{column}: was not read as ")]
    assert len(notes) == (nearest != "")
    assert all(f"--column {column}={nearest}" in note for note in notes)


MOMENT = datetime(2024, 5, 1, 10, 30, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


def log_of(times: list[Any]) -> Tables:
    """One user who used an item at each time."""
    ids = [f"i{n}" for n in range(len(times))]
    return {"interactions": pl.DataFrame({"user_id": "u1", "item_id": ids, "timestamp": pl.Series(times)})}


def times_of(checked: Check) -> list[datetime]:
    assert checked.faults == ()
    assert isinstance(checked.dataset, Dataset)
    return checked.dataset.events.whole()["timestamp"].to_list()


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000])
@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "frame"])
def test_unix_times_are_read_in_every_format(ending: str, unit: int, tmp_path: Path) -> None:
    tables = log_of([SECONDS * unit, SECONDS * unit + unit])
    rows = tables["interactions"]
    if ending == "csv":
        rows.write_csv(tmp_path / "interactions.csv")
    elif ending == "parquet":
        rows.write_parquet(tmp_path / "interactions.parquet")
    elif ending == "jsonl":
        rows.write_ndjson(tmp_path / "interactions.jsonl")
    checked = check_tables(tables if ending == "frame" else tmp_path)
    assert times_of(checked) == [MOMENT, MOMENT.replace(second=1)]
    assert any("interactions.timestamp" in note and "Unix" in note for note in checked.notes)


@pytest.mark.filterwarnings("ignore:'epoch' date format")
def test_a_log_as_pandas_writes_it_is_read(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.to_datetime([MOMENT, MOMENT]).tz_convert(None)
    frame = pandas.DataFrame({"user_id": ["u1", "u1"], "item_id": ["a", "b"], "timestamp": times})
    text = frame.to_json(orient="records", lines=True, date_format="epoch", date_unit="ms")
    (tmp_path / "interactions.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert times_of(check_tables(tmp_path)) == [MOMENT, MOMENT]


@pytest.mark.parametrize(
    ("times", "line"),
    [
        ([SECONDS, SECONDS, SECONDS * 1000], 3),
        ([SECONDS, 0, SECONDS], 2),
        ([20240501, 20240502, 20240503], 1),
        ([45_413.5, 45_414.5, 45_415.5], 1),
        (["2024-05-01T10:30:00Z", str(SECONDS), "2024-05-01T10:30:00Z"], 2),
    ],
)
def test_numbers_of_another_kind_are_faults(times: list[Any], line: int) -> None:
    (fault,) = check_tables(log_of(times)).faults
    assert (fault.code, fault.where, fault.line) == ("not_a_time", "interactions.timestamp", line)


NAIVE = [
    ["2024-05-01 10:30:00", "2024-05-01T10:30"],
    [datetime(2024, 5, 1, 10, 30), datetime(2024, 5, 1, 10, 30)],
]


@pytest.mark.parametrize("times", NAIVE)
def test_times_without_a_zone_are_in_that_of_the_settings(times: list[Any]) -> None:
    (fault,) = check_tables(log_of(times)).faults
    assert (fault.code, fault.where) == ("not_a_time", "interactions.timestamp")
    assert "--set time_zone=UTC" in fault.text
    assert times_of(check_tables(log_of(times), config=Config(time_zone="UTC"))) == [MOMENT] * 2
    in_paris = check_tables(log_of(times), config=Config(time_zone="Europe/Paris"))
    assert times_of(in_paris) == [MOMENT.replace(hour=8)] * 2


def test_a_zone_that_is_written_counts_more_than_the_settings() -> None:
    times = ["2024-05-01T10:30:00Z", "2024-05-01 12:30:00+02", "2024-05-01 12:30:00"]
    assert times_of(check_tables(log_of(times), config=Config(time_zone="Europe/Paris"))) == [MOMENT] * 3


@pytest.mark.parametrize("times", [["2024-05-01 00:00:00"] * 2, [datetime(2024, 5, 1)] * 2, [date(2024, 5, 1)] * 2])
def test_midnights_alone_are_dates(times: list[Any]) -> None:
    checked = check_tables(log_of(times), config=Config(time_zone="Asia/Tokyo"))
    assert times_of(checked) == [datetime(2024, 5, 1, tzinfo=UTC)] * 2
    assert any("dates without a time" in note for note in checked.notes)


def test_a_time_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="Mars/Olympus"):
        Config().override("time_zone", "Mars/Olympus")


RATED = pl.DataFrame(
    {"user_id": ["u1", "u1", "u2", "u2"], "item_id": ["a", "b", "a", "b"], "rating": [5.0, 1.0, None, 4.0]}
)


def test_ratings_below_the_threshold_are_no_use() -> None:
    config = Config().override("signals.rating", 4)
    checked = check_tables({"interactions": RATED}, config=config)
    assert isinstance(checked.dataset, Dataset)
    kept = checked.dataset.events.whole()
    assert kept.select("user_ix", "target_ix").rows() == [(0, 0), (1, 0), (1, 1)]
    assert any(note.startswith("interactions.rating: 1 of 4 rows are below") for note in checked.notes)
    newcomers = load_newcomers({"interactions": RATED}, config=config)
    assert len(newcomers.events) == 3


def test_ratings_without_a_threshold_are_noted() -> None:
    checked = check_tables({"interactions": RATED})
    assert checked.summary is not None
    assert checked.summary.interactions == 4
    assert any(note.startswith("interactions.rating: ") and "signals.rating" in note for note in checked.notes)


def test_ratings_that_are_all_too_low_are_a_fault() -> None:
    rated = RATED.with_columns(rating=pl.lit(2))
    faults = check_tables({"interactions": rated}, config=Config().override("signals.rating", 4)).faults
    assert [fault.code for fault in faults] == ["no_use"]


def test_ratings_as_text_with_a_word_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,rating\nu1,a,5\nu1,b,good\n")
    (fault,) = check_tables(tmp_path, config=Config().override("signals.rating", 4)).faults
    assert (fault.code, fault.where, fault.line) == ("not_a_number", "interactions.rating", 3)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("texts", "lists"),
    [
        (["['Pinot Noir', 'Merlot']", '["L\'Aube"]', None, "[]"], [["Pinot Noir", "Merlot"], ["L'Aube"], [], []]),
        (["[1, 2]", "[2, 'N.V.']", "[1]", "[3]"], [["1", "2"], ["2", "N.V."], ["1"], ["3"]]),
        (
            ['["a, b", "c"]', "[Pinot Noir, Merlot]", "['d']", "[]"],
            [["a, b", "c"], ["Pinot Noir", "Merlot"], ["d"], []],
        ),
    ],
)
def test_lists_as_text_are_lists(
    five_users: Tables, write: Write, ending: str, texts: list[str], lists: list[list[str]]
) -> None:
    items = five_users["items"].with_columns(grapes=pl.Series(texts))
    dataset = load(write({**five_users, "items": items}, ending))
    assert dataset.columns["grapes"].to_list() == lists
    assert dataset.entities["grapes"].ids.values.to_list() == sorted({value for values in lists for value in values})
    assert any(note.startswith("items.grapes: lists written as text") for note in dataset.notes)


def test_brackets_around_some_values_alone_are_no_lists(five_users: Tables, write: Write) -> None:
    items = five_users["items"].with_columns(series=pl.Series(["[REC]", "Alien", None, "[REC]"]))
    assert load(write({**five_users, "items": items}, "csv")).columns["series"].to_list() == [
        "[REC]",
        "Alien",
        None,
        "[REC]",
    ]


@pytest.mark.parametrize(
    ("values", "is_noted"),
    [
        (["3.99 EUR", "1,299.00 EUR", "free", None], True),
        (["$3.99", "$4", "$5", "$6"], True),
        (["750 ml", "1.5 l", "750 ml", "75 cl"], True),
        (["1990s", "2000s", "1980s", "2010s"], False),
        (["3.99", "4", "5", "6"], False),
        (["FR", "US", "A 3", "IT"], False),
    ],
)
def test_prices_with_a_currency_get_a_note(five_users: Tables, write: Write, values: list[str], is_noted: bool) -> None:
    items = five_users["items"].with_columns(price=pl.Series(values))
    notes = load(write({**five_users, "items": items}, "csv")).notes
    assert any(note.startswith("items.price: numbers with a unit") for note in notes) == is_noted


def test_friends_and_impressions_of_unknown_users_are_left_out(five_users: Tables) -> None:
    shown = five_users["interactions"][:1].with_columns(user_id=pl.lit("nobody"), signal=pl.lit("shown"))
    known = shown.with_columns(user_id=pl.lit("u1"))
    friends = pl.DataFrame({"user_id": ["u1", "nobody", "u2"], "friend_id": ["u2", "u1", "nobody"]})
    interactions = pl.concat([five_users["interactions"], shown, known])
    checked = check_tables({**five_users, "interactions": interactions, "friends": friends})
    assert checked.faults == ()
    assert checked.summary is not None
    assert (checked.summary.impressions, checked.summary.friends) == (1, 1)
    counted = {note.split(" rows ")[0] for note in checked.notes}
    assert counted >= {
        "friends.user_id: 1 of 3",
        "friends.friend_id: 1 of 3",
        "interactions.user_id: 1 of 9",
    }
    stream = shown.with_columns(signal=pl.lit("stream"))
    faults = check_tables({**five_users, "interactions": pl.concat([interactions, stream])}).faults
    assert [(fault.code, fault.where) for fault in faults] == [("unknown_id", "interactions.user_id")]


@pytest.mark.parametrize("has_users", [True, False])
def test_swapped_columns_are_suspected(five_users: Tables, has_users: bool) -> None:
    tables = with_names(five_users)
    tables["interactions"] = tables["interactions"].rename({"user_id": "item_id", "item_id": "user_id"})
    if not has_users:
        del tables["users"]
    assert "swapped_columns" in [fault.code for fault in check_tables(tables).faults]
    swap = Config(columns={"user_id": "item_id", "item_id": "user_id"})
    assert check_tables({**with_names(five_users), "interactions": tables["interactions"]}).faults != ()
    renamed = {"interactions": tables["interactions"]}
    assert check_tables(renamed, config=swap).faults == ()


def test_items_of_another_system_are_not_swapped_columns(five_users: Tables) -> None:
    tables = with_names(five_users)
    tables["items"] = tables["items"].with_columns(item_id="x" + pl.col("item_id"))
    assert {fault.code for fault in check_tables(tables).faults} == {"unknown_id"}


def test_where_every_row_is_bad_the_column_is(five_users: Tables, tmp_path: Path) -> None:
    few = five_users["users"].with_columns(age=pl.Series([24, 31, 300, 17, 60]))
    assert "--drop-bad-rows" in check_tables({**five_users, "users": few}).hint
    all_bad = five_users["users"].with_columns(age=pl.lit(1980))
    checked = check_tables({**five_users, "users": all_bad})
    assert [fault.code for fault in checked.faults] == ["out_of_range"]
    assert checked.hint == ""
    dropped = check_tables({**five_users, "users": all_bad}, drop_bad_rows=0.01)
    assert "too_many_bad_rows" not in [fault.code for fault in dropped.faults if fault.table == "users"]
    unknown = five_users["interactions"].with_columns(user_id=pl.lit("x"))
    (fault,) = check_tables({**five_users, "interactions": unknown}).faults
    assert fault.text.endswith("or read another column (--column NAME=user_id).")


@pytest.mark.parametrize("days", [-400, 400])
def test_registrations_outside_the_log_are_named(five_users: Tables, days: int) -> None:
    """Also those of another unit: milliseconds read as microseconds are in 1970."""
    registered = pl.col("timestamp").min().dt.offset_by(f"{days}d")
    users = (
        five_users["interactions"]
        .select(registered_at=registered)
        .join(five_users["users"].select("user_id"), how="cross")
    )
    checked = check_tables({**five_users, "users": users})
    assert checked.outlook is not None
    assert checked.outlook.refusal.startswith("users.registered_at: nobody registered during the log")


WINES = SHARED / "xwines_slim.zip"


@pytest.mark.skipif(not WINES.exists(), reason=f"no {WINES.name} in ../shared/data")
def test_wines_are_read_from_their_raw_files(tmp_path: Path) -> None:
    """As in docs/tables.md."""
    names = {"XWines_Slim_150K_ratings.csv": "interactions.csv", "XWines_Slim_1K_wines.csv": "items.csv"}
    with zipfile.ZipFile(WINES) as archive:
        for member in archive.namelist():
            name = Path(member).name
            if name in names:
                (tmp_path / names[name]).write_bytes(archive.read(member))
    columns = {"UserID": "user_id", "WineID": "item_id", "Rating": "rating", "Date": "timestamp", "WineName": "title"}
    config = Config(columns=columns, time_zone="UTC").override("signals.rating", 3.5)
    dataset = load(tmp_path, config=config)
    assert (len(dataset.users), len(dataset.items), len(dataset.events)) == (10_561, 1_007, 124_111)
    assert len(dataset.entities["Grapes"].ids) == 188
    assert dataset.titles is not None
    assert "Espumante Moscatel" in dataset.titles
