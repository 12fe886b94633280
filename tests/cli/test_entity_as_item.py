"""firstday with artists as the items: from the tables to lists that carry the newest item of each."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from firstday.recommend.recommender import open_model
from tests.cli.conftest import Run

FEW_ITEMS = ("--set", "sampled.min_items=4")


@pytest.fixture(scope="module")
def model(run: Run, tables: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the 24 artists, published by the first night."""
    out = tmp_path_factory.mktemp("artists") / "model"
    run("refresh", tables, "--out", out, "--config", settings, *FEW_ITEMS, "--set", "item=artist")
    return out


def test_artists_are_checked_evaluated_and_trained_on(
    run: Run, tables: Path, settings: Path, model: Path, tmp_path: Path
) -> None:
    options = (tables, "--config", settings, *FEW_ITEMS, "--item", "artist_id")
    summary = json.loads(run("check", *options, "--json").stdout)["summary"]
    assert (summary["items"], summary["entities"]) == (24, {})
    trained = json.loads(run("train", *options, "--out", tmp_path / "model", "--json").stdout)
    assert trained["data"]["items"] == 24
    evaluated = json.loads(run("evaluate", *options, "--json", "-", "-k", "3").stdout)
    assert {"auto", "popular"} <= {row["strategy"] for row in evaluated["results"]}
    refused = run("check", tables, "--item", "label", status=2)
    assert "artist" in refused.stderr


def test_lists_for_tables_of_newcomers_are_of_artists_with_the_newest_item(
    run: Run, tables: Path, model: Path, tmp_path: Path
) -> None:
    newcomers = tmp_path / "newcomers"
    newcomers.mkdir()
    rows = {"user_id": ["n", "n", "n"], "item_id": ["i000", "i024", "i001"]}
    pl.DataFrame(rows).write_parquet(newcomers / "interactions.parquet")
    items = pl.read_parquet(tables / "items.parquet")
    newest = {"item_id": "i900", "title": "The Newest", "artist_id": "a02", "added_at": "2026-11-01"}
    pl.concat([items, pl.DataFrame(newest)], how="diagonal").write_parquet(newcomers / "items.parquet")
    run("recommend", model, "--batch", newcomers, "--out", tmp_path / "lists.parquet", "-k", 30)
    lists = pl.read_parquet(tmp_path / "lists.parquet")
    assert sorted(lists["item_id"]) == sorted(set(items["artist_id"]) - {"a00", "a01"})
    carried = {row["item_id"]: (row["newest_item"], row["newest_title"]) for row in lists.to_dicts()}
    assert carried["a02"] == ("i900", "The Newest")
    [artist] = items.filter(pl.col("item_id") == carried["a03"][0])["artist_id"]
    assert artist == "a03"
    told = json.loads(
        run("recommend", model, "--user", '{"interactions": [["stream", "item", "a00"]]}', "--json").stdout
    )
    recommended = open_model(model).recommend({"interactions": [("stream", "item", "a00")]})
    assert [item.newest_item for item in recommended] == [item["newest_item"] for item in told["items"]]
    assert "a00" not in {item.item_id for item in recommended}


def test_a_refresh_without_the_setting_is_refused(run: Run, tables: Path, settings: Path, model: Path) -> None:
    options = (tables, "--out", model, "--config", settings, *FEW_ITEMS, "--json")
    assert json.loads(run("refresh", *options, "--set", "item=artist").stdout)["published"]
    assert json.loads(run("refresh", *options, status=3).stdout)["reason"] == "damaged"
