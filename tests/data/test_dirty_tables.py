"""Tables with odd values: batches and parts say what the whole table says, and what is understood is a note."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.interactions import Known, check_interactions, judge_interactions
from firstday.engine.engines import Check
from firstday.engine.engines import check as check_tables
from firstday.tables.faults import Findings
from firstday.tables.read import read_folder
from firstday.tables.table_checks import check_frames
from tests.data.dirty_tables import CASES, DATES, Change, every, seconds, shaped, some, write_tables


def test_batches_say_what_the_whole_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.tables.raw_table.BATCH_ROWS", 90)
    for number, case in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        case.write(folder)
        assert Counter(check_tables(folder).faults) == Counter(case.sentences), case.name


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_findings_of_parts_are_merged_in_any_order(share: float, tmp_path: Path) -> None:
    """As machines do that check a part each."""
    weight = {1: "1,500", 2: "heavy", 150: "N/A", 200: "1,5", 299: "-1"}
    changes = {"interactions": lambda rows: some("weight", weight)(some("user_id", {9: "007", 290: "x"})(rows))}
    write_tables(tmp_path, "csv", changes)
    findings = Findings()
    raw = read_folder(tmp_path, findings)
    interactions = raw["interactions"]
    assert interactions is not None
    whole = interactions.whole
    frames = check_frames(raw, {}, findings)
    users, items = Ids.of(frames["users"]["user_id"].sort()), Ids.of(frames["items"]["item_id"].sort())
    known = Known(users, items, {}, SignalConfig())
    merged = []
    for order in (range(0, 300, 10), range(290, -1, -10), [0]):
        parts = []
        for start in order:
            part = Findings(drop=share > 0)
            check_interactions(whole[start : start + 300 // len(order)], known, part, is_text=True)
            parts.append(pickle.loads(pickle.dumps(part)))
        together = Findings(drop=share > 0, sources={"interactions": interactions.sources})
        together.merge(parts)
        judge_interactions(together, SignalConfig())
        together.settle(share)
        merged.append((Counter(together.faults), Counter(together.notes), together.left_out))
    assert merged[0] == merged[1] == merged[2]
    faults, _, left_out = merged[0]
    assert len(faults) == (0 if share else 4)
    assert len(left_out) == (5 if share else 0)


def test_clean_tables_have_nothing_to_note(tmp_path: Path) -> None:
    for ending in ("csv", "parquet"):
        (tmp_path / ending).mkdir()
        write_tables(tmp_path / ending, ending, {})
        checked = check_tables(tmp_path / ending)
        assert (checked.faults, checked.notes) == ((), ())


def understood(folder: Path, ending: str, **changes: Change) -> Check:
    write_tables(folder, ending, changes)
    checked = check_tables(folder)
    assert checked.faults == ()
    return checked


def weights(checked: Check) -> list[float]:
    assert isinstance(checked.dataset, Dataset)
    return [round(weight, 4) for weight in checked.dataset.events.whole()["weight"].head(10)]


WHOLE_FLOATS = "whole numbers stored as Float64 were read as whole numbers."
INDEX = "was ignored; it is the index of a pandas table, and index=False leaves it out."
NOTES: list[tuple[str, dict[str, Change], list[str]]] = [
    (
        "parquet",
        {
            "interactions": every("user_id", pl.col("user_id") * 1.0),
            "friends": every("friend_id", pl.col("friend_id").cast(pl.Decimal(20, 0))),
        },
        [
            f"interactions.user_id: {WHOLE_FLOATS}",
            "friends.friend_id: whole numbers stored as Decimal(precision=20, scale=0) were read as whole numbers.",
        ],
    ),
    (
        "csv",
        {
            "users": shaped("user_id", "{}.0"),
            "interactions": shaped("user_id", "{}.0"),
            "friends": lambda rows: shaped("user_id", "{}.0")(shaped("friend_id", "{}.0")(rows)),
        },
        [
            f"{where}: {n} of {n} rows write whole numbers as decimals; ids are taken as they are written."
            for where, n in (
                ("users.user_id", 30),
                ("interactions.user_id", 300),
                ("friends.user_id", 30),
                ("friends.friend_id", 30),
            )
        ],
    ),
    (
        "csv",
        {"users": some("country", {1: " FR", 2: "DE ", 3: "fr", 4: "N/A", 5: "de"})},
        [
            "users.country: 2 of 30 rows have spaces around the value; they were left out.",
            "users.country: 21 of 30 users have values that differ from others only by upper and lower case "
            "('DE' and 'de'); write them alike if they mean the same.",
            "users.country: 1 of 30 rows hold 'N/A', which looks like a mark for missing and counts as a value; "
            "leave it empty if nothing is known.",
        ],
    ),
    (
        "csv",
        {"interactions": every("timestamp", pl.lit(pl.Series([str(day) for day in DATES])))},
        ["interactions.timestamp: 300 of 300 rows are dates without a time; taken as midnight UTC."],
    ),
    (
        "parquet",
        {"interactions": every("timestamp", pl.lit(pl.Series(DATES)))},
        ["interactions.timestamp: 300 of 300 rows are dates without a time; taken as midnight UTC."],
    ),
    (
        "parquet",
        {
            "interactions": lambda rows: rows.with_columns(
                timestamp=pl.from_epoch(seconds(rows), "ms").dt.replace_time_zone("UTC")
            )
        },
        [
            "interactions.timestamp: 300 of 300 rows lie in January 1970 (were seconds read as milliseconds or "
            "microseconds, or does 0 stand for missing?); correct them, or leave them empty."
        ],
    ),
    (
        "parquet",
        {"items": every("genre", pl.col("genre").list.join(", "))},
        [
            "items.genre: 40 items have 31 values, but split at ', ' only 5; if these are lists, store them as lists "
            "(.str.split(', '))."
        ],
    ),
    (
        "parquet",
        {"items": every("genre", "['" + pl.col("genre").list.join("', '") + "']")},
        ["items.genre: 40 of 40 rows hold a list in brackets as one text; store lists."],
    ),
    (
        "csv",
        {"users": lambda rows: rows.with_row_index("Unnamed: 0").with_columns(pl.col("Unnamed: 0").cast(pl.String))},
        [f"users: the column 'Unnamed: 0' {INDEX}"],
    ),
    (
        "csv",
        {
            "users": lambda rows: rows.with_row_index("").with_columns(pl.col("").cast(pl.String)),
            "interactions": lambda rows: rows.with_row_index("").with_columns(pl.col("").cast(pl.String)),
        },
        [f"{name}: the column '' {INDEX}" for name in ("users", "interactions")],
    ),
    (
        "parquet",
        {"items": lambda rows: rows.with_row_index("__index_level_0__")},
        [f"items: the column '__index_level_0__' {INDEX}"],
    ),
    (
        "csv",
        {"users": lambda rows: pl.concat([rows, rows[:2]]), "items": lambda rows: pl.concat([rows[3:4], rows])},
        [
            "users: 2 of 32 rows repeat an earlier row and were dropped.",
            "items: 1 of 41 rows repeat an earlier row and were dropped.",
        ],
    ),
    (
        "csv",
        {"users": lambda rows: rows.rename({"age": "Age"}), "items": lambda rows: rows.rename({"genre": "Genres"})},
        [
            "users.Age: is a group like any other; rename it to age if that is what it holds.",
            "items.Genres: ignored (entity columns are genre, those named ..._id, and lists; "
            "rename it to genre if that is what it holds).",
        ],
    ),
    (
        "parquet",
        {"interactions": every("weight", pl.lit(pl.Series([5.0, 4, 3, 4, 1, 2] * 50)))},
        [
            "interactions.weight: 300 of 300 rows weigh up to 5, and look like ratings: a low one still "
            "counts as use; see docs/tables.md."
        ],
    ),
    (
        "csv",
        {"interactions": every("weight", pl.lit(pl.Series([8.5, 4, 0, 10, 1, 9] * 50)).cast(pl.String))},
        [
            "interactions.weight: 300 of 300 rows weigh up to 10, and look like ratings: a low one still "
            "counts as use; see docs/tables.md.",
            "interactions.weight: 50 of 300 rows weigh 0 and were dropped.",
        ],
    ),
    (
        "parquet",
        {"interactions": every("weight", pl.col("weight").cast(pl.String))},
        ["interactions.weight: text was read as numbers."],
    ),
    (
        "csv",
        {
            "interactions": every("item_id", pl.col("item_id").replace("i11", "null")),
            "items": some("item_id", {11: "null"}),
        },
        [
            f"{where}: {n} rows hold 'null', which looks like a mark for missing and counts as an id."
            for where, n in (("items.item_id", "1 of 40"), ("interactions.item_id", "8 of 300"))
        ],
    ),
]


@pytest.mark.parametrize(("ending", "changes", "notes"), NOTES)
def test_what_is_understood_is_noted(ending: str, changes: dict[str, Change], notes: list[str], tmp_path: Path) -> None:
    assert Counter(understood(tmp_path, ending, **changes).notes) == Counter(notes)


def test_whole_floats_are_the_ids_that_they_were(tmp_path: Path) -> None:
    checked = understood(tmp_path, "parquet", interactions=every("user_id", pl.col("user_id") * 1.0))
    assert isinstance(checked.dataset, Dataset)
    assert checked.dataset.users.values.to_list() == list(range(1, 31))
    assert len(checked.dataset.events) == 300


def test_decimal_commas_are_read_value_by_value(tmp_path: Path) -> None:
    text = ["1,5", "0,125", "2.5", "3", "1234,567", "2,25", "1e1", "", "7", "-0,0"]
    checked = understood(tmp_path, "csv", interactions=some("weight", dict(enumerate(text, 1))))
    assert weights(checked)[:7] == [1.5, 0.125, 2.5, 3.0, 1234.567, 2.25, 10.0]
    assert checked.notes == (
        "interactions.weight: 5 of 300 rows have a decimal comma and were read so ('1,5' is 1.5).",
        "interactions.weight: 1 of 300 rows are empty and weigh 1.",
        "interactions.weight: 1 of 300 rows weigh 0 and were dropped.",
    )


@pytest.mark.parametrize("batch_rows", [1_000_000, 7])
def test_a_comma_in_doubt_is_read_as_the_others_of_the_whole_table(
    batch_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one clear value is far from the doubtful ones, in another batch."""
    monkeypatch.setattr("firstday.tables.raw_table.BATCH_ROWS", batch_rows)
    checked = understood(tmp_path, "csv", interactions=some("weight", {1: "1,500", 5: "22,250", 299: "1,5"}))
    assert weights(checked)[:5] == [1.5, 7.5, 14.5, 21.5, 22.25]
    assert sorted(checked.notes) == [
        "interactions.weight: 1 of 300 rows have a decimal comma and were read so ('1,5' is 1.5).",
        "interactions.weight: 2 of 300 values have a comma that may stand for decimals or for thousands "
        "(first: '1,500', interactions.csv line 2); read as the others are.",
    ]


