"""Folders with faults in their files: a clean folder of thirty users, in which one thing is broken at a time."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import polars as pl

from firstday.tables.zstd import compress
from tests.data.dirty import Dirty
from tests.data.dirty_tables import clean_tables, to_text

Change = Callable[[Path], None]


def make_tables() -> dict[str, pl.DataFrame]:
    """Make clean tables with words, quotes and separators that files get wrong."""
    tables = clean_tables()
    odd = ["Café", 'The "blue" one', "Red, white", "Left; right", "A|B", "Two\nlines"]
    titles = pl.Series("title", [*odd, *tables["items"]["title"][len(odd) :]])
    country = pl.col("country").replace("BR", "São Tomé")
    return {**tables, "items": tables["items"].with_columns(titles), "users": tables["users"].with_columns(country)}


def make_json_lines(frame: pl.DataFrame) -> str:
    """Write a frame as JSON lines."""
    times = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return frame.with_columns(times).write_ndjson()


def write_csv(folder: Path) -> None:
    """Write the clean tables as CSV."""
    written("{}.csv")(folder)


def write_parquet(folder: Path) -> None:
    """Write the clean tables as Parquet."""
    for name, frame in make_tables().items():
        frame.write_parquet(folder / f"{name}.parquet")


def written(name: str, separator: str = ",", how: Callable[[bytes], bytes] = bytes) -> Change:
    """Make what writes the clean tables as text under names such as ``{}.csv.gz``."""

    def write(folder: Path) -> None:
        for table, frame in make_tables().items():
            text = make_json_lines(frame) if "json" in name else to_text(frame).write_csv(separator=separator)
            put(name.format(table), how(text.encode()))(folder)

    return write


def edit(name: str, *changes: tuple[str, str]) -> Change:
    """Make a change that puts another text in place of one, each once."""

    def change(folder: Path) -> None:
        text = (folder / name).read_bytes().decode()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / name).write_bytes(text.encode("utf-8", errors="surrogateescape"))

    return change


def put(name: str, content: bytes | str) -> Change:
    """Make a change that writes a file."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def turn(name: str, into: str, how: Callable[[bytes], bytes]) -> Change:
    """Make a change that writes a file in another way, under another name."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        put(into, how(content))(folder)

    return change


def with_index(content: bytes) -> bytes:
    """Number the rows of CSV in a first column without a name, as pandas does."""
    return pl.read_csv(content, infer_schema=False).with_row_index("").write_csv().encode()


def to_parquet(content: bytes) -> bytes:
    """Write CSV as Parquet."""
    place = io.BytesIO()
    pl.read_csv(content, infer_schema=False).write_parquet(place)
    return place.getvalue()


def to_zip(content: bytes) -> bytes:
    """Put a file into a ZIP archive, as a workbook is one."""
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr(zipfile.ZipInfo("users.csv"), content)  # of 1980, the same bytes every day
    return place.getvalue()


def move_apart(folder: Path) -> None:
    """Make a folder of two files of interactions."""
    content = (folder / "interactions.csv").read_text().splitlines(keepends=True)
    (folder / "interactions.csv").unlink()
    put("interactions/part-0.csv", "".join(content[:90]))(folder)
    put("interactions/part-1.csv", "".join([content[0], *content[90:]]))(folder)


def both(*changes: Change) -> Change:
    """Make several changes."""

    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def remove(name: str) -> Change:
    """Make a change that removes a file or a folder."""

    def change(folder: Path) -> None:
        place = folder / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()

    return change


CHANGES: dict[str, Change] = {
    "an Excel workbook in place of a table": turn("users.csv", "users.xlsx", to_zip),
    "a workbook under the name of CSV": put("users.csv", to_zip(b"x")),
    "a table in ZIP": turn("items.csv", "items.zip", to_zip),
    "JSON under the name of CSV": put("items.csv", '[{"item_id": "i00"}]'),
    "ORC among Parquet": both(remove("interactions.csv"), put("interactions/part-1.orc", b"ORC")),
    "a table twice": put("users.tsv", "user_id\n"),
    "a table twice by its letters": put("USERS.csv", "user_id\n"),
    "a folder without files": both(remove("items.csv"), put("items/.hidden", "")),
    "two formats in a folder": both(move_apart, put("interactions/part-2.jsonl", "{}")),
    "no interactions": both(remove("interactions.csv"), put("events.csv", "user_id\n")),
    "Windows-1252": turn("users.csv", "users.csv", lambda content: content.decode().encode("cp1252")),
    "one byte that is no text": edit("items.csv", ("Café", "Caf\udc81")),
    "UTF-16 without a mark": turn("users.csv", "users.csv", lambda content: content.decode().encode("utf-16-le")),
    "UTF-16 that is cut off": put("users.csv", "user_id\nu01\n".encode("utf-16")[:-1]),
    "an empty file": put("items.csv", ""),
    "an empty file of JSON lines": both(remove("items.csv"), put("items.jsonl", "")),
    "a header alone": put("interactions.csv", "user_id,item_id\n"),
    "no header": edit("users.csv", ("user_id,registered_at,age,country\n", "")),
    "an unknown header": edit("users.csv", ("user_id,registered_at,age", "id,since,years")),
    "columns with spaces between": put("users.csv", "user_id country\nu00 FR\n"),
    "a column twice": edit("users.csv", ("age,country", "age,age")),
    "a column without a name": edit("items.csv", ("item_id,title,artist_id", "item_id,,title,artist_id")),
    "an index of pandas in the header alone": edit(
        "items.csv", ("item_id,title,artist_id", ",item_id,title,artist_id")
    ),
    "an index of two levels": edit("items.csv", ("item_id,title,artist_id", ",,item_id,title,artist_id")),
    "a separator too many": edit("items.csv", ("artist_id,genre", "artist_id,genre,")),
    "an open quote in the header": edit("items.csv", ("item_id", '"item_id')),
    "text with commas and no quotes": edit("items.csv", ('"Red, white"', "Red, white")),
    "rows that lack fields": edit("interactions.csv", (",stream", ""), (",skip", "")),
    "fields too many and too few": edit("interactions.csv", (",stream", ""), (",skip", ",skip,x")),
    "a quote that is not closed": edit("items.csv", ("Café", '"Café')),
    "text after a quote": edit("items.csv", ("Café", '"Café" Paris')),
    "NUL bytes": edit("users.csv", ("DE", "D\0"), ("DE", "\0\0")),
    "a control character": edit("items.csv", ("Café", "Caf\x1a")),
    "everything at once": edit("items.csv", ("Café", '"Café'), ("Title 7", "Title 7,x"), ("Title 8", "Title 8\x07")),
    "gzip that is cut off": turn("interactions.csv", "interactions.csv.gz", lambda c: gzip.compress(c)[:-40]),
    "gzip that is none": turn("interactions.csv", "interactions.csv.gz", bytes),
    "gzip under the name of CSV": turn("users.csv", "users.csv", gzip.compress),
    "zstd that is cut off": turn("interactions.csv", "interactions.tsv.zst", lambda c: compress(c)[:-40]),
    "Parquet under the name of CSV": turn("users.csv", "users.csv", to_parquet),
    "CSV under the name of Parquet": turn("users.csv", "users.parquet", bytes),
    "Parquet that is cut off": turn("users.csv", "users.parquet", lambda content: to_parquet(content)[:-100]),
    "encrypted Parquet": turn("users.csv", "users.parquet", lambda content: b"PARE" + b"\0" * 90 + b"PARE"),
    "bad lines of JSON": turn("items.csv", "items.jsonl", lambda c: b'{"item_id": "i00"}\n{"item_id": "i01"\n[1]\n'),
    "JSON over several lines": turn("items.csv", "items.jsonl", lambda c: b'[{"item_id": "i00",\n"title": "x"}]\n'),
    "lists beside text in JSON": turn(
        "items.csv",
        "items.ndjson",
        lambda c: b'{"item_id": "i00", "genre": "rock"}\n{"item_id": "i01", "genre": ["rock", "pop"]}\n',
    ),
    "JSON that is not UTF-8": turn("items.csv", "items.jsonl", lambda c: b'{"item_id": "i00"}\n{"item_id": "\xe9"}\n'),
    "other columns in a file": both(move_apart, edit("interactions/part-1.csv", ("signal", "kind"))),
    "a fault in the second file": both(move_apart, edit("interactions/part-1.csv", (",skip", ",skip,x"))),
    "a partition in one file alone": both(
        move_apart, turn("interactions/part-1.csv", "interactions/year=2024/part-1.csv", bytes)
    ),
}
"""Changes that break one thing each in the clean tables."""
CASES = [Dirty(name, both(write_csv, change)) for name, change in CHANGES.items()]


def into_lines(ends: str) -> Callable[[bytes], bytes]:
    """Make what gives text other line ends, but for those within quotes."""

    def change(content: bytes) -> bytes:
        parts = content.decode().split('"')
        parts[::2] = [part.replace("\n", ends) for part in parts[::2]]
        return '"'.join(parts).encode()

    return change


def write_nested(folder: Path) -> None:
    """Write each table as several files in folders of any depth, their columns in another order."""
    for name, frame in make_tables().items():
        parts = [frame[:5], frame[5:9].select(frame.columns[::-1]), frame[9:]]
        for place, part in zip(("a", "b/c", "b/d/e"), parts, strict=True):
            put(f"{name}/{place}/part.0.csv", to_text(part).write_csv())(folder)


def write_partitions(ending: str) -> Change:
    """Make what writes interactions and users as Spark does, a folder for each signal, day and country."""

    def write(folder: Path) -> None:
        write_csv(folder)
        tables = make_tables()
        for name, keys in (("interactions", ["signal", "date"]), ("users", ["country"])):
            (folder / f"{name}.csv").unlink()
            put(f"{name}/_SUCCESS", "")(folder)
            frame = tables[name]
            if name == "interactions":
                frame = frame.with_columns(date=pl.col("timestamp").dt.hour().cast(pl.String))
            for values, part in frame.partition_by(keys, as_dict=True, include_key=False).items():
                folders = "/".join(f"{key}={quote(str(value))}" for key, value in zip(keys, values, strict=True))
                place = folder / name / folders / f"part-0000.{ending}"
                put(f"{name}/{folders}/.part-0000.{ending}.crc", "crc")(folder)
                if ending == "snappy.parquet":
                    part.write_parquet(place, compression="snappy")
                else:
                    place.write_text(to_text(part).write_csv() if ending == "csv" else make_json_lines(part))

    return write


CLEAN: dict[str, Change] = {
    "CSV": write_csv,
    "endings and names in capitals": written("{}.CSV"),
    "tabs": written("{}.tsv", "\t"),
    "semicolons": written("{}.csv", ";"),
    "bars": written("{}.csv", "|"),
    "gzip": written("{}.csv.gz", how=gzip.compress),
    "zstd": written("{}.csv.zst", how=compress),
    "JSON lines": written("{}.jsonl"),
    "JSON lines in zstd": written("{}.jsonl.zst", how=compress),
    "JSON lines with a mark and blank lines": written(
        "{}.jsonl", how=lambda c: b"\xef\xbb\xbf\n" + c.replace(b"\n", b"\r\n\n")
    ),
    "JSON lines in UTF-16": written("{}.jsonl", how=lambda c: c.decode().encode("utf-16")),
    "UTF-16": written("{}.csv", ";", how=lambda c: c.decode().encode("utf-16")),
    "UTF-16, the other way round": written("{}.csv", how=lambda c: b"\xfe\xff" + c.decode().encode("utf-16-be")),
    "Windows line ends": written("{}.csv", how=into_lines("\r\n")),
    "old Mac line ends": written("{}.csv", how=into_lines("\r")),
    "blank lines": written("{}.csv", how=lambda c: b"\n\r\n" + into_lines("\n\n")(c) + b"  \n"),
    "rows without values at the end": written("{}.csv", how=lambda c: c + b",,,,,,\n,,\n"),
    "no line end at the end": written("{}.csv", how=lambda c: c.rstrip(b"\n")),
    "quotes inside of text": both(write_csv, edit("items.csv", ('"The ""blue"" one"', 'The "blue" one'))),
    "an index of pandas": written("{}.csv", how=with_index),
    "an index of pandas and old line ends": written("{}.csv", how=lambda c: into_lines("\r")(with_index(c))),
    "files in folders": write_nested,
    "partitions of CSV": write_partitions("csv"),
    "partitions of Parquet": write_partitions("snappy.parquet"),
    "partitions of JSON lines": write_partitions("jsonl"),
    "Parquet": write_parquet,
}
"""Ways to write the clean tables: each makes the same dataset."""
