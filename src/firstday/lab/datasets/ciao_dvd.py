"""CiaoDVD to the end of 2005: ratings of films on DVD, by the day.

G. Guo, J. Zhang, D. Thalmann, N. Yorke-Smith, "ETAF: An Extended Trust Antecedents Framework for Trust Prediction",
ASONAM 2014. For research.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from firstday.datasets import Source

FILE = "ciao_dvd_2000_2005.parquet"


def read_tables(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read the ratings as tables: a rating is a ``stream``, with its `rating`; films have the entity genre.

    `path` is the Parquet file or the folder that contains it. Trust is not read, see
    `firstday.lab.datasets.ciao_dvd_friends`.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    ratings = pl.read_parquet(file, glob=False)
    timestamp = pl.col("date").dt.replace_time_zone("UTC")
    return {
        "interactions": ratings.select("user_id", "item_id", "rating", timestamp=timestamp),
        "items": ratings.select("item_id", "genre_id").unique("item_id", keep="first", maintain_order=True),
    }


SOURCE = Source(read_tables, file=FILE)
