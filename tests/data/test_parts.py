"""Tables read in parts of users say the same as tables read whole: faults, notes, and all that is added up."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from operator import add

import numpy as np
import polars as pl
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.load import find_groups, load
from firstday.data.parts import (
    MENTIONS,
    USER_TABLES,
    join_findings,
    join_users,
    load_part,
    load_whole,
    pack,
    unpack,
)
from firstday.data.summary import summarise
from firstday.engine.engines import check as check_tables
from firstday.errors import Fault
from firstday.tables.faults import FILE, ROW, Findings, Rule, find_faults
from firstday.tables.raw_table import RawTable, add_location
from tests.data.conftest import Tables
from tests.data.same import assert_equal
from tests.data.test_impressions import make_assignments, with_shown

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def with_rows(frame: pl.DataFrame, rows: np.ndarray) -> RawTable:
    """Some rows of a frame, which remember where they stood."""
    numbered = frame.with_row_index(ROW)[rows]
    return RawTable({"part": add_location(numbered.lazy(), 0)})


def read_in_parts(tables: Tables, n_parts: int, *, drop: bool = False) -> tuple[list[Dataset], Findings]:
    """Read tables by parts of users, as an engine of many machines does."""
    findings = Findings(drop=drop)
    raw = {name: RawTable.of(frame, name) for name, frame in tables.items() if name not in USER_TABLES}
    item_ids = tables["interactions"]["item_id"].drop_nulls().unique().sort()
    groups = find_groups({"users": tables.get("users", pl.DataFrame())})
    home = "users" if "users" in tables else "interactions"
    whole = load_whole(raw, item_ids, groups, frozenset(tables), Config().signals, findings, NOW, home)
    divided = {**tables, MENTIONS: tables["friends"]} if "friends" in tables else tables
    datasets = []
    part_findings = []
    for number in range(n_parts):
        part_raw = {}
        for name in {*USER_TABLES, MENTIONS} & set(divided):
            keys = divided[name]["friend_id" if name == MENTIONS else "user_id"]
            rows = np.flatnonzero(keys.cast(pl.String).fill_null("").hash(1).to_numpy() % n_parts == number)
            if len(rows):
                part_raw[name] = with_rows(divided[name], rows)
        dataset, found = load_part(part_raw, whole)
        part_findings.append(found)
        if dataset is not None and whole.catalogue is not None:
            datasets.append(unpack(pack(dataset), whole.catalogue))
    join_findings(part_findings, Config().signals, findings)
    return datasets, findings


def without_examples(faults: tuple[Fault, ...]) -> set[str]:
    """Return sentences without the examples of known ids, which are those of one part."""
    return {re.sub(r" \(ids there: [^)]*\)", "", str(fault)) for fault in faults}


EXTRA: dict[str, Callable[[Tables, Tables], Tables]] = {
    "five users": lambda five_users, _: five_users,
    "with vectors": lambda five_users, vectors: {**five_users, **vectors},
    "with impressions": lambda five_users, _: with_shown({**five_users, "assignments": make_assignments()}),
}


@pytest.mark.parametrize("n_parts", [1, 2, 7])
@pytest.mark.parametrize("extra", EXTRA)
def test_parts_hold_what_the_whole_holds(five_users: Tables, vectors: Tables, extra: str, n_parts: int) -> None:
    tables = EXTRA[extra](five_users, vectors)
    whole = load(tables)
    datasets, findings = read_in_parts(tables, n_parts)
    assert findings.faults == ()
    assert set(findings.notes) == set(whole.notes)
    assert reduce(add, map(summarise, datasets)) == summarise(whole)
    halves = [
        part.keep_users(np.flatnonzero(np.arange(len(part.users)) % 2 == odd)) for part in datasets for odd in (0, 1)
    ]
    assert_equal(join_users(whole.name, halves, datasets[0]), whole)


BREAKS: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "unknown user": ("interactions", lambda f: f.with_columns(user_id=pl.lit("u9"))),
    "unknown item": ("interactions", lambda f: f.with_columns(item_id=pl.lit("i9"), entity=None, entity_id=None)),
    "unknown friend": ("friends", lambda f: f.with_columns(friend_id=pl.lit("u9"))),
    "friends that are no ids": ("friends", lambda f: f.with_columns(friend_id=pl.lit(value=True))),
    "empty friend": ("friends", lambda f: f.with_columns(friend_id=pl.lit(None, pl.String))),
    "repeated user": ("users", lambda f: pl.concat([f, f.slice(1, 2)])),
    "empty user": ("interactions", lambda f: f.with_columns(user_id=pl.lit(None, pl.String))),
    "repeated rows": ("interactions", lambda f: pl.concat([f, f])),
    "the future": ("interactions", lambda f: f.with_columns(pl.col("timestamp").dt.offset_by("100y"))),
    "unknown signal": ("interactions", lambda f: f.with_columns(signal=pl.lit("play"))),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_parts_have_the_faults_and_notes_of_the_whole(five_users: Tables, broken: str) -> None:
    table, change = BREAKS[broken]
    five_users[table] = change(five_users[table])
    checked = check_tables(five_users)
    _, findings = read_in_parts(five_users, 3)
    findings.settle(0)
    assert without_examples(findings.faults) == without_examples(checked.faults)
    if not checked.faults:
        assert set(findings.notes) == set(checked.notes)


BAD_ROWS: dict[str, tuple[str, int | list[int], dict[str, object]]] = {
    "rows of several users": ("interactions", [5, 0, 3], {"weight": -1.0}),
    "a user's only row is bad": ("interactions", 6, {"weight": -1.0}),
    "one of a user's rows is bad": ("interactions", 0, {"signal": "play"}),
    "an unknown item": ("interactions", 6, {"item_id": "i9"}),
    "an empty user": ("interactions", 6, {"user_id": None}),
    "an unknown friend": ("friends", 2, {"friend_id": "u9"}),
    "a friend of an unknown user": ("friends", 2, {"user_id": "u9"}),
    "an empty friend": ("friends", 1, {"friend_id": None}),
    "friends who are nobody": ("friends", 1, {"user_id": "u8", "friend_id": "u9"}),
    "an age": ("users", 3, {"age": 130}),
}


@pytest.mark.parametrize("has_users", [True, False], ids=["with users", "without users"])
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_parts_leave_out_what_the_whole_leaves_out(five_users: Tables, bad: str, has_users: bool) -> None:
    """Where there is no table of users, only rows that are kept name any."""
    name, row, values = BAD_ROWS[bad]
    is_bad = pl.int_range(pl.len()).is_in(np.atleast_1d(row))
    five_users[name] = five_users[name].with_columns(
        pl.when(is_bad).then(pl.lit(value)).otherwise(column).alias(column) for column, value in values.items()
    )
    if not has_users:
        del five_users["users"]
    whole = check_tables(five_users, drop_bad_rows=0.6)
    datasets, findings = read_in_parts(five_users, 3, drop=True)
    findings.settle(0.6)
    assert set(findings.faults) == set(whole.faults) == set()
    assert isinstance(whole.dataset, Dataset)
    assert_equal(join_users("tables", datasets, datasets[0], are_all=True), whole.dataset)
    assert set(findings.notes) == set(whole.notes)
    assert findings.left_out == whole.left_out


def test_a_part_without_anything_but_friends_is_a_dataset(five_users: Tables) -> None:
    without = {name: frame for name, frame in five_users.items() if name != "users"}
    without["friends"] = pl.DataFrame({"user_id": ["u1"], "friend_id": ["nobody"]})
    datasets, findings = read_in_parts(without, 7)
    checked = check_tables(without)
    assert findings.faults == checked.faults == ()
    assert (
        set(findings.notes)
        == set(checked.notes)
        >= {"friends.friend_id: 1 of 1 rows refer to unknown users (first: 'nobody', row 1); left out."}
    )
    assert isinstance(checked.dataset, Dataset)
    assert_equal(join_users("tables", datasets, datasets[0], are_all=True), checked.dataset)


@pytest.mark.parametrize("n_vectors", [0, 2])
def test_items_without_a_vector_are_told_of_parts_too(five_users: Tables, vectors: Tables, n_vectors: int) -> None:
    tables = {**five_users, **vectors, "embeddings/items": vectors["embeddings/items"].head(n_vectors)}
    datasets, findings = read_in_parts(tables, 2)
    checked = check_tables(tables)
    assert (findings.faults, set(findings.notes)) == (checked.faults, set(checked.notes))
    assert len(findings.faults) == (2 if n_vectors == 0 else 0)
    assert len(datasets) == (2 if n_vectors else 0)


def test_what_a_part_reports_is_small() -> None:
    """The rows that were checked last stay where they are: reports of all parts come to one machine."""
    findings = Findings()
    rows = pl.DataFrame({FILE: 0, ROW: range(100_000)})
    find_faults("users", rows, [Rule("are odd", pl.col(ROW) >= 0, "odd", "correct them", "age")], findings)
    assert len(pickle.dumps(findings)) < 8_000
    assert pickle.loads(pickle.dumps(findings)).faults == findings.faults
