"""Last.fm 1K: what nearly 1,000 people played until May 2009, when they signed up, and who they said they are.

Ò. Celma, "Music Recommendation and Discovery in the Long Tail", Springer 2010; ``lastfm-dataset-1K.tar.gz``,
distributed with permission of Last.fm for non-commercial use. Read by the layout that its README documents: nobody has
run this reader on the real files yet.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from firstday.data.findings import Findings, SourceFile
from firstday.data.raw_table import ROW, UNREADABLE, RawFile, RawTable, first_line
from firstday.data.sources.local_copy import find_local_copy
from firstday.errors import DataError

NAME = "lastfm-1k"
FOLDER = "lastfm-dataset-1K"
PROFILE = "userid-profile.tsv"
PLAYS = "userid-timestamp-artid-artname-traid-traname.tsv"
PROFILE_COLUMNS = ("user_id", "gender", "age", "country", "registered_at")
PLAY_COLUMNS = ("user_id", "timestamp", "artist_id", "artist_name", "track_id", "track_name")
AFTER_CRAWL = "2009-05-06"
"""The data was collected until May 5th, 2009: nothing can have been played from this day on."""


def read_lastfm_1k(path: str | Path, findings: Findings) -> dict[str, RawTable | None]:
    """Read an unpacked copy: plays stay in their file, and bad rows are found as those of any table are.

    A play is a ``stream`` of a song, known by its MusicBrainz id, or by artist and title where it has none. Users have
    their age, gender and country; they registered at midnight UTC of the day on which they signed up, so that this day
    is their day one.

    Parameters
    ----------
    path
        The folder of the two files, or one that holds it.
    findings
        Gets notes on songs without an id, and on plays at times that cannot be.

    Raises
    ------
    DataError
        A file is missing, or is not of the documented layout.
    """
    folder = find_local_copy(path, FOLDER, (PROFILE, PLAYS), "tar.gz")
    by_name = pl.col("artist_name") + " \N{EN DASH} " + pl.col("track_name")
    time = pl.col("timestamp").str.to_datetime("%+", strict=False, time_unit="us", time_zone="UTC")
    is_late = (time >= pl.lit(AFTER_CRAWL).str.to_datetime("%Y-%m-%d", time_zone="UTC")).fill_null(value=False)
    plays = _scan(folder / PLAYS, PLAY_COLUMNS)
    plays = plays.with_columns(item_id=pl.coalesce("track_id", by_name), is_late=is_late)
    named_only = pl.col("track_id").is_null() & pl.col("item_id").is_not_null()
    try:
        songs = (
            plays.group_by("item_id")
            .agg(
                pl.col("track_name").min().alias("title"),
                pl.coalesce("artist_id", "artist_name").min().alias("artist_id"),
                pl.len().alias("n_plays"),
                named_only.sum().alias("n_named"),
                pl.col("is_late").sum().alias("n_late"),
                pl.col("timestamp").filter("is_late").min().alias("first_late"),
            )
            .collect(engine="streaming")
        )
    except UNREADABLE as error:
        raise DataError(f"{folder / PLAYS}: cannot be read ({first_line(error)}); unpack it again.") from None
    n_plays, n_named, n_late = songs.select(pl.col("n_plays", "n_named", "n_late").sum()).row(0)
    findings.note_rows(
        "interactions.item_id", n_named, n_plays, "have no id of the song, which is known by its artist and title"
    )
    findings.note_rows(
        "interactions.timestamp",
        n_late,
        n_plays,
        "are later than the data was collected (first: {first}); taken as without a time",
        first=str(songs["first_late"].min()),
    )
    plays = plays.with_columns(timestamp=pl.when("is_late").then(None).otherwise("timestamp"))
    songs = songs.filter(pl.col("item_id").is_not_null()).select("item_id", "title", "artist_id")
    return {
        "interactions": _of_file(plays.select("user_id", "item_id", "timestamp", ROW), PLAYS),
        "users": _read_users(folder / PROFILE),
        "items": RawTable.of(songs.sort("item_id")),
    }


def _read_users(path: Path) -> RawTable:
    """Read the profiles; dates as "Apr 27, 2005" are written as tables write them, and what is none stays as it is."""
    date = pl.col("registered_at").str.to_date("%b %d, %Y", strict=False).dt.to_string("%Y-%m-%d")
    users = _scan(path, PROFILE_COLUMNS).with_columns(pl.coalesce(date, "registered_at").alias("registered_at"))
    is_heading = (pl.col(ROW) == 0) & pl.col("user_id").str.starts_with("#")
    return _of_file(users.filter(~is_heading.fill_null(value=False)), PROFILE)


def _scan(path: Path, columns: tuple[str, ...]) -> pl.LazyFrame:
    """Open a file of values between tabs, without quotes, every column as String, with the row of each.

    Raises
    ------
    DataError
        Its first line has another number of values.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        n_values = len(file.readline().rstrip("\r\n").split("\t"))
    if n_values != len(columns):
        raise DataError(
            f"{path}: the first line has {n_values} values between tabs, not {len(columns)} ({', '.join(columns)}) as "
            f"in {FOLDER}; unpack it again."
        )
    return pl.scan_csv(
        path,
        separator="\t",
        quote_char=None,
        has_header=False,
        schema=dict.fromkeys(columns, pl.String),
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        row_index_name=ROW,
        glob=False,
    )


def _of_file(rows: pl.LazyFrame, name: str) -> RawTable:
    """Make a table of the rows of a file."""
    return RawTable((RawFile(rows, SourceFile(name, _line_of)),), is_text=True, format="text")


def _line_of(row: int) -> int:
    """Return the line of a row."""
    return row + 1
