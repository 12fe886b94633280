"""Versions and messages in docs/upgrading.md are those of the code."""

from __future__ import annotations

from pathlib import Path

from firstday.model.folder import FORMAT
from firstday.serve.store.sqlite import VERSION

PAGE = (Path(__file__).parents[2] / "docs" / "upgrading.md").read_text(encoding="utf-8")


def test_the_versions_are_those_of_the_code() -> None:
    assert f"`format` in `manifest.json`, now {FORMAT}" in PAGE
    assert f"`PRAGMA user_version`, now {VERSION}" in PAGE
