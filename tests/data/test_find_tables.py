"""Which files are tables is told from names alone."""

from __future__ import annotations

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


def test_singular_names_of_other_files_are_corrected() -> None:
    _, findings = find("user.csv", "interaction.parquet", "friend/", "embeddings/item.parquet", "weather.csv")
    assert findings.notes == (
        "ignored: 5 files or folders that are not tables of firstday (first: embeddings/item.parquet (did you mean "
        "embeddings/items?), friend/ (did you mean friends?), interaction.parquet (did you mean interactions?), "
        "user.csv (did you mean users?), weather.csv).",
    )


def test_many_other_files_are_counted() -> None:
    _, findings = find(*(f"{n}.jpg" for n in range(1000)))
    (note,) = findings.notes
    assert note.startswith("ignored: 1,000 files or folders that are not tables of firstday (first: 0.jpg, 1.jpg, ")
    assert note.count(".jpg") == 20


def test_other_files_are_noted_next_to_tables_too() -> None:
    names = ("README.md", "config.toml", "interactions/README.txt", "notes.txt", "old/", "users.csv.bak", "users.xlsx")
    tables, findings = find("users.csv", "interactions/a.csv", *names)
    assert None not in tables.values()
    assert findings.faults == ()
    (note,) = findings.notes
    assert sorted(note.partition("(first: ")[2].removesuffix(").").split(", ")) == sorted(names)
