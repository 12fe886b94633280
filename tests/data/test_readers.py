"""Files that cannot be read, or should not be there, and the exact sentence for each."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from firstday.data.load import load
from firstday.engine.engines import check as check_tables
from firstday.errors import DataError
from firstday.tables.zstd import compress

Tables = dict[str, pl.DataFrame]
Write = Callable[..., Path]

INTERACTIONS = "user_id,item_id,signal\n1,10,stream\n2,11,favorite\n3,10,stream\n"


def faults(folder: Path) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        load(folder)
    return caught.value.faults


def test_a_table_may_be_many_files(tmp_path: Path) -> None:
    parts = tmp_path / "interactions"
    parts.mkdir()
    (parts / "part-1.csv").write_text("user_id,item_id,signal\n1,10,stream\n")
    (parts / "part-2.csv.gz").write_bytes(gzip.compress(b"signal,user_id,item_id\nfavorite,2,11\nstream,3,10\n"))
    (parts / "_SUCCESS").write_text("")
    (parts / ".part-1.csv.crc").write_bytes(b"\x00\xff")
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "interactions.csv").write_text(INTERACTIONS)
    assert load(tmp_path).events.whole().equals(load(whole).events.whole())
    assert load(tmp_path).summary()["interactions"] == 3


def test_folders_of_parquet_files_join_ids_of_different_width(tmp_path: Path) -> None:
    place = tmp_path / "interactions.parquet"
    place.mkdir()
    pl.DataFrame({"user_id": [1], "item_id": [2]}, schema_overrides={"user_id": pl.Int32}).write_parquet(
        place / "a.parquet"
    )
    pl.DataFrame({"user_id": [3], "item_id": [2]}).write_parquet(place / "b.parquet")
    assert load(tmp_path).users.values.to_list() == [1, 3]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + INTERACTIONS.encode(),
        INTERACTIONS.replace("\n", "\r\n").encode(),
        INTERACTIONS.replace("stream\n2", "stream\n\n2").encode() + b"\n\n",
        INTERACTIONS.replace("1,10", '"1","10"').encode(),
        INTERACTIONS.rstrip("\n").encode(),
    ],
    ids=["byte-order mark", "Windows line ends", "blank lines", "quotes", "no last line end"],
)
def test_csv_as_programs_write_it_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_bytes(content)
    dataset = load(tmp_path)
    assert dataset.users.values.to_list() == [1, 2, 3]
    assert dataset.events.whole()["signal"].to_list() == ["stream", "favorite", "stream"]


def test_text_with_commas_and_line_breaks_may_stand_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(INTERACTIONS)
    (tmp_path / "items.csv").write_text('item_id,title\n10,"Red, white\nand ""blue"""\n11,\n')
    assert load(tmp_path).titles == ('Red, white\nand "blue"', "")


def test_no_interactions(tmp_path: Path) -> None:
    assert faults(tmp_path) == ("interactions: the table is missing; add interactions.parquet or interactions.csv.",)


def test_one_table_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(INTERACTIONS)
    pl.DataFrame({"user_id": [1], "item_id": [2]}).write_parquet(tmp_path / "interactions.parquet")
    (tmp_path / "interactions").mkdir()
    assert faults(tmp_path) == (
        "interactions: is there more than once (interactions.csv and interactions.parquet and interactions/); "
        "keep one of them.",
    )


def test_a_folder_without_files(tmp_path: Path) -> None:
    (tmp_path / "interactions").mkdir()
    assert faults(tmp_path) == ("interactions/: holds no Parquet, CSV or JSON lines file; add one or remove it.",)


def test_a_folder_of_both_formats(tmp_path: Path) -> None:
    place = tmp_path / "interactions"
    place.mkdir()
    (place / "a.csv").write_text(INTERACTIONS)
    pl.DataFrame({"user_id": [1]}).write_parquet(place / "b.parquet")
    assert faults(tmp_path) == ("interactions/: holds Parquet beside CSV files; keep one format.",)


def test_a_folder_of_files_with_other_columns(tmp_path: Path) -> None:
    place = tmp_path / "interactions"
    place.mkdir()
    (place / "a.csv").write_text(INTERACTIONS)
    (place / "b.csv").write_text("user_id,item_id\n1,2\n")
    assert faults(tmp_path) == (
        "interactions/b.csv: has other columns (user_id, item_id) than interactions/a.csv (user_id, item_id, signal); "
        "give every file of interactions the same columns.",
    )


def test_a_folder_of_files_with_other_types(tmp_path: Path) -> None:
    place = tmp_path / "interactions"
    place.mkdir()
    pl.DataFrame({"user_id": [[1]]}).write_parquet(place / "a.parquet")
    pl.DataFrame({"user_id": ["x"]}).write_parquet(place / "b.parquet")
    (fault,) = faults(tmp_path)
    assert fault.startswith("interactions/: the files have columns of different types (")
    assert fault.endswith("); align them.")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_a_truncated_parquet_file(share: float, five_users: Tables, write: Write) -> None:
    folder = write(five_users)
    place = folder / "interactions.parquet"
    place.write_bytes(place.read_bytes()[: int(place.stat().st_size * share)])
    (fault,) = faults(folder)
    assert fault.startswith("interactions.parquet: cannot be read as Parquet (")


