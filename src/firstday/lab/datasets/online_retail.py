"""Online Retail II, one year: timestamped invoices of a British giftware shop, with returns and anonymous sales.

D. Chen, "Online Retail II", UCI Machine Learning Repository, 2019, CC BY 4.0.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from firstday.datasets import Source

FILE = "online_retail_2009_2010.parquet"
PRODUCT = r"^\d{5}"
"""Pattern of product codes; other stock codes are postage, fees, samples and corrections."""


def read_tables(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read the invoices as tables: a line is a ``stream`` of a product.

    `path` is the Parquet file or the folder that contains it. Lines without a customer, returns and other codes than
    products are dropped.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    lines = pl.read_parquet(file, glob=False).select(
        user_id=pl.col("Customer ID").cast(pl.Int64),
        item_id=pl.col("StockCode").str.to_uppercase(),
        timestamp=pl.col("InvoiceDate").cast(pl.String).str.to_datetime(time_unit="us", time_zone="UTC"),
        quantity="Quantity",
        title=pl.col("Description").str.strip_chars(),
        country="Country",
    )
    is_product = pl.col("item_id").str.contains(PRODUCT)
    lines = lines.filter(pl.col("user_id").is_not_null(), pl.col("quantity") > 0, is_product)
    titles = lines.group_by("item_id").agg(pl.col("title").drop_nulls().mode().sort().first())
    return {
        "interactions": lines.select("user_id", "item_id", "timestamp"),
        "users": lines.sort("timestamp").group_by("user_id").agg(pl.col("country").first()),
        "items": titles,
    }


SOURCE = Source(read_tables, file=FILE)
