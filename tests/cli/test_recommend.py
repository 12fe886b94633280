"""firstday recommend: one user, or a folder of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.cli.conftest import Run

N_NEWCOMERS = 2_410


@pytest.fixture(scope="module")
def newcomers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,410 users: some with nothing, some with unknown items alone, some with a country never seen."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("newcomers")
    users = [(f"n{ix:04}", (None, "FR", "XX", "DE", "XX")[ix % 5]) for ix in range(N_NEWCOMERS)]
    rows = [(user, "never-seen", "stream") for user, _ in users[2::5]]
    for user, _ in (*users[1::5], *users[3::5]):
        signals = ("stream",) * 4 + ("ban",) * 2
        rows += [(user, f"i{item:03}", signal) for item, signal in zip(rng.choice(120, 6, False), signals, strict=True)]
    pl.DataFrame(users, schema=["user_id", "country"], orient="row").write_parquet(folder / "users.parquet")
    pl.DataFrame(rows, schema=["user_id", "item_id", "signal"], orient="row").write_csv(folder / "interactions.csv")
    return folder


def test_every_newcomer_of_a_batch_gets_fifty_distinct_items_and_a_route(
    run: Run, model: Path, newcomers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "lists.parquet"
    done = run("recommend", model, "--batch", newcomers, "--out", out, "-k", 50)
    lists = pl.read_parquet(out)
    assert lists.columns == ["user_id", "rank", "item_id", "title", "score", "route", "scale"]
    per_user = lists.group_by("user_id").agg(
        pl.col("item_id").n_unique().alias("items"), pl.col("rank").sort(), pl.col("route").n_unique().alias("routes")
    )
    assert per_user.height == N_NEWCOMERS
    assert (per_user["items"] == 50).all()
    assert (per_user["rank"] == list(range(1, 51))).all()
    assert (per_user["routes"] == 1).all()
    routes = dict(lists.filter(pl.col("rank") == 1).group_by("route").len().rows())
    assert routes["popular"] >= 1446  # of whom nothing is known; what answers the others was chosen in training
    acted = pl.read_csv(newcomers / "interactions.csv")
    assert lists.join(acted, on=["user_id", "item_id"]).is_empty()
    assert "Unknown to the model and ignored: country (964), item (482)." in done.stdout


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
        "Note: search x item: no warm user has this signal on day one; it was ignored.",
        "Note: favorite x item: used only to exclude items, because no warm user has this signal on day one.",
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
    assert summary["without_effect"] == {"search x item": 2}
    assert summary["only_kept_out"] == {"favorite x item": 1}
    assert summary["notes"][:2] == [
        "Ignored, because neither the features nor the strategy use them: search x item (2).",
        "Only excluded items: favorite x item (1).",
    ]


def test_similar_items_are_printed_with_their_route(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    done = run("similar", tiny_model, "i1", "-k", 3)
    assert done.stdout.startswith("strategy similar, route used_together\n")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["1", "i2", "Two", "0.500"] in lines
    (tmp_path / "denied.txt").write_text("i2\n")
    rules = ("--filter", "year >= 2020", "--deny", tmp_path / "denied.txt", "--pin", "1=i5", "--cap", "genre=1")
    answer = json.loads(run("similar", tiny_model, "i1", *rules, "--boost", "year == 2021=2", "--json").stdout)
    assert [item["item_id"] for item in answer["items"]] == ["i5", "i3"]
    for_user = run("similar", tiny_model, "i1", "--user", "-", "--json", stdin='{"country": "DE"}')
    assert [item["item_id"] for item in json.loads(for_user.stdout)["items"]][:2] == ["i3", "i2"]
    refused = run("similar", tiny_model, "no such item", status=2)
    assert refused.stderr.startswith("error: item: 'no such item' ")