@pytest.mark.parametrize("place", [8, 40, 90, -40, -9])
@pytest.mark.parametrize("table", ["interactions", "users"])
def test_a_parquet_file_with_damage_inside(table: str, place: int, five_users: Tables, write: Write) -> None:
    folder = write(five_users)
    file = folder / f"{table}.parquet"
    content = bytearray(file.read_bytes())
    content[place : place + 4] = b"\xff\xff\xff\x7f"
    file.write_bytes(content)
    for fault in check_tables(folder).faults:  # none where the damage makes other values of a table
        assert fault.startswith(f"{table}.")


def test_a_file_that_may_not_be_read_or_is_none(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").symlink_to(tmp_path / "nowhere.csv")
    os.mkfifo(tmp_path / "users.csv")
    missing, pipe = faults(tmp_path)
    assert missing.startswith("interactions.csv: cannot be read (")
    assert pipe == "users.csv: is a pipe or a device; put a file in its place."


def test_folders_that_go_round_in_circles_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "interactions").mkdir()
    (tmp_path / "interactions" / "a.csv").write_text(INTERACTIONS)
    (tmp_path / "interactions" / "again").symlink_to(tmp_path / "interactions")
    assert load(tmp_path).summary()["interactions"] == 3


def test_a_file_name_that_is_no_text_is_named_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(INTERACTIONS)
    (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_text("")
    assert load(tmp_path).notes == ("caf\ufffd.csv: ignored (not a table of firstday).",)


def test_csv_with_only_a_header(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\n")
    assert "interactions: has no rows; add rows or remove the table." in faults(tmp_path)


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
    assert faults(tmp_path) == (
        f"users.age: 1 of 3 rows are not numbers (first: 'x', {place}); write numbers alone, with a dot for decimals.",
    )


def test_rows_of_json_lines_are_counted_by_lines_too(tmp_path: Path) -> None:
    (tmp_path / "interactions.jsonl").write_text(
        '\n{"user_id": 1, "item_id": 10}\n\n  \n{"user_id": 2}\n{"user_id": 3, "item_id": 10}\n'
    )
    assert faults(tmp_path) == (
        "interactions.item_id: 1 of 3 rows are empty (first: interactions.jsonl line 5); "
        "fill them in or drop the rows.",
    )


def test_types_of_json_lines_are_those_of_all_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.tables.text.CHUNK_BYTES", 100)
    lines = [f'{{"user_id": {n}, "item_id": {n % 7}, "weight": 1, "more": {{"a": {n}}}}}' for n in range(300)]
    lines += ['{"user_id": "x", "item_id": 1, "weight": 1.5, "more": {"b": [1]}, "signal": "favorite"}']
    (tmp_path / "interactions.jsonl").write_text("\n".join(lines))
    (tmp_path / "items.jsonl").write_text("".join(f'{{"item_id": {n}, "genre": ["a", "b"]}}\n' for n in range(7)))
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert caught.value.faults == (
        "interactions.signal: 300 of 301 rows are empty (first: interactions.jsonl line 1); "
        "fill them in or drop the rows.",
    )
    (tmp_path / "interactions.jsonl").write_text(
        "\n".join(line.replace(', "signal": "favorite"', "") for line in lines)
    )
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


def test_a_table_that_cannot_be_read_leaves_the_others_checked(five_users: Tables, write: Write) -> None:
    five_users["items"] = pl.concat([five_users["items"], five_users["items"].with_columns(title=pl.lit("Other"))])
    folder = write(five_users)
    (folder / "users.parquet").write_bytes(b"")
    found = [fault.split(" ")[0] for fault in check_tables(folder).faults]
    assert found == ["users.parquet:", "items.item_id:"]  # and nothing about users that only seem unknown


def test_files_of_other_names_are_noted(five_users: Tables, vectors: Tables, write: Write) -> None:
    folder = write({**five_users, **vectors})
    (folder / "embeddings.csv").write_text("a\n")
    (folder / "embeddings" / "artists.csv").write_text("a\n")
    (folder / "notes.txt").write_text("")
    (folder / "old").mkdir()
    assert load(folder).notes == (
        "embeddings.csv: ignored (not a table of firstday).",
        "embeddings/artists.csv: ignored (not a table of firstday).",
        "notes.txt: ignored (not a table of firstday).",
        "old/: ignored (not a table of firstday).",
    )


def test_what_is_asked_for_has_to_exist(tmp_path: Path) -> None:
    names = "movielens-100k, complete-journey, deezer-europe, online-retail or movietweetings"
    with pytest.raises(DataError) as missing:
        load("no-such-folder")
    assert missing.value.faults == (
        f"no-such-folder: does not exist; give a folder of tables, or a built-in name: {names}.",
    )
    place = tmp_path / "interactions.csv"
    place.write_text(INTERACTIONS)
    with pytest.raises(DataError) as a_file:
        load(place)
    assert a_file.value.faults == (f"{place}: is a file; give a folder of tables, or a built-in name: {names}.",)
    with pytest.raises(DataError) as with_path:
        load(tmp_path, path=place)
    assert with_path.value.faults == (
        f"{tmp_path}: a path is given beside a folder of tables; it is only for {names}.",
    )