def test_ages_with_decimals_are_rounded_down(tmp_path: Path) -> None:
    checked = understood(tmp_path, "csv", users=some("age", {1: "34.0", 2: "34,9", 3: "0", 4: None}))
    assert isinstance(checked.dataset, Dataset)
    assert checked.dataset.ages is not None
    assert checked.dataset.ages[:5].tolist() == [34, 34, 0, -1, 22]


@pytest.mark.parametrize(
    ("ending", "premium", "level", "country"),
    [("csv", ["True", "False"], ["1.0", "2.0", None], "BR "), ("parquet", [True, False], [1.0, 2.0, None], "BR")],
)
def test_groups_of_csv_are_those_of_parquet(
    ending: str, premium: list[object], level: list[object], country: str, tmp_path: Path
) -> None:
    """Booleans, whole numbers that pandas made floats, and spaces."""

    def add_columns(rows: pl.DataFrame) -> pl.DataFrame:
        columns = [pl.Series("premium", premium * 15), pl.Series("level", level * 10)]
        return some("country", {2: country})(rows.with_columns(columns))

    checked = understood(tmp_path, ending, users=add_columns)
    assert isinstance(checked.dataset, Dataset)
    groups = {name: (group.values, group.codes[:3].tolist()) for name, group in checked.dataset.groups.items()}
    assert groups == {
        "premium": (("false", "true"), [1, 0, 1]),
        "level": (("1", "2"), [0, 1, -1]),
        "country": (("BR", "DE", "FR"), [1, 0, 2]),
    }


def test_names_with_commas_are_no_lists(tmp_path: Path) -> None:
    """As many first names as family names, each many times."""
    names = [f"Family{ix // 6}, First{ix % 6}" for ix in range(40)]
    checked = understood(tmp_path, "csv", items=every("artist_id", pl.lit(pl.Series(names))))
    assert checked.notes == ()


COUNTS = pl.Series([1.0, 1, 2, 1, 3, 5] * 50)


def test_counts_are_no_ratings(tmp_path: Path) -> None:
    checked = understood(tmp_path, "parquet", interactions=lambda rows: rows.with_columns(weight=COUNTS))
    assert checked.notes == ()
