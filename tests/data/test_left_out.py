"""Bad rows that are left out, by hand on five users: counts, lines, and what is left."""

from __future__ import annotations

import json
import math

import polars as pl
import pytest
import typer

from firstday.cli.options import parse_share
from firstday.data.load import load
from firstday.engine.engines import check as check_tables
from firstday.tables.faults import Findings
from tests.data.conftest import Tables, Write
from tests.data.same import assert_equal


def spoil(tables: Tables) -> Tables:
    """Spoil rows 3 and 7 of interactions, the row of u3, and the friendship of u2."""
    interactions = tables["interactions"]
    signal = interactions["signal"].to_list()
    weight = interactions["weight"].to_list()
    signal[2], weight[6] = "tap", math.nan
    return {
        **tables,
        "interactions": interactions.with_columns(signal=pl.Series(signal), weight=pl.Series(weight)),
        "users": tables["users"].with_columns(age=pl.Series([24, 31, 300, 17, 60])),
        "friends": tables["friends"].with_columns(friend_id=pl.Series(["u2", "u9", "u1"])),
    }


def clean(tables: Tables) -> Tables:
    """Take out what `spoil` spoils and what names u3."""
    return {
        **tables,
        "interactions": tables["interactions"][[0, 1, 3]],
        "users": tables["users"].filter(pl.col("user_id") != "u3"),
        "friends": tables["friends"][[0]],
    }


def test_bad_rows_are_left_out_counted_and_listed(five_users: Tables, write: Write) -> None:
    checked = check_tables(write(spoil(five_users)), drop_bad_rows=0.8)
    assert checked.faults == ()
    assert [note.split(" rows ")[0] for note in checked.notes] == [
        "users.age: 1 of 5", "friends.user_id: 1 of 3", "friends.friend_id: 1 of 3", "interactions.weight: 1 of 7",
        "interactions.signal: 1 of 7", "interactions.user_id: 2 of 7", "users: 1 of 5", "interactions: 4 of 7",
    ]  # fmt: skip
    lines = [json.loads(line) for line in checked.left_out]
    assert [(line["table"], line["place"]) for line in lines] == [
        ("interactions", "interactions.parquet row 3"),
        ("interactions", "interactions.parquet row 5"),
        ("interactions", "interactions.parquet row 6"),
        ("interactions", "interactions.parquet row 7"),
        ("users", "users.parquet row 3"),
    ]
    assert lines[3] == {
        "table": "interactions",
        "place": "interactions.parquet row 7",
        "reasons": ["interactions.weight are not finite numbers from 0 to 3e38"],
        "row": {
            "user_id": "u4",
            "item_id": "i4",
            "entity": None,
            "entity_id": None,
            "signal": "stream",
            "timestamp": None,
            "weight": None,
        },
    }


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("missing", [(), ("users",), ("users", "items", "collections")])
def test_what_is_left_is_what_clean_tables_give(
    missing: tuple[str, ...], ending: str, five_users: Tables, write: Write
) -> None:
    if missing:  # then the users and items are those of the rows that are kept
        rows = five_users["interactions"]
        five_users = {name: frame for name, frame in five_users.items() if name not in (*missing, "friends")}
        five_users["interactions"] = rows if "items" in five_users else rows.filter(pl.col("item_id").is_not_null())
        bad = five_users["interactions"][0:2].with_columns(user_id=pl.lit("u8"), weight=pl.lit(-1.0))
        dirty = {**five_users, "interactions": pl.concat([bad, five_users["interactions"]])}
        cleaned = five_users
    else:
        dirty = spoil(five_users)
        cleaned = clean(five_users)
    dataset = load(write(dirty, ending, "dirty"), drop_bad_rows=0.8)
    assert_equal(dataset, load(write(cleaned, ending, "clean")))
    assert len(dataset.left_out) == (2 if missing else 5)


def test_more_than_the_share_is_a_fault(five_users: Tables, write: Write) -> None:
    folder = write(spoil(five_users))
    checked = check_tables(folder, drop_bad_rows=0.5)
    assert checked.dataset is None
    *bad_rows, interactions = checked.faults
    assert len(bad_rows) == 3
    assert (interactions.code, interactions.table) == ("too_many_bad_rows", "interactions")
    assert len(checked.left_out) == 5
    assert len(check_tables(folder).faults) == 3


def test_a_share_that_is_met_exactly_is_no_fault() -> None:
    for n, n_rows, share in ((29, 100, 0.29), (1, 100, 0.01), (7, 700, 0.01)):
        findings = Findings(drop=True)
        findings.n_left_out["users"] = n
        findings.n_rows["users"] = n_rows
        for allowed, codes in ((share, []), (share * 0.99, ["too_many_bad_rows"])):
            findings.settle(allowed)
            assert [fault.code for fault in findings.faults] == codes


def test_a_table_without_a_row_left_is_a_fault(five_users: Tables, write: Write) -> None:
    five_users["friends"] = five_users["friends"].with_columns(friend_id=pl.lit(None, pl.String))
    (fault,) = check_tables(write(five_users), drop_bad_rows=1.0).faults
    assert (fault.code, fault.where) == ("empty", "friends.friend_id")


def test_what_is_wrong_with_whole_columns_stays_a_fault(five_users: Tables, write: Write) -> None:
    five_users["friends"] = five_users["friends"].rename({"friend_id": "Friend_ID"})
    five_users["users"] = five_users["users"].with_columns(age=pl.lit(value=True))
    faults = check_tables(write(five_users), drop_bad_rows=1.0).faults
    assert [fault.code for fault in faults] == ["wrong_type", "missing_column"]


def test_items_of_bad_rows_alone_are_no_items_and_no_fault(five_users: Tables, write: Write) -> None:
    """Without a table of items these are what good rows name; a bad row is bad for its own reason."""
    tables = {"interactions": spoil(five_users)["interactions"].with_columns(item_id=pl.lit("i1"))}
    rows = tables["interactions"]
    tables["interactions"] = rows.with_columns(item_id=pl.Series(["i1", "i2", "seen in a bad row alone", *["i1"] * 4]))
    tables["interactions"] = tables["interactions"].drop("entity", "entity_id", strict=False)
    dataset = load(write(tables), drop_bad_rows=0.8)
    assert dataset.items.values.to_list() == ["i1", "i2"]
    assert [json.loads(line)["reasons"] for line in dataset.left_out] == [
        ["interactions.signal have an unknown signal"],
        ["interactions.weight are not finite numbers from 0 to 3e38"],
    ]


def test_only_the_first_rows_are_listed_one_by_one(
    five_users: Tables, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstday.tables.faults.MAX_LISTED", 3)
    left_out = load(write(spoil(five_users)), drop_bad_rows=0.8).left_out
    assert [json.loads(line)["place"] for line in left_out[:-1]] == [f"interactions.parquet row {n}" for n in (3, 5, 6)]


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("0.01", 0.01), (" 2.5% ", 0.025), ("100%", 1.0), ("0", 0.0)]
)
def test_a_share_is_read(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["1", "5", "-1%", "101%", "a few", "", "%", "nan", "inf%", "0,01"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is not a share of rows; give one such as 1% or 0\.01"):
        parse_share(text)
