"""Tables as they come: other names of columns, times, ratings and lists as other programs write them."""

from __future__ import annotations

import gzip
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from firstday.config import Config
from firstday.data.load import load
from firstday.data.newcomers import load_newcomers
from firstday.engine.engines import check as check_tables
from firstday.errors import DataError
from tests.data.conftest import Tables, Write
from tests.data.same import assert_equal
from tests.environments import SHARED

OTHER_NAMES = {"interactions": ["UserID", "Wine ID", "Date"], "users": ["id"], "items": ["id"]}
NAMES = {"users.id": "user_id", "UserID": "user_id", "items.id": "item_id", "Wine ID": "item_id", "Date": "timestamp"}


@pytest.fixture
def log(five_users: Tables) -> Tables:
    """The interactions with items, the users and the items."""
    rows = five_users["interactions"].drop_nulls("item_id")
    rows = rows.select("user_id", "item_id", "timestamp", "signal", "weight")
    return {"interactions": rows, "users": five_users["users"], "items": five_users["items"]}


def codes(tables: Any, **settings: Any) -> list[str]:
    """Return the code and place of each fault."""
    return [f"{fault.code} {fault.where}" for fault in check_tables(tables, config=Config(**settings)).faults]


def test_columns_are_renamed_in_every_format(log: Tables, write: Write) -> None:
    """`id` is another column in each table."""
    other = {
        name: frame.rename(dict(zip(frame.columns, OTHER_NAMES[name], strict=False))) for name, frame in log.items()
    }
    for tables in (other, write(other, "csv", "csv"), write(other)):
        assert_equal(load(tables, config=Config(columns=NAMES)), load(log))


