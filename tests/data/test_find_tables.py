"""Which files are tables is told from names alone."""

from __future__ import annotations

import pytest

from firstday.tables.faults import Findings
from firstday.tables.find import TableFile, TableFiles, find_tables


def find(*names: str) -> tuple[dict[str, TableFiles | None], Findings]:
    findings = Findings()
    return find_tables(names, findings), findings


def test_tables_are_files_or_folders_of_files_at_any_depth() -> None:
    tables, findings = find(
        "Users.CSV",
        "items.jsonl.gz",
        "interactions/date=2024-05-01/signal=stream/part-0.parquet",
        "interactions/date=__HIVE_DEFAULT_PARTITION__/a%2Fb=c%20d/x/part-0.PARQUET",
        "friends.parquet/part-0.pq",
        "embeddings/users.pq",
        "embeddings/Items/a.ndjson",
        "names/part-0.csv",
    )
    assert {name: table and table.path for name, table in tables.items()} == {
        "interactions": "interactions/",
        "users": "Users.CSV",
        "items": "items.jsonl.gz",
        "friends": "friends.parquet/",
        "names": "names/",
        "embeddings/users": "embeddings/users.pq",
        "embeddings/items": "embeddings/Items/",
    }
    assert tables["items"] == TableFiles(
        "items", "items.jsonl.gz", (TableFile("items.jsonl.gz", "JSON lines", "gzip"),)
    )
    interactions = tables["interactions"]
    assert interactions is not None
    assert [file.partitions for file in interactions.files] == [
        {"date": "2024-05-01", "signal": "stream"},
        {"date": None, "a/b": "c d"},
    ]
    assert (findings.faults, findings.notes) == ((), ())


def test_what_systems_and_spark_leave_is_passed_over() -> None:
    tables, findings = find(
        "interactions/part-0.csv",
        "interactions/_SUCCESS",
        "interactions/_committed_123",
        "interactions/.part-0.csv.crc",
        "interactions/part-0.csv.crc",
        "interactions/_temporary/0/part-1.parquet",
        ".DS_Store",
        "__MACOSX/users.csv",
        "~$users.xlsx",
        ".git/config",
    )
    assert list(tables) == ["interactions"]
    assert (findings.faults, findings.notes) == ((), ())


def test_a_partition_folder_may_begin_with_an_underscore() -> None:
    tables, _ = find("users/_day=1/part-0.csv")
    assert tables["users"] is not None
    assert tables["users"].files[0].partitions == {"_day": 1}


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("user.csv", "users.csv"),
        ("interaction.parquet", "interactions.parquet"),
        ("Items (1).csv", "items.csv"),
        ("events.csv", "interactions.csv"),
        ("Tracks.tsv.zst", "items.tsv.zst"),
        ("intractions.jsonl", "interactions.jsonl"),
        ("users_2024-05.csv", "users.csv"),
        ("user.xlsx", "users.csv"),
        ("friend/", "friends/"),
        ("embeddings/item.parquet", "embeddings/items.parquet"),
    ],
)
def test_near_names_are_suggested(name: str, guess: str) -> None:
    _, findings = find(name)
    assert findings.notes == (f"{name}: ignored (not a table of firstday; did you mean {guess}?).",)
    _, findings = find(name, guess.replace("/", "/a.csv") if guess.endswith("/") else guess)
    assert findings.notes == (f"{name}: ignored (not a table of firstday).",)


@pytest.mark.parametrize("name", ["README.md", "config.toml", "old/", "users.csv.bak", "weather.csv", "notes.txt"])
def test_other_files_are_noted(name: str) -> None:
    _, findings = find(name)
    assert findings.notes == (f"{name}: ignored (not a table of firstday).",)
    assert findings.faults == ()


def test_many_other_files_are_counted() -> None:
    _, findings = find(*(f"{n}.jpg" for n in range(1000)))
    assert len(findings.notes) == 21
    assert findings.notes[-1] == "980 more files and folders are ignored (not tables of firstday)."


def test_a_workbook_beside_its_table_is_noted_and_text_in_a_folder_too() -> None:
    tables, findings = find("users.csv", "users.xlsx", "interactions/a.csv", "interactions/README.txt")
    assert None not in tables.values()
    assert findings.faults == ()
    assert findings.notes == (
        "interactions/README.txt: ignored (not a table of firstday).",
        "users.xlsx: ignored (users.csv is read).",
    )
