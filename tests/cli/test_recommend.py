"""firstday recommend: one user, or a folder of them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from tests.cli.conftest import Run


def test_lists_are_written_in_the_form_of_their_ending(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [12, 7], "age": [30, 31]}).write_csv(tmp_path / "users.csv")
    run("recommend", tiny_model, "--batch", tmp_path, "--out", tmp_path / "lists.tsv", "-k", 2)
    lines = (tmp_path / "lists.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["user_id", "rank", "item_id", "title", "score", "route", "scale"]
    assert [line.split("\t")[:2] for line in lines[1:]] == [["7", "1"], ["7", "2"], ["12", "1"], ["12", "2"]]


def test_a_printed_list_says_what_its_scores_are_and_what_had_no_effect(run: Run, tiny_model: Path) -> None:
    acts = '[["stream", "item", "i4"], ["favorite", "item", "i1"], ["search", "item", "i3"]]'
    done = run("recommend", tiny_model, "--user", f'{{"interactions": {acts}}}', "-k", 4)
    assert done.stdout.startswith("strategy segment, route segment, predicted segment 1 (2 users)\n")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["rank", "item_id", "title", "share", "of", "the", "segment"] in lines
    assert ["1", "i3", "Three", "50.0%"] in lines
    assert ["3", "i2", "Two", "fills", "the", "list", "up"] in lines
    notes = [line for line in done.stdout.splitlines() if line.startswith("Note")]
    assert notes == [
        "Note: favorite x item: no warm user has this signal on day one.",
        "Note: search x item: no warm user has this signal on day one.",
    ]


def test_what_had_no_effect_is_counted_in_a_batch(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    acts = [
        ("new 1", "i1", "search"),
        ("new 1", "i2", "search"),
        ("new 2", "i3", "favorite"),
        ("new 2", "i4", "stream"),
    ]
    pl.DataFrame(acts, schema=["user_id", "item_id", "signal"], orient="row").write_csv(tmp_path / "interactions.csv")
    done = run("recommend", tiny_model, "--batch", tmp_path, "--out", tmp_path / "lists.parquet", "--json")
    summary = json.loads(done.stdout)
    favorites, searches = (f"{name} x item: no warm user has this signal on day one" for name in ("favorite", "search"))
    assert summary["noted"] == {searches: 2, favorites: 1}
    assert summary["notes"][:2] == [f"{favorites} (1).", f"{searches} (2)."]