def test_a_header_of_other_names_alone_is_one(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("kunde;artikel\n1;a\n1;b\n2;a\n")
    dataset = load(tmp_path, config=Config(columns={"kunde": "user_id", "interactions.artikel": "item_id"}))
    assert (dataset.users.values.to_list(), dataset.items.values.to_list()) == ([1, 2], ["a", "b"])
    assert codes(tmp_path) == ["no_header interactions.csv"]
    with pytest.raises(DataError, match=r"columns\.kunden: no table has this column \(did you mean 'kunde'\?\)"):
        load(tmp_path, config=Config(columns={"kunden": "user_id", "artikel": "item_id"}))


def test_two_columns_of_one_name_are_a_fault(log: Tables, write: Write) -> None:
    for tables in (log, write(log, "csv")):
        assert codes(tables, columns={"weight": "user_id"}) == ["repeated_column interactions"]


@pytest.mark.parametrize(
    ("columns", "ends"),
    [
        ("UserID,WineID", ["--column UserID=user_id.", "--column WineID=item_id."]),
        ("RatingID,Customer ID,sku", ["--column 'Customer ID=user_id'.", "--column sku=item_id."]),
        ("order_id,item", ["; add it.", "--column item=item_id."]),
        (
            "user,user_name,track,track_uuid",
            [
                "--column user=user_id or --column user_name=user_id.",
                "--column track=item_id or --column track_uuid=item_id.",
            ],
        ),
        ("customer,customer_uuid,played_at", ["--column customer_uuid=user_id.", "; add it, or entity and entity_id."]),
    ],
)
def test_a_missing_column_names_the_option_to_write(columns: str, ends: list[str], tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(f"{columns},when\n")
    texts = [fault.text for fault in check_tables(tmp_path).faults if fault.code == "missing_column"]
    assert [text.endswith(end) for text, end in zip(texts, ends, strict=True)] == [True, True]


def test_columns_that_look_like_those_we_know_are_noted() -> None:
    nearest = {
        "interactions": {
            "posted": "timestamp",
            "played_at": "timestamp",
            "Play_Count": "weight",
            "stars": "rating",
            "event_type": "signal",
            "device": "",
            "RatingID": "",
        },
        "users": {"signup_date": "registered_at"},
        "items": {"app_name": "title", "published": "added_at"},
    }
    ids = {"user_id": [1, 2], "item_id": [1, 2]}
    tables = {
        name: pl.DataFrame(ids).with_columns(**dict.fromkeys(columns, pl.lit("x"))) for name, columns in nearest.items()
    }
    tables["users"] = tables["users"].drop("item_id")
    tables["items"] = tables["items"].drop("user_id")
    notes = check_tables(tables).notes
    for name, columns in nearest.items():
        for column, label in columns.items():
            place = f"{name}.{column}: was not read as {label}"
            told = [note for note in notes if note.startswith(place) and f"--column {column}={label}" in note]
            assert len(told) == bool(label)


MOMENT = datetime(2024, 5, 1, 10, 30, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


def log_of(times: list[Any]) -> Tables:
    """One user who used an item at each time."""
    ids = [f"i{n}" for n in range(len(times))]
    return {"interactions": pl.DataFrame({"user_id": "u1", "item_id": ids, "timestamp": pl.Series(times)})}


def times_of(tables: Any, **settings: Any) -> list[datetime]:
    return load(tables, config=Config(**settings)).events.whole()["timestamp"].unique().to_list()


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000])
def test_unix_times_are_read(unit: int, write: Write) -> None:
    tables = log_of([SECONDS * unit, SECONDS * unit])
    for same in (tables, write(tables, "csv")):
        assert times_of(same) == [MOMENT]
        assert any("interactions.timestamp: numbers were read as Unix" in note for note in check_tables(same).notes)


@pytest.mark.filterwarnings("ignore:'epoch' date format")
def test_a_log_as_pandas_writes_it_is_read(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.to_datetime([MOMENT, MOMENT]).tz_convert(None)
    frame = pandas.DataFrame({"user_id": ["u1", "u1"], "item_id": ["a", "b"], "timestamp": times})
    text = frame.to_json(orient="records", lines=True, date_format="epoch", date_unit="ms")
    (tmp_path / "interactions.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert times_of(tmp_path) == [MOMENT]


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


@pytest.mark.parametrize(
    ("times", "zone", "read"),
    [
        (["2024-05-01 10:30:00", "2024-05-01T10:30"], "UTC", MOMENT),
        ([datetime(2024, 5, 1, 10, 30)], "UTC", MOMENT),
        ([datetime(2024, 5, 1, 12, 30)], "Europe/Paris", MOMENT),
        (["2024-05-01T10:30:00Z", "2024-05-01 12:30:00+02", "2024-05-01 12:30:00"], "Europe/Paris", MOMENT),
    ],
)
def test_times_without_a_zone_are_in_that_of_the_settings(times: list[Any], zone: str, read: datetime) -> None:
    assert times_of(log_of(times), time_zone=zone) == [read]
    (fault,) = check_tables(log_of(times)).faults
    assert fault.code == "not_a_time"
    assert "--set time_zone=UTC" in fault.text


@pytest.mark.parametrize("midnight", ["2024-05-01 00:00:00", datetime(2024, 5, 1), date(2024, 5, 1)])
def test_midnights_alone_are_dates(midnight: object) -> None:
    tables = log_of([midnight])
    assert times_of(tables, time_zone="Asia/Tokyo") == [datetime(2024, 5, 1, tzinfo=UTC)]
    assert any("dates without a time" in note for note in check_tables(tables).notes)


def test_ratings_below_the_threshold_are_no_use() -> None:
    ratings = {"user_id": ["u1", "u1", "u2", "u2"], "item_id": ["a", "b", "a", "b"], "rating": [5.0, 1.0, None, 4.0]}
    rated = {"interactions": pl.DataFrame(ratings)}
    config = Config().override("signals.rating", 4)
    dataset = load(rated, config=config)
    assert dataset.events.whole().select("user_ix", "target_ix").rows() == [(0, 0), (1, 0), (1, 1)]
    assert any("1 of 4 rows have weight 0, or a rating below signals.rating" in note for note in dataset.notes)
    assert len(load_newcomers(rated, config=config).events) == 3
    without = load(rated)
    assert len(without.events) == 4
    assert any(note.startswith("interactions.rating: ") and "signals.rating" in note for note in without.notes)
    for rating, code in ((2, "no_use interactions"), ("good", "not_a_number interactions.rating")):
        other = rated["interactions"].with_columns(rating=pl.lit(rating))
        assert code in codes({"interactions": other}, signals=config.signals)


GRAPES: dict[str, tuple[list[Any], list[list[str]]]] = {
    "grapes": (["['Pinot Noir', 'Merlot']", '["L\'Aube"]', None, "[]"], [["Pinot Noir", "Merlot"], ["L'Aube"], [], []]),
    "years": (["[1, 2]", "[2, 'N.V.']", "[1]", "[3]"], [["1", "2"], ["2", "N.V."], ["1"], ["3"]]),
    "bare": (
        ['["a, b", "c"]', "[Pinot Noir, Merlot]", "['d']", "[]"],
        [["a, b", "c"], ["Pinot Noir", "Merlot"], ["d"], []],
    ),
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_lists_as_text_are_lists(log: Tables, write: Write, ending: str) -> None:
    names = ["[REC]", "Alien", None, "[REC]"]
    log["items"] = log["items"].with_columns(
        series=pl.Series(names), **{name: pl.Series(texts) for name, (texts, _) in GRAPES.items()}
    )
    dataset = load(write(log, ending))
    assert {name: dataset.columns[name].to_list() for name in GRAPES} == {
        name: lists for name, (_, lists) in GRAPES.items()
    }
    assert dataset.entities["grapes"].ids.values.to_list() == ["L'Aube", "Merlot", "Pinot Noir"]
    assert dataset.columns["series"].to_list() == names
    noted = {note.partition(":")[0] for note in dataset.notes if "lists written as text" in note}
    assert noted == {f"items.{name}" for name in GRAPES}


def test_numbers_with_a_unit_get_a_note(log: Tables) -> None:
    prices: dict[str, list[Any]] = {
        "euros": ["3.99 EUR", "1,299.00 EUR", "free", None],
        "dollars": ["$3.99", "$4", "$5", "$6"],
        "volumes": ["750 ml", "1.5 l", "750 ml", "75 cl"],
        "decades": ["1990s", "2000s", "1980s", "2010s"],
        "numbers": ["3.99", "4", "5", "6"],
        "countries": ["FR", "US", "A 3", "IT"],
    }
    log["items"] = log["items"].with_columns(pl.Series(name, values) for name, values in prices.items())
    noted = {note.partition(":")[0] for note in check_tables(log).notes if "numbers with a unit" in note}
    assert noted == {"items.euros", "items.dollars", "items.volumes"}


def test_friends_and_impressions_of_unknown_users_are_left_out(five_users: Tables) -> None:
    shown = five_users["interactions"][:1].with_columns(user_id=pl.lit("nobody"), signal=pl.lit("shown"))
    known = shown.with_columns(user_id=pl.lit("u1"))
    friends = pl.DataFrame({"user_id": ["u1", "nobody", "u2"], "friend_id": ["u2", "u1", "nobody"]})
    interactions = pl.concat([five_users["interactions"], shown, known])
    checked = check_tables({**five_users, "interactions": interactions, "friends": friends})
    assert checked.summary is not None
    assert (checked.summary.impressions, checked.summary.friends) == (1, 1)
    counted = {note.split(" rows ")[0] for note in checked.notes}
    assert counted >= {"friends.user_id: 1 of 3", "friends.friend_id: 1 of 3", "interactions.user_id: 1 of 9"}
    stream = pl.concat([interactions, shown.with_columns(signal=pl.lit("stream"))])
    assert codes({**five_users, "interactions": stream}) == ["unknown_id interactions.user_id"]


@pytest.mark.parametrize("has_users", [True, False])
def test_swapped_columns_are_suspected(log: Tables, has_users: bool) -> None:
    other = {**log, "items": log["items"].with_columns(item_id="x" + pl.col("item_id"))}
    assert "swapped_columns interactions" not in codes(other)
    log["interactions"] = log["interactions"].rename({"user_id": "item_id", "item_id": "user_id"})
    if not has_users:
        del log["users"]
    assert "swapped_columns interactions" in codes(log)
    assert codes(log, columns={"interactions.user_id": "item_id", "interactions.item_id": "user_id"}) == []


def test_where_every_row_is_bad_the_column_is(five_users: Tables) -> None:
    checked = check_tables({**five_users, "users": five_users["users"].with_columns(age=1980)}, drop_bad_rows=0.01)
    assert [fault.where for fault in checked.faults if fault.table == "users"] == ["users.age"]
    assert checked.hint == ""
    unknown = five_users["interactions"].with_columns(user_id=pl.lit("x"))
    (fault,) = check_tables({**five_users, "interactions": unknown}).faults
    assert fault.text.endswith("or read another column (--column NAME=user_id).")


@pytest.mark.parametrize("days", [-400, 400])
def test_registrations_outside_the_log_are_named(five_users: Tables, days: int) -> None:
    """Also those of another unit: milliseconds read as microseconds are in 1970."""
    moment = five_users["interactions"]["timestamp"].min()
    five_users["users"] = five_users["users"].with_columns(registered_at=pl.lit(moment).dt.offset_by(f"{days}d"))
    checked = check_tables(five_users)
    assert checked.outlook is not None
    assert checked.outlook.refusal.startswith("users.registered_at: nobody registered during the log")


WINES = SHARED / "xwines_slim.zip"


@pytest.mark.skipif(not WINES.exists(), reason=f"no {WINES.name} in ../shared/data")
def test_wines_are_read_from_their_raw_files(tmp_path: Path) -> None:
    """As in docs/tables.md."""
    names = {"XWines_Slim_150K_ratings.csv": "interactions.csv", "XWines_Slim_1K_wines.csv": "items.csv"}
    with zipfile.ZipFile(WINES) as archive:
        for member in archive.namelist():
            if name := names.get(Path(member).name):
                (tmp_path / name).write_bytes(archive.read(member))
    columns = {"UserID": "user_id", "WineID": "item_id", "Rating": "rating", "Date": "timestamp", "WineName": "title"}
    config = Config(columns=columns, time_zone="UTC").override("signals.rating", 3.5)
    dataset = load(tmp_path, config=config)
    assert (len(dataset.users), len(dataset.items), len(dataset.events)) == (10_561, 1_007, 124_111)
    assert len(dataset.entities["Grapes"].ids) == 188
    assert "Espumante Moscatel" in (dataset.titles or ())
