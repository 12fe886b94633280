"""X-Wines Slim: 150,000 ratings of 1,007 wines, 2012 to 2021.

R. X. de Azambuja, A. J. Morais, V. Filipe, "X-Wines: A Wine Dataset for Recommender Systems and Machine Learning", Big
Data and Cognitive Computing 7(1), 2023. CC0.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl

from firstday.datasets import Source
from firstday.lab.datasets.published import read_files

FILE = "xwines_slim.zip"
RATINGS = "XWines_Slim_150K_ratings.csv"
WINES = "XWines_Slim_1K_wines.csv"
_read_csv = partial(pl.read_csv, infer_schema_length=None)


def read_tables(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read a local copy as tables: a rating is a ``stream``, with its `rating`.

    Wines have the entities winery, region, grape and food. Their vintages are omitted, because later ratings added to
    them. `path` is ``xwines_slim.zip``, the folder with its files, or the folder that contains the zip.
    """
    ratings, wines = map(_read_csv, read_files(path, FILE, (RATINGS, WINES)).values())
    items = wines.select(
        item_id="WineID",
        title=pl.concat_str("WineName", "WineryName", separator=", "),
        winery_id="WineryID",
        region_id="RegionID",
        grape="Grapes",
        food="Harmonize",
        type="Type",
        body="Body",
        acidity="Acidity",
        alcohol="ABV",
        country="Country",
    )
    wineries = wines.select(entity=pl.lit("winery"), entity_id="WineryID", name="WineryName")
    regions = wines.select(entity=pl.lit("region"), entity_id="RegionID", name="RegionName")
    return {
        "interactions": ratings.select(
            user_id="UserID",
            item_id="WineID",
            rating="Rating",
            timestamp=pl.col("Date").str.to_datetime(time_unit="us", time_zone="UTC"),
        ),
        "items": items,
        "names": pl.concat([wineries, regions]),
    }


SOURCE = Source(read_tables, file=FILE)
