"""Files that cannot be read, or should not be there, and the exact sentence for each."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from firstday.data.load import check_tables, load
from firstday.errors import DataError

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
        "interactions: is there more than once (interactions/ and interactions.parquet and interactions.csv); "
        "keep one of them.",
    )


def test_a_folder_without_files(tmp_path: Path) -> None:
    (tmp_path / "interactions").mkdir()
    assert faults(tmp_path) == ("interactions/: holds no Parquet or CSV file; add one or remove it.",)


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
        "interactions/b.csv: has other columns (user_id, item_id) than a.csv (user_id, item_id, signal); "
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


def test_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    (tmp_path / "interactions.parquet").write_text(INTERACTIONS)
    (fault,) = faults(tmp_path)
    assert fault.startswith("interactions.parquet: cannot be read as Parquet (")
    assert fault.endswith("); write the file again.")


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_parquet_file(share: float, five_users: Tables, write: Write) -> None:
    folder = write(five_users)
    place = folder / "interactions.parquet"
    place.write_bytes(place.read_bytes()[: int(place.stat().st_size * share)])
    (fault,) = faults(folder)
    assert fault.startswith("interactions.parquet: cannot be read as Parquet (")


def test_an_empty_csv_file(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("")
    assert faults(tmp_path) == ("interactions.csv: is empty; write a header and rows, or remove it.",)


def test_csv_with_only_a_header(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\n")
    assert "interactions: has no rows; add rows or remove the table." in faults(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"user_id,item_id\n1,2,3\n",
        b"user_id,item_id\n1,\xff\xfe\n",
        b"user_id,item_\xff\n1,2\n",
        b'user_id,item_id\n1,"2\n3,4\n',
    ],
    ids=["too many fields", "not UTF-8", "a header that is not UTF-8", "an open quote"],
)
def test_csv_that_cannot_be_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_bytes(content)
    (fault,) = faults(tmp_path)
    assert fault.startswith("interactions.csv: cannot be read as CSV (")
    assert fault.endswith("); write the file again.")


@pytest.mark.parametrize(
    "text", ["user_id,item_id,signal\n1,2,stream\n3,4\n", 'user_id,item_id,signal\n1,2,"a,b"\n3,4\n']
)
def test_csv_rows_with_too_few_fields(text: str, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(text)
    assert faults(tmp_path) == (
        "interactions.csv: rows have fewer fields than the header's 3 (first: row 2); "
        "write the file again, with quotes around text that has commas or line breaks.",
    )


def test_csv_with_a_column_twice(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,item_id\n1,2,3\n")
    assert faults(tmp_path) == ("interactions.csv: has the column item_id more than once; keep one of them.",)


@pytest.mark.parametrize(
    "content", [INTERACTIONS.encode(), gzip.compress(INTERACTIONS.encode() * 9)[:-20]], ids=["plain text", "cut off"]
)
def test_gzip_that_is_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv.gz").write_bytes(content)
    (fault,) = faults(tmp_path)
    assert fault.startswith("interactions.csv.gz: cannot be read as CSV (")


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
        "embeddings/artists.csv: ignored (not a table of firstday).",
        "embeddings.csv: ignored (not a table of firstday).",
        "old/: ignored (not a table of firstday).",
    )


def test_what_is_asked_for_has_to_exist(tmp_path: Path) -> None:
    names = "movielens-100k or deezer-europe"
    with pytest.raises(DataError) as missing:
        load("no-such-folder")
    assert missing.value.faults == (
        f"no-such-folder: does not exist; give a folder of tables, or a built-in name: {names}.",
    )
    place = tmp_path / "interactions.csv"
    place.write_text(INTERACTIONS)
    with pytest.raises(DataError) as a_file:
        load(place)
    assert a_file.value.faults == (f"{place}: is a file; give the folder that holds it, or a built-in name: {names}.",)
    with pytest.raises(DataError) as with_path:
        load(tmp_path, path=place)
    assert with_path.value.faults == (
        f"{tmp_path}: a path is given beside a folder of tables; it is only for {names}.",
    )
