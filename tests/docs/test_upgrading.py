"""The page on upgrading is true: of models, of stores, of settings."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
import pytest
from serve_process import ServerProcess

from firstday.artifact.folder import FORMAT, MANIFEST, _sealed, read_manifest
from firstday.errors import ArtifactError
from firstday.recommend.recommender import Recommender, open_model
from firstday.serve.store.sqlite import VERSION
from tests.serve.test_store_sqlite import VERSION_1

PAGE = (Path(__file__).parents[2] / "docs" / "upgrading.md").read_text(encoding="utf-8")


def test_the_versions_are_those_of_the_code() -> None:
    assert f"`format` in `manifest.json`, now {FORMAT}" in PAGE
    assert f"`PRAGMA user_version`, now {VERSION}" in PAGE


def test_a_model_of_the_format_before_is_refused_as_the_page_says(
    tiny: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = tiny.save("model")
    manifest = read_manifest(model)
    del manifest["sha256"]
    (model / MANIFEST).write_bytes(_sealed({**manifest, "format": FORMAT - 1}))
    with pytest.raises(ArtifactError) as refused:
        open_model(model)
    assert f"error: {refused.value}" in PAGE
    tiny.save(model)  # as train does
    open_model(model)


def test_a_service_opens_a_store_of_the_version_before(tiny: Recommender, tmp_path: Path) -> None:
    path = tmp_path / "users.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
    connection.close()
    # What was written then must not have expired.
    settings = {"store": f"sqlite:///{path}", "retention_days": 0}
    server = ServerProcess(tiny.save(tmp_path / "model"), tmp_path / "server", settings)
    try:
        user = httpx.get(f"{server.url}/v1/users/u").json()
        listed = httpx.get(f"{server.url}/v1/users/u/recommendations").json()
    finally:
        server.stop()
    assert {event["event_id"] for event in user["events"]} == {"e1", "e2"}
    assert user["profile"] == {"country": "FR"}
    assert "i1" not in [item["item_id"] for item in listed["items"]]  # it was used
    assert any(line["event"] == "store is now of version 2" for line in server.log())
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()
