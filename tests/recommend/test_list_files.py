"""Lists as files of every form that is offered."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from firstday.data.newcomers import load_newcomers
from firstday.errors import ConfigError
from firstday.recommend.batch import list_users
from firstday.recommend.list_files import LIST_ENDINGS
from firstday.recommend.recommender import Recommender
from tests.batches import read_lists, recommend_tables

ODD = ["a,b", 'say "hi"', "tab\there", "two\nlines", " blanks ", "007", "Zoë"]


@pytest.fixture
def newcomers(tmp_path: Path) -> Path:
    folder = tmp_path / "newcomers"
    folder.mkdir()
    pl.DataFrame({"user_id": ODD, "age": [None, 30, 31, 32, 33, 34, 35]}).write_parquet(folder / "users.parquet")
    return folder


@pytest.mark.parametrize("ending", [*LIST_ENDINGS, ".CSV"])
def test_every_form_holds_the_same_lists_in_the_ids_of_the_caller(
    tiny: Recommender, newcomers: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"lists{ending}"
    recommend_tables(tiny, newcomers, out, 3)
    expected, _ = list_users(tiny, load_newcomers(newcomers), 3, None, keep_used=False)
    assert set(expected["user_id"]) == set(ODD)
    written = read_lists(out)
    assert written.columns == expected.columns
    assert written["user_id"].to_list() == expected["user_id"].to_list()
    assert written["item_id"].to_list() == expected["item_id"].to_list()
    assert written["rank"].cast(pl.Int32).to_list() == expected["rank"].to_list()
    assert written["score"].cast(pl.Float32).to_list() == pytest.approx(expected["score"].to_list())
    assert written["scale"].to_list() == expected["scale"].to_list()
    assert (out.read_bytes()[:2] == b"\x1f\x8b") == ending.endswith(".gz")
    assert [path.name for path in tmp_path.iterdir() if path != newcomers] == [out.name]  # nothing staged is left


def test_text_is_as_other_programs_read_it(tiny: Recommender, newcomers: Path, tmp_path: Path) -> None:
    for ending, first in ((".csv", '"a,b",1,'), (".tsv", "a,b\t1\t"), (".jsonl", '{"user_id":"a,b","rank":1,')):
        out = tmp_path / f"lists{ending}"
        recommend_tables(tiny, newcomers, out, 3)
        assert sum(line.startswith(first) for line in out.read_text(encoding="utf-8").splitlines()) == 1
    recommend_tables(tiny, newcomers, tmp_path / "lists.csv.gz", 3)
    assert gzip.decompress((tmp_path / "lists.csv.gz").read_bytes()) == (tmp_path / "lists.csv").read_bytes()


@pytest.mark.parametrize("name", ["lists.xlsx", "lists", "lists.csv.zst", "lists.gz", "lists.json"])
def test_an_ending_of_no_form_is_one_sentence(tiny: Recommender, newcomers: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: the extension is not supported for lists; use one of .parquet"):
        recommend_tables(tiny, newcomers, tmp_path / name, 3)
    assert not (tmp_path / name).exists()
