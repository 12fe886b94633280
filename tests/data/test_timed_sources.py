"""Online Retail, MovieTweetings and The Complete Journey: as published, where they are at hand, and on small files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from firstday.config import Config
from firstday.data.load import load
from firstday.data.sources.complete_journey import HOUSEHOLDS, PRODUCTS, TRANSACTIONS
from firstday.data.splits.holdout import protocol_of
from firstday.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
RETAIL = SHARED / "online_retail_2009_2010.parquet"
FILMS = SHARED / "movietweetings_100k.zip"
needs_retail = pytest.mark.skipif(not RETAIL.exists(), reason=f"no {RETAIL.name} in ../shared/data")
needs_films = pytest.mark.skipif(not FILMS.exists(), reason=f"no {FILMS.name} in ../shared/data")


@needs_retail
def test_online_retail_is_whole() -> None:
    dataset = load("online-retail", path=RETAIL)
    assert (len(dataset.users), len(dataset.items), len(dataset.events)) == (4_285, 4_006, 393_636)
    assert protocol_of(dataset, Config()) == "registration"


@needs_films
def test_movietweetings_is_whole() -> None:
    dataset = load("movietweetings", path=FILMS)
    assert (len(dataset.users), len(dataset.items), len(dataset.events)) == (16_554, 10_506, 100_000)
    assert protocol_of(dataset, Config()) == "registration"


def write_retail(folder: Path) -> Path:
    rows = [
        ("1", "10002", "CUP", 2, "2009-12-01 07:45:00", 7.0, "France"),
        ("1", "10003a", "BOWL", 1, "2009-12-01 07:45:00", 7.0, "France"),
        ("2", "10002", "CUP ", 1, "2009-12-02 09:00:00", 7.0, "Spain"),
        ("3", "POST", "POSTAGE", 1, "2009-12-02 09:00:00", 8.0, "France"),
        ("4", "10002", "CUP", 1, "2009-12-03 09:00:00", None, "France"),
        ("C5", "10002", "CUP", -1, "2009-12-04 09:00:00", 8.0, "France"),
        ("6", "10003A", None, 1, "2009-12-05 09:00:00", 8.0, "France"),
    ]
    names = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Customer ID", "Country"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(folder / RETAIL.name)
    return folder / RETAIL.name


def test_purchases_are_products_that_a_customer_bought(tmp_path: Path) -> None:
    file = write_retail(tmp_path)
    for path in (file, tmp_path):
        dataset = load("online-retail", path=path)
        assert dataset.users.values.to_list() == [7, 8]
        assert dataset.items.values.to_list() == ["10002", "10003A"]
        assert dataset.titles == ("CUP", "BOWL")
        assert len(dataset.events) == 4
        country = dataset.groups["country"]
        assert [country.values[code] for code in country.codes] == ["France", "France"]


def test_films_are_split_at_double_colons(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::0002::8::1362062307\n2::0001::9::1362062400\n", encoding="utf-8")
    (tmp_path / "movies.dat").write_text(
        "0001::Une \u00e9toile (1915)::Drama|War\n0002::B (1999)::\n", encoding="utf-8"
    )
    dataset = load("movietweetings", path=tmp_path)
    assert dataset.titles == ("Une \u00e9toile (1915)", "B (1999)")
    assert dataset.entities["genre"].ids.values.to_list() == ["Drama", "War"]
    assert dataset.users.values.to_list() == [1, 2]


def test_groceries(tmp_path: Path) -> None:
    lines = pl.DataFrame(
        {
            "household_id": [900, 900, 1228],
            "product_id": [1, 2, 2],
            "quantity": [1, 0, 3],
            "transaction_timestamp": [datetime(2017, 1, 1, 11), datetime(2017, 1, 1, 12), datetime(2017, 1, 2, 12)],
        }
    )
    products = {"product_id": [1, 2, 3], "product_type": ["ICE", "BREAD", "TEA"], "package_size": ["22 LB", None, None]}
    products |= {"department": ["GROCERY", "PASTRY", "GROCERY"], "product_category": ["FRZN ICE", "BREAD", "TEA"]}
    tables = {TRANSACTIONS: lines, PRODUCTS: pl.DataFrame(products)}
    tables[HOUSEHOLDS] = pl.DataFrame({"household_id": [900], "age": ["65+"], "income": ["35-49K"]})
    for name, frame in tables.items():
        frame.write_parquet(tmp_path / name)
    dataset = load("complete-journey", path=tmp_path)
    assert dataset.titles == ("ICE, 22 LB", "BREAD")
    assert len(dataset.events) == 2
    assert sorted(dataset.entities) == ["category", "department"]
    assert sorted(dataset.groups) == ["age_band", "income"]
    assert dataset.users.values.to_list() == [900, 1228]


@pytest.mark.parametrize("name", ["online-retail", "movietweetings", "complete-journey"])
def test_a_copy_that_is_none_is_one_sentence(name: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.zip"
    wrong.write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        load(name, path=wrong)
    assert len(caught.value.faults) == 1
    assert str(wrong) in str(caught.value)
