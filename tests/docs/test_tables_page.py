"""The recipe that makes tables with shows as items works."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.docs.examples import ROOT, Reader, read_examples


def test_shows_become_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tables = tmp_path / "tables"
    tables.mkdir()
    pl.DataFrame(
        {
            "item_id": ["e1", "e2", "e3", "e4"],
            "title": ["One", "Two", "Three", "Four"],
            "show_id": ["s1", "s1", "s2", None],
            "added_at": ["2026-01-02", "2026-01-01", "2026-01-01", "2026-01-01"],
        }
    ).write_parquet(tables / "items.parquet")
    pl.DataFrame({"user_id": ["u1", "u1", "u2"], "item_id": ["e1", "e2", "e4"]}).write_parquet(
        tables / "interactions.parquet"
    )
    pl.DataFrame({"user_id": ["u1", "u2"], "age": [20, 30]}).write_parquet(tables / "users.parquet")
    (recipe,) = (one for one in read_examples(ROOT / "docs" / "tables.md") if "show_id" in one.text)
    with Reader(tmp_path) as reader:
        reader.run_example(recipe)
    shows = reader.names["shows"]
    assert shows.items.values.to_list() == ["s1", "s2"]
    assert shows.columns["newest_item"].to_list() == ["e1", "e3"]
    assert shows.events.whole()["target_ix"].to_list() == [0, 0]
