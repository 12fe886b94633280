"""Files that cannot be read, or should not be there, and the exact sentence for each."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import polars as pl
import pytest

from firstday.data.load import load
from firstday.engine.engines import check as check_tables
from firstday.errors import DataError
from firstday.tables.zstd import compress
from tests.data.conftest import Tables, Write

INTERACTIONS = "user_id,item_id,signal\n1,10,stream\n2,11,favorite\n3,10,stream\n"


def test_folders_of_parquet_files_join_ids_of_different_width(tmp_path: Path) -> None:
    place = tmp_path / "interactions.parquet"
    place.mkdir()
    pl.DataFrame({"user_id": [1], "item_id": [2]}, schema_overrides={"user_id": pl.Int32}).write_parquet(
        place / "a.parquet"
    )
    pl.DataFrame({"user_id": [3], "item_id": [2]}).write_parquet(place / "b.parquet")
    assert load(tmp_path).users.values.to_list() == [1, 3]


def test_a_folder_of_files_with_other_types(tmp_path: Path) -> None:
    place = tmp_path / "interactions"
    place.mkdir()
    pl.DataFrame({"user_id": [[1]]}).write_parquet(place / "a.parquet")
    pl.DataFrame({"user_id": ["x"]}).write_parquet(place / "b.parquet")
    (fault,) = check_tables(tmp_path).faults
    assert (fault.code, fault.file) == ("unreadable", "interactions/a.parquet")


@pytest.mark.parametrize("place", [8, 40, 90, -40, -9])
@pytest.mark.parametrize("table", ["interactions", "users"])
def test_a_parquet_file_with_damage_inside(table: str, place: int, five_users: Tables, write: Write) -> None:
    folder = write(five_users)
    file = folder / f"{table}.parquet"
    content = bytearray(file.read_bytes())
    content[place : place + 4] = b"\xff\xff\xff\x7f"
    file.write_bytes(content)
    for fault in check_tables(folder).faults:  # none where the damage makes other values of a table
        assert table in (fault.table, Path(fault.file).stem)


def test_a_file_that_may_not_be_read_or_is_none(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").symlink_to(tmp_path / "nowhere.csv")
    os.mkfifo(tmp_path / "users.csv")
    assert [(fault.code, fault.file) for fault in check_tables(tmp_path).faults] == [
        ("not_a_file", "interactions.csv"),
        ("not_a_file", "users.csv"),
    ]


def test_folders_that_go_round_in_circles_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "interactions").mkdir()
    (tmp_path / "interactions" / "a.csv").write_text(INTERACTIONS)
    (tmp_path / "interactions" / "again").symlink_to(tmp_path / "interactions")
    assert load(tmp_path).summary()["interactions"] == 3


def test_a_file_name_that_is_no_text_is_named_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(INTERACTIONS)
    (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_text("")
    assert load(tmp_path).notes == (
        "ignored: 1 files or folders that are not tables of firstday (first: caf\ufffd.csv).",
    )


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("users.csv", b"user_id,age\n1,20\n2,x\n3,30\n", "users.csv line 3"),
        ("users.csv", b"\n\nuser_id,age\r\n1,20\r\n\r\n\r\n2,x\r\n3,30", "users.csv line 7"),
        ("users.tsv", b'user_id\tcity\tage\n1\t"a\n\nb"\t20\n2\t"c\nd"\tx\n3\te\t30\n', "users.tsv line 5"),
        ("users.csv", b'"user\n_id",user_id,age\n1,1,20\n2,2,x\n3,3,30\n', "users.csv line 4"),
        ("users.csv", b'user_id,city,age\n1,5" disc,20\n\n2,"a\nb",x\n3,c,30\n', "users.csv line 4"),
        ("users.csv", "user_id,age\n1,20\n\n2,x\n3,30\n".encode("utf-16"), "users.csv line 4"),
        ("users.csv.gz", gzip.compress(b"user_id,age\n1,20\n\n2,x\n3,30\n", mtime=0), "users.csv.gz line 4"),
        ("users/part.csv.zst", compress(b"user_id,age\n\n1,20\n2,x\n3,30\n"), "users/part.csv.zst line 4"),
    ],
)
def test_the_line_of_a_fault_is_the_line_in_the_file(name: str, content: bytes, place: str, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(INTERACTIONS)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    (fault,) = check_tables(tmp_path).faults
    assert f"1 of 3 rows are not numbers (first: 'x', {place});" in fault.text
    assert (fault.code, fault.where) == ("not_a_number", "users.age")
    assert f"{fault.file} line {fault.line}" == place


def test_rows_of_json_lines_are_counted_by_lines_too(tmp_path: Path) -> None:
    (tmp_path / "interactions.jsonl").write_text(
        '\n{"user_id": 1, "item_id": 10}\n\n  \n{"user_id": 2}\n{"user_id": 3, "item_id": 10}\n'
    )
    (fault,) = check_tables(tmp_path).faults
    assert (fault.code, fault.where, fault.line) == ("empty", "interactions.item_id", 5)


def test_bad_lines_and_values_of_several_kinds_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "interactions.jsonl").write_text('{"user_id": 1, "item_id": [1]}\nx\n{"user_id": 2, "item_id": 1}\n')
    assert [(fault.code, fault.line) for fault in check_tables(tmp_path).faults] == [
        ("not_an_object", 2),
        ("mixed_lists", 3),
    ]


def test_bad_lines_of_json_may_be_left_out(tmp_path: Path) -> None:
    rows = [f'{{"user_id": {n}, "item_id": {n % 3}}}' for n in range(8)]
    (tmp_path / "interactions.jsonl").write_text("\n".join([*rows[:5], "x", "", *rows[5:], '{"user_id": [1]}']))
    dataset = load(tmp_path, drop_bad_rows=0.5)
    assert dataset.users.values.to_list() == list(range(8))
    assert [json.loads(line)["place"] for line in dataset.left_out] == [f"interactions.jsonl line {n}" for n in (6, 11)]


def test_types_of_json_lines_are_those_of_all_lines(tmp_path: Path) -> None:
    lines = [f'{{"user_id": {n}, "item_id": {n % 7}, "weight": 1, "more": {{"a": {n}}}}}' for n in range(300)]
    lines += ['{"user_id": "x", "item_id": 1, "weight": 1.5, "more": {"b": [1]}}']
    (tmp_path / "interactions.jsonl").write_text("\n".join(lines))
    (tmp_path / "items.jsonl").write_text("".join(f'{{"item_id": {n}, "genre": ["a", "b"]}}\n' for n in range(7)))
    dataset = load(tmp_path)
    assert dataset.users.values.to_list() == sorted(["x", *map(str, range(300))])
    assert dataset.events.whole()["weight"].sum() == 301.5
    assert dataset.entities["genre"].ids.values.to_list() == ["a", "b"]
    assert "interactions.more: ignored (not a column of interactions)." in dataset.notes


@pytest.mark.parametrize("name", ["part[1].jsonl", "part*.csv", "part?.parquet"])
def test_names_of_files_are_no_patterns(name: str, tmp_path: Path) -> None:
    place = tmp_path / "interactions"
    place.mkdir()
    rows = pl.read_csv(INTERACTIONS.encode())
    for file in (place / name, place / f"part1.{name.rpartition('.')[2]}"):
        if file.suffix == ".parquet":
            rows.write_parquet(file)
        else:
            file.write_text(rows.write_csv() if file.suffix == ".csv" else rows.write_ndjson())
    assert load(tmp_path).summary()["interactions"] == 6


def test_partitions_become_columns_of_their_type(tmp_path: Path) -> None:
    for folder in ("item_id=7/age=007", "item_id=8/age=__HIVE_DEFAULT_PARTITION__"):
        place = tmp_path / "interactions" / folder
        place.mkdir(parents=True)
        pl.DataFrame({"user_id": [1, 2]}).write_parquet(place / "part-0.parquet")
    (tmp_path / "users" / "country=C%C3%B4te d%27Ivoire").mkdir(parents=True)
    (tmp_path / "users" / "country=__HIVE_DEFAULT_PARTITION__").mkdir(parents=True)
    (tmp_path / "users" / "country=C%C3%B4te d%27Ivoire" / "1.csv").write_text("user_id\n1\n")
    (tmp_path / "users" / "country=__HIVE_DEFAULT_PARTITION__" / "1.csv").write_text("user_id\n2\n")
    dataset = load(tmp_path)
    assert dataset.items.values.to_list() == [7, 8]
    assert dataset.notes[0] == "interactions.age: ignored (not a column of interactions)."
    assert dataset.groups["country"].values == ("Côte d'Ivoire",)
    assert dataset.groups["country"].codes.tolist() == [0, -1]


def test_a_column_of_the_file_comes_before_its_partition(tmp_path: Path) -> None:
    place = tmp_path / "interactions" / "item_id=7"
    place.mkdir(parents=True)
    pl.DataFrame({"user_id": [1], "item_id": ["x"]}).write_parquet(place / "part-0.parquet")
    assert load(tmp_path).items.values.to_list() == ["x"]


def test_what_is_asked_for_has_to_exist(tmp_path: Path) -> None:
    file = tmp_path / "interactions.csv"
    file.write_text(INTERACTIONS)
    for place, path, sentence in (
        ("none", None, "none: does not exist; give a folder of tables, or a dataset name."),
        (file, None, f"{file}: is a file; give a folder of tables, or a dataset name."),
        (tmp_path, file, f"{tmp_path}: a path is allowed only with a dataset name; omit it."),
    ):
        with pytest.raises(DataError) as caught:
            load(place, path=path)
        assert str(caught.value) == sentence
