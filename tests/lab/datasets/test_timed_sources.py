"""The datasets with times: as published, where they are at hand, and on small files."""

from __future__ import annotations

import zipfile
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from firstday.config import Config
from firstday.data.load import load
from firstday.data.splits.holdout import protocol_of
from firstday.errors import DataError
from firstday.lab.datasets.complete_journey import HOUSEHOLDS, PRODUCTS, TRANSACTIONS
from firstday.lab.datasets.x_wines import RATINGS
from firstday.lab.datasets.x_wines import WINES as WINES_FILE
from tests.environments import SHARED

RETAIL = SHARED / "online_retail_2009_2010.parquet"
FILMS = SHARED / "movietweetings_100k.zip"
WINES = SHARED / "xwines_slim.zip"
DVDS = SHARED / "ciao_dvd_2000_2005.parquet"
TRUST = SHARED / "ciao_dvd_2000_2005_trust.parquet"


@pytest.mark.parametrize(
    ("name", "path", "sizes"),
    [
        ("online-retail", RETAIL, (4_285, 4_006, 393_636)),
        ("movietweetings", FILMS, (16_554, 10_506, 100_000)),
        ("x-wines", WINES, (10_561, 1_007, 150_000)),
        ("ciao-dvd", DVDS, (9_353, 4_538, 32_374)),
        ("ciao-dvd-friends", TRUST, (9_353, 4_538, 32_374)),
    ],
)
def test_what_is_published_is_read_whole(name: str, path: Path, sizes: tuple[int, int, int]) -> None:
    if not path.exists():
        pytest.skip(f"no {path.name} in ../shared/data")
    dataset = load(name, path=path)
    assert (len(dataset.users), len(dataset.items), len(dataset.events)) == sizes
    assert protocol_of(dataset, Config()) == "registration"
    assert (0 if dataset.friends is None else dataset.friends.n_entries) == 4_771 * (path == TRUST)


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


def test_wines_have_names_of_wineries_and_lists_of_grapes(tmp_path: Path) -> None:
    ratings = {"UserID": [7, 8], "WineID": [101, 102], "Vintage": ["2001", "N.V."], "Rating": [4.5, 2.0]}
    ratings |= {"Date": ["2015-08-20 17:46:26", "2021-12-02 23:12:49"]}
    wines = {"WineID": [101, 102], "WineName": ["Reserva", "Reserva"], "WineryID": [1, 2], "RegionID": [5, 5]}
    wines |= {"WineryName": ["Aurora", "Massa"], "RegionName": ["Sul", "Sul"], "Country": ["Brazil", "Brazil"]}
    wines |= {"Grapes": ["[\"Nero d'Avola\", 'Merlot']", "['Merlot']"], "Harmonize": ["['Beef']", "['Fish']"]}
    wines |= {"Type": ["Red", "Red"], "Body": ["Full", "Full"], "Acidity": ["High", "Low"], "ABV": [12.5, 11.0]}
    with zipfile.ZipFile(tmp_path / WINES.name, "w") as archive:
        archive.writestr(f"slim/{RATINGS}", pl.DataFrame(ratings).write_csv())
        archive.writestr(f"slim/{WINES_FILE}", pl.DataFrame(wines).write_csv())
    for path in (tmp_path, tmp_path / WINES.name):
        dataset = load("x-wines", path=path)
        assert dataset.titles == ("Reserva, Aurora", "Reserva, Massa")
        assert dataset.entities["grape"].ids.values.to_list() == ["Merlot", "Nero d'Avola"]
        assert dataset.entities["winery"].names == ("Aurora", "Massa")
        assert dataset.entities["region"].names == ("Sul",)
        assert dataset.columns["alcohol"].to_list() == [12.5, 11.0]
        assert (dataset.events.first, dataset.events.last) == (1_440_092_786_000_000, 1_638_486_769_000_000)


def test_dvds_have_friends_only_by_another_name(tmp_path: Path) -> None:
    ratings = {"user_id": ["a", "b", "b"], "item_id": [2, 1, 2], "genre_id": [9, 8, 9], "rating": [5, 1, 4]}
    ratings |= {"date": [datetime(2000, 7, 12), datetime(2000, 7, 13), datetime(2005, 12, 31)]}
    pl.DataFrame(ratings).write_parquet(tmp_path / DVDS.name)
    pl.DataFrame({"user_id": ["a"], "friend_id": ["b"]}).write_parquet(tmp_path / TRUST.name)
    dataset = load("ciao-dvd", path=tmp_path)
    assert dataset.entities["genre"].ids.values.to_list() == ["8", "9"]
    assert (dataset.titles, dataset.friends) == (None, None)
    assert dataset.events.first == 963_360_000_000_000  # midnight, UTC
    liked = load("ciao-dvd", path=tmp_path, config=Config().override("signals.rating", 3))
    assert len(dataset.events) - len(liked.events) == 1
    with_friends = load("ciao-dvd-friends", path=tmp_path)
    assert with_friends.friends is not None
    assert with_friends.friends.lengths().tolist() == [1, 0]
    (tmp_path / TRUST.name).unlink()
    with pytest.raises(DataError, match=f"cannot be read as ciao-dvd-friends .*{TRUST.name}"):
        load("ciao-dvd-friends", path=tmp_path)


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


TIMED = ("online-retail", "movietweetings", "complete-journey", "x-wines", "ciao-dvd", "ciao-dvd-friends")


@pytest.mark.parametrize("name", TIMED)
def test_a_copy_that_is_none_is_one_sentence(name: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.zip"
    wrong.write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        load(name, path=wrong)
    assert len(caught.value.faults) == 1
    assert str(wrong) in str(caught.value)
