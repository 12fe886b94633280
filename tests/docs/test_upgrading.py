"""Versions and messages in docs/upgrading.md are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstday.errors import ArtifactError
from firstday.model.folder import FORMAT, MANIFEST, _sealed, read_manifest
from firstday.recommend.recommender import Recommender, open_model
from firstday.serve.store.sqlite import VERSION

PAGE = (Path(__file__).parents[2] / "docs" / "upgrading.md").read_text(encoding="utf-8")


def test_the_versions_are_those_of_the_code() -> None:
    assert f"`format` in `manifest.json`, now {FORMAT}" in PAGE
    assert f"`PRAGMA user_version`, now {VERSION}" in PAGE


def test_a_model_of_the_previous_format_is_refused_as_documented(
    tiny: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = tiny.save("model")
    manifest = read_manifest(model)
    (model / MANIFEST).write_bytes(_sealed({**manifest, "format": FORMAT - 1}))
    with pytest.raises(ArtifactError) as refused:
        open_model(model)
    assert f"error: {refused.value}" in PAGE
    tiny.save(model)  # as train does
    open_model(model)
